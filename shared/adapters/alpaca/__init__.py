"""Alpaca: broker, prices and calendar over alpaca-py, the only package that imports it.

It brings pandas along, so functions that need no broker do not import from here.
"""
