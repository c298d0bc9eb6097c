"""The exchange simulator: Alpaca's trading and market data API over the engine that the memory broker uses."""
