from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.rewriters import wordnet
from grapebench.training.raqo import synonyms
from grapebench.training.raqo.perturb import wordings
from grapebench.world.english import KNOWN_SYNONYMS, WORDS, rarer_words

RARE = {"fish": ("carp", "otterlike"), "left of": ("west of",), "kite": ("glider",), "of": ("about",)}
SYNONYMS = synonyms.from_words(RARE)


def made(text: str, count: int = 50, replaced: int = 3) -> dict[str, tuple[str, ...]]:
    found = wordings(text, SYNONYMS, random.Random(0), count, replaced)
    return {one.text: one.rare for one in found}


def test_words_are_replaced_and_all_else_stays() -> None:
    assert made("A red fish!", replaced=1) == {"A red carp!": ("carp",), "A red otterlike!": ("otterlike",)}
    assert made("nothing known") == made("") == {}


def test_the_longest_phrase_counts_and_an_article_follows_its_word() -> None:
    assert made("a fish left  of the Kite", replaced=1) == {
        "a carp left  of the Kite": ("carp",),
        "an otterlike left  of the Kite": ("otterlike",),
        "a fish west of the Kite": ("west of",),
        "a fish left  of the Glider": ("glider",),
    }
    assert set(made("An fish")) == {"A carp", "An otterlike"}


def test_draws_are_the_seeds_and_no_more_than_asked() -> None:
    text = "fish and kite and fish"
    assert wordings(text, SYNONYMS, random.Random(4), 3, 2) == wordings(text, SYNONYMS, random.Random(4), 3, 2)
    assert len(wordings(text, SYNONYMS, random.Random(4), 3, 2)) == 3
    assert all(len(rare) <= 2 for rare in made(text, replaced=2).values())
    assert any(len(rare) == 3 for rare in made(text, replaced=3).values())


@given(st.lists(st.sampled_from(["fish", "kite", "red", "left of", "tree", "x"]), max_size=6), st.integers(0, 99))
def test_put_back_the_words_are_the_query(words: list[str], seed: int) -> None:
    text = " ".join(words)
    back = {rare: common for common, some in RARE.items() for rare in some}
    for one in wordings(text, SYNONYMS, random.Random(seed), 3, 2):
        assert one.text != text
        undone = one.text
        for rare in one.rare:
            undone = undone.replace(rare, back[rare], 1)
        assert undone == text


def task(root: Path, suite: str = "full") -> Any:
    return SimpleNamespace(root=root, suite=suite)


def test_synonyms_beside_the_data_come_first(tmp_path: Path) -> None:
    (tmp_path / synonyms.FILE).write_text(json.dumps({"Red  Kite": ["milan "]}))
    found = synonyms.find(None, task(tmp_path, "mini"))
    assert (found.of("red kite"), found.of("kite"), found.longest) == (("milan",), (), 2)
    own = tmp_path / "own.json"
    own.write_text('{"kite": ["glider"]}')
    assert synonyms.find(str(own), task(tmp_path)).of("kite") == ("glider",)
    assert synonyms.find(str(own), task(tmp_path)).sha256 != found.sha256


def test_the_miniature_knows_its_own_words(tmp_path: Path) -> None:
    found = synonyms.find(None, task(tmp_path, "mini"))
    assert found.of("circle") == ("roundel",), "the retriever knows 'disc'"
    assert found.of("left of") == ("west of",)
    assert found.of("roundel") == ()
    every = {word for concepts in WORDS.values() for some in concepts.values() for word in some}
    for word, rare in rarer_words().items():
        assert rare and {word, *rare} <= every and not KNOWN_SYNONYMS & set(rare)


@pytest.mark.parametrize("content", ["", "[]", '{"a": "b"}', '{"a": [""]}', '{"a": [1]}'])
def test_a_file_that_is_no_synonyms_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "own.json"
    path.write_text(content)
    with pytest.raises(UserError, match="own.json"):
        synonyms.find(str(path), task(tmp_path))
    with pytest.raises(UserError, match="gone.json"):
        synonyms.find(str(tmp_path / "gone.json"), task(tmp_path))


SYNSETS = [
    ("kite", ["kite", "Milvus", "paper_flyer"], "a toy"),
    ("in", ["in", "inch"], "a unit"),
    ("inch", ["inch", "in"], "a unit"),
    ("red", ["red", "redness"], "a colour"),
]
COUNTS = {"kite%1:06:00::": 5, "milvus%1:05:00::": 9, "in%4:02:00::": 90, "inch%1:23:00::": 3, "red%1:07:00::": 2,
          "red%3:00:01::": 30}  # fmt: skip


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database in the form of wndb(5WN)."""
    data, index = "  1 WordNet 3.0  \n", "  1 WordNet 3.0  \n"
    for lemma, words, gloss in SYNSETS:
        offset = len(data.encode())
        told = " ".join(f"{word} 0" for word in words)
        data += f"{offset:08d} 06 n {len(words):02x} {told} 000 | {gloss}  \n"
        index += f"{lemma} n 1 0 1 0 {offset:08d}  \n"
    counts = "".join(f"{key} 1 {count}\n" for key, count in COUNTS.items())
    for name, text in (("data.noun", data), ("index.noun", index), ("cntlist.rev", counts), ("noun.exc", "")):
        (tmp_path / name).write_text(text)
    monkeypatch.setenv(wordnet.VARIABLE, str(tmp_path))
    return tmp_path


def test_wordnets_rarer_nouns(database: Path) -> None:
    words = wordnet.WordNet(database)
    assert words.synonyms("kite") == ("Milvus", "paper_flyer")
    assert words.synonyms("gone") == ()
    assert words.gloss("kite") == "a toy"
    assert (words.frequency("kite"), words.frequency("in")) == (5, 0)
    found = synonyms.find("wordnet", task(database))
    assert found.of("kite") == ("paper flyer",), "Milvus is more frequent"
    assert found.of("in") == (), "is hardly ever a noun"
    assert found.of("red") == (), "is mostly an adjective"
    assert found.of("paper flyer") == ()
    assert synonyms.find(None, task(database)).of("kite") == ("paper flyer",)


def test_without_wordnet_it_is_said_where_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(wordnet.VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match="WordNet"):
        synonyms.find("wordnet", task(tmp_path))
