"""The made-up world of the trainings above, with a card that detects concepts and with data sets made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grapebench.datasets import Place
from grapebench.training.material import Material
from grapebench.training.raqo.config import RaqoConfig, fill
from grapebench.training.raqo.material import find

CARD = """
name = "{name}"
title = "Start"
about = "A model of random weights."
mechanism = "lm"

[prompts]
translate = "{prompt}"
{detect}

[settings]
model = "./lm"
dtype = "float32"
max_new_tokens = 40
answer = "{answer}"
"""
SETTINGS: dict[str, Any] = {
    "task": "letters.toml",
    "suite": "full",
    "retriever": "retriever.py:Letters",
    "rewriter": "twice.toml",
    "lora": {"r": 2, "alpha": 4},
    "val_queries": 6,
    "save_every": 2,
    "ccd": {"epochs": 1, "batch": 4, "learning_rate": 0.01, "warmup": 1},
    "qre": {"epochs": 1, "batch": 4, "learning_rate": 0.01, "warmup": 1},
    "pro": {"epochs": 1, "batch": 4, "learning_rate": 0.01, "warmup": 1},
}


def rows(kind: str, count: int = 13) -> list[dict[str, Any]]:
    """Rows of a data set, as the contract of the three has them."""
    made = []
    for number in range(count):
        row: dict[str, Any] = {"query_id": f"q-{number}", "query": f"ABC {number}", "language": "de", "caption": ""}
        row["concepts"] = [] if kind == "ccr" and number % 4 == 0 else [f"abc{number}", "d"][: 1 + number % 2]
        if kind == "qre":
            row["rewrite"] = f"abc {number}"
        if kind == "pro":
            row["rewrites"] = [f"abc {number}", f"abd {number}", "dd", "e ee", "f"][: 2 + number % 4]
            row["rewards"] = [0.31, 0.3, 0.3, 0.28, 0.2][: 2 + number % 4]
        made.append(row)
    return made


@pytest.fixture
def recot(letters: Path) -> Path:
    """The working directory: the card `twice` asks for concepts first, `once` in the same answer, `plain` never."""
    from datasets import Dataset

    texts = {"detect.txt": "Hard in: $query", "write.txt": "Say: $query ($concepts)", "both.txt": "Both: $query"}
    for name, text in texts.items():
        (letters / name).write_text(text)
    for name, prompt, detect, answer in (
        ("twice", "write.txt", 'detect = "detect.txt"', "text"),
        ("once", "both.txt", "", "concepts"),
        ("plain", "ask.txt", "", "text"),
    ):
        card = CARD.format(name=name, prompt=prompt, detect=detect, answer=answer)
        (letters / f"{name}.toml").write_text(card)
    for kind in ("ccr", "qre", "pro"):
        Dataset.from_list(rows(kind)).save_to_disk(str(letters / "sets" / kind))
    return letters


@pytest.fixture
def configured(recot: Path) -> Callable[..., tuple[RaqoConfig, Material]]:
    """Settings of a training that takes seconds, with some of them changed, and its material."""

    def make(**changes: Any) -> tuple[RaqoConfig, Material]:
        config = fill({**SETTINGS, **changes})
        return config, find(config, Place.of(Path("data")))

    return make
