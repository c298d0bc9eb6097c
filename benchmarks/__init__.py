"""Measure Hearthwatch beside its peers: ratios within one run hold from machine to machine, seconds do not."""
