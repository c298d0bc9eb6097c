"""The patience and the silence of the bad days of functions serve here as well."""

from tests.functions.conftest import at_once, impatient, quiet

__all__ = ["at_once", "impatient", "quiet"]
