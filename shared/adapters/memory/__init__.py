"""Every port in memory: replay, simulation and backtest run on these."""
