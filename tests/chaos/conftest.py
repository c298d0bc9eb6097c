from __future__ import annotations

from tests.functions.conftest import quiet

__all__ = ["quiet"]
