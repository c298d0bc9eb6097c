"""The core of Hearthwatch: rules, ports, use cases and the adapters that serve them."""
