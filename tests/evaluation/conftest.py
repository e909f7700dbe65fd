from __future__ import annotations

from pathlib import Path

import pytest

from grapebench.records import Query, Task
from tests.evaluation.world import CAPTIONS, foreign, task_of


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a data folder of this test's own."""
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path / "home"))
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "captions.json").write_text("{}")
    return folder


@pytest.fixture
def task(root: Path) -> Task:
    queries = [
        Query(f"q{n}", foreign(text), (f"i{n}",), language=("de", "zh")[n % 2]) for n, text in enumerate(CAPTIONS)
    ]
    return task_of(root, queries, "retrieval", "translate")


@pytest.fixture
def composed(root: Path) -> Task:
    queries = [
        Query(
            f"q{n}",
            "snow instead",
            (f"i{n + 2}",),
            reference=f"i{n}",
            excluded=(f"i{n}",),
            subset=tuple(f"i{m}" for m in range(n + 1, n + 6)),
        )
        for n in range(0, 54, 3)
    ]
    return task_of(root, queries, "composed", "compose")
