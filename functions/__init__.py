"""The Lambda functions: one folder each, one handler, one use case."""
