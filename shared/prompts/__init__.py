"""The texts that models are asked with, each a version of its own."""
