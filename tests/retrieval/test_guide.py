"""The Python of docs/retrieval.md runs, and its classes are retrievers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from grapebench.retrieval import open_retriever

GUIDE = Path(__file__).parents[2] / "docs" / "retrieval.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_class_of_the_guide_is_a_retriever(tmp_path: Path) -> None:
    (tmp_path / "letters.py").write_text(BLOCKS[0], encoding="utf-8")
    retriever = open_retriever(f"{tmp_path / 'letters.py'}:Letters")
    vectors = retriever.encode_texts(["a kite", "a fan"])
    assert vectors.shape == (2, 256)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_the_ranks_of_the_guide() -> None:
    found: dict[str, Any] = {}
    exec(BLOCKS[1], found)
    assert found["ranking"].rank[[0, 2]].tolist() == [1, 1]
    assert found["ranking"].candidates.tolist() == [1000] * 3
