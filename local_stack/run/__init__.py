"""The whole system on one machine: the market, the clock, the sinks and the view around the embedded cloud."""
