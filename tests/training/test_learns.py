"""GRPO on ranks makes the miniature's language model a better rewriter, in the time of a coffee."""

from __future__ import annotations

from pathlib import Path

import pytest

from grapebench.training.config import fill
from grapebench.training.grape import train
from grapebench.training.material import find


@pytest.mark.slow
def test_val_recall_rises(tmp_path: Path) -> None:
    values = {
        "task": "flickr30k-cn",
        "reward": {"ranks": {"rank-log": 1.0}},
        "steps": 6,
        "learning_rate": 3e-3,
        "val_every": 6,
        "save_every": 6,
        "val_queries": 120,
        "headroom": 0,
    }
    ended = train(find(fill(values), None), tmp_path / "out", lambda *_: None)
    assert ended.first.recall_10 is not None and ended.best.recall_10 is not None
    assert ended.best.recall_10 > ended.first.recall_10 + 0.05
