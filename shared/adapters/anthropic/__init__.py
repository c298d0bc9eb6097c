"""Claude, asked through its SDK, which is imported by the first call that the budget admits and never before."""
