from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from grapebench.errors import UserError
from grapebench.records import Query
from grapebench.training.raqo import meaning
from grapebench.training.raqo.settings_data import Data
from grapebench.world.parse import parse

SHOWN = {"q": parse("a red kite above a blue drum on the grass").facts()}
PLAIN = Query("q", "eine Wiese", ("i",), "de")


def facts(text: str, query: Query = PLAIN) -> float:
    return meaning.by_facts(SHOWN, 0.8).rewrites([query], [text])[0]


def test_facts_that_the_image_shows_in_whatever_words() -> None:
    assert facts("in a meadow, a scarlet glider and a tambour") == 1
    assert facts("a blue kite") == 0.5, "there is a kite; it is not blue"
    assert facts("a moon") == facts("what a day") == facts("") == 0


def test_what_was_said_is_no_drift() -> None:
    composed = Query("q", "add a moon", ("i",), "en", reference="r", reference_caption="a green fan")
    assert facts("a green fan and a moon", composed) == 1
    assert facts("a green fan and a star", composed) == pytest.approx(2 / 3)


def test_a_wording_says_the_facts_of_its_query() -> None:
    judge = meaning.by_facts({}, 0.8)
    queries = [Query("q", text, ("i",)) for text in ("a red kite", "a red kite", "a red kite", "hello")]
    texts = ["a scarlet glider", "a red drum", "a kite", "bye"]
    assert judge.wordings(queries, texts) == [1, 0, 0.5, 1]


class Embedder:
    """Texts as counts of letters; remembers what it was asked."""

    asked: list[list[str]] = []  # noqa: RUF012

    def __init__(self, folder: str, trust_remote_code: bool) -> None:
        assert Path(folder).is_dir() and not trust_remote_code

    def encode(self, texts: list[str], **options: Any) -> np.ndarray:
        assert options["normalize_embeddings"]
        Embedder.asked.append(texts)
        rows = np.array([[text.count(letter) for letter in "abcdefgh"] for text in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    module: Any = ModuleType("sentence_transformers")
    module.SentenceTransformer = Embedder
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    monkeypatch.setattr(Embedder, "asked", [])
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def test_sentences_by_their_embeddings(model: Path) -> None:
    judge = meaning.by_sentences(str(model), 0.5)
    plain, composed = Query("1", "aab", ("i",)), Query("2", "b", ("i",), reference="r", reference_caption="a")
    scores = judge.rewrites([plain, plain, plain, composed], ["aab", "c", "ab", "ab"])
    assert scores == pytest.approx([1, 0, 3 / np.sqrt(10), 1])
    assert judge.wordings([composed], ["a"]) == pytest.approx([0])
    assert Embedder.asked[0] == ["aab", "a. b"]
    assert judge.rewrites([], []) == []
    assert judge.least == 0.5 and "sentences" in judge.identity


def test_without_the_extra_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UserError, match=r"grapebench\[raqo\]"):
        meaning.by_sentences(str(tmp_path), 0.5)


def judge_of(settings: Data, root: Path, suite: str, queries: Sequence[Query] = (PLAIN,)) -> Any:
    task: Any = SimpleNamespace(name="made-up", root=root, suite=suite)
    return meaning.find(settings, task, queries)


def test_facts_are_taken_where_they_are_known(model: Path) -> None:
    sentences = Data(sentence_model=str(model))
    (model / "oracle.jsonl").write_text('{"image": "i", "caption": "a red kite"}\n')
    assert judge_of(sentences, model, "mini").identity == {"facts": 1}
    assert "sentences" in judge_of(sentences, model, "full").identity
    asked = Data(sentence_model=str(model), meaning="sentences")
    assert "sentences" in judge_of(asked, model, "mini").identity
    assert judge_of(Data(meaning="none"), model, "mini") is None
    with pytest.raises(UserError, match="made-up"):
        judge_of(Data(meaning="facts"), model, "full")
