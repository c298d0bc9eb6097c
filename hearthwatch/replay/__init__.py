"""Replay recorded bars through the whole watch on memory ports."""
