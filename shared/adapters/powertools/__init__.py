"""AWS Lambda Powertools: metrics."""
