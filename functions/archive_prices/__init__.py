"""One Lambda function."""
