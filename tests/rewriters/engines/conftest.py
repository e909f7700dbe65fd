from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rewriters.engines.server import Server, running


@pytest.fixture
def server() -> Iterator[Server]:
    """A chat server on loopback; its `faults` say what goes wrong."""
    with running() as made:
        yield made
