"""One job per file: its steps in order, over ports."""
