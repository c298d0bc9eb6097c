"""What the operator types: the command line of Hearthwatch."""
