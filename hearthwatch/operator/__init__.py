"""The operator's commands against a deployed stack: secrets, preflight, mode, teardown, restore."""
