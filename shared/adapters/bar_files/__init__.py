"""Recorded market data from CSV files: bars, quotes, and splits and dividends."""
