"""The deterministic simulation: the real use cases under seeded faults, with invariants checked after every step."""
