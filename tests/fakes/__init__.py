"""Doubles of outside servers and of what only the outside knows."""
