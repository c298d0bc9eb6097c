"""The embedded clouds that the tests of this room share or own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_stack.cloud.embedded import EmbeddedCloud
from tests.local_stack.small import small_cloud


@pytest.fixture
def cloud() -> Iterator[EmbeddedCloud]:
    """Serve the small template, freshly made."""
    with small_cloud() as served:
        yield served
