"""Construct adapters and wire use cases."""
