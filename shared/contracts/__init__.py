"""The shapes of what crosses a process border."""
