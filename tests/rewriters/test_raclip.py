from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from grapebench import catalog
from grapebench.datasets import Place, load_task
from grapebench.errors import UserError
from grapebench.evaluation.runner import check_seen
from grapebench.records import Query
from grapebench.retrieval.searcher import Searcher
from grapebench.rewriters import open_rewriter
from grapebench.rewriters.raclip import Augmented
from grapebench.rewriters.setup import Setup

CARD = """
name = "little"
title = "Little"
about = "Six training images with two captions each."
family = "translate"
dataset = "flickr30k_cn"
protocol = "retrieval"
languages = ["zh"]
licence = ""
source = ""
citation = ""
[full.splits]
{splits}
"""


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    (tmp_path / "images").mkdir()
    for split, numbers in (("train", range(100, 106)), ("test", range(200, 203))):
        lines = [f"{number}.jpg,caption {turn} of {number}" for number in numbers for turn in (1, 2)]
        (tmp_path / f"little_{split}.txt").write_text("image,caption\n" + "\n".join(lines) + "\n", encoding="utf-8")
        for number in numbers:
            (tmp_path / "images" / f"{number}.jpg").write_bytes(b"picture %d" % number)
    card = tmp_path / "little.toml"
    card.write_text(CARD.format(splits="train = {}\ntest = {}"), encoding="utf-8")
    return Setup("full", "translate", 0, tmp_path, task=str(card))


def opened(setup: Setup, **settings: object) -> Augmented:
    return Augmented(Augmented.Settings(**settings), setup)  # type: ignore[arg-type]


@pytest.mark.parametrize("match", ["captions", "images"])
@pytest.mark.parametrize("add", ["captions", "images"])
@pytest.mark.parametrize(("k", "weight"), [(1, 0.5), (5, 2.0), (99, 1.0)])
def test_what_is_searched_is_that_of_brute_force(
    setup: Setup, searcher: Searcher, match: str, add: str, k: int, weight: float
) -> None:
    made = opened(setup, match=match, add=add, k=k, weight=weight)
    made.attach(searcher)
    pairs = [(f"caption {turn} of {number}", str(number)) for number in range(100, 106) for turn in (1, 2)]
    sides = {
        "captions": searcher.retriever.encode_texts([caption for caption, _ in pairs]),
        "images": searcher.retriever.encode_images([f"picture {image}".encode() for _, image in pairs], []),
    }
    queries = [Query(f"q{number}", f"words {number}", positives=("i1",)) for number in range(6)]
    for query, rewrite in zip(queries, made.rewrite(queries), strict=True):
        own = searcher.retriever.encode_texts([query.text])[0]
        rows = sorted(range(len(pairs)), key=lambda row: -float(sides[match][row] @ own))[:k]
        parts = np.concatenate([searcher.retriever.encode_texts(rewrite.texts), *map(np.atleast_2d, rewrite.vectors)])
        np.testing.assert_allclose(np.linalg.norm(parts, axis=1), 1, atol=1e-6)
        found = np.asarray(rewrite.weights) @ parts
        np.testing.assert_allclose(found, own + weight * sides[add][rows].mean(axis=0), atol=1e-6)
        assert rewrite.texts[0] == query.text and not rewrite.images
        named = rewrite.trace["train"].split()
        # The two captions of an image are equally near where images are compared.
        assert named == [pairs[row][1] for row in rows]


def test_the_training_split_is_recorded_and_refused(setup: Setup) -> None:
    assert setup.task
    path = Path(setup.task)
    card = path.parent / "mine.toml"
    card.write_text('name = "mine"\ntitle = ""\nabout = ""\nmechanism = "raclip"\n', encoding="utf-8")
    loaded = open_rewriter(str(card), setup)
    assert (loaded.sampled, loaded.stored) == (False, False)
    told = loaded.description["looks_at"]
    assert (told["task"], told["split"], told["pairs"]) == ("little", "train", 12)
    assert json.loads(json.dumps(loaded.description)) == loaded.description
    task = catalog.task_card(setup.task).card
    place = Place.of(path.parent)
    assert check_seen(load_task(task, "full", "test", place), loaded, allowed=False) is None
    with pytest.raises(UserError, match=r"mine has seen little train, which holds 6 of the 6 images"):
        check_seen(load_task(task, "full", "train", place), loaded, allowed=False)


def test_everything_that_changes_an_answer_is_in_the_fingerprint(setup: Setup) -> None:
    first = opened(setup).fingerprint
    assert opened(setup).fingerprint == first
    changed = ({"match": "images"}, {"add": "captions"}, {"k": 3}, {"weight": 0.1})
    assert len({first, *(opened(setup, **one).fingerprint for one in changed)}) == 5
    (setup.root / "images" / "100.jpg").write_bytes(b"another picture")
    pictures = opened(setup).fingerprint
    captions = setup.root / "little_train.txt"
    captions.write_text(captions.read_text(encoding="utf-8").replace("1 of 105", "one of 105"), encoding="utf-8")
    assert len({first, pictures, opened(setup).fingerprint}) == 3


def test_a_task_without_a_training_split_is_named(setup: Setup, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"urban1k has no split 'train' in the suite full.*choose a task that has one"):
        opened(Setup("full", "condense", 0, tmp_path, task="urban1k"))
    with pytest.raises(UserError, match="wikipedia-all has no split 'train' in the suite mini"):
        opened(Setup("mini", "condense", 0, tmp_path, task="wikipedia-all"))
    with pytest.raises(UserError, match="was not told which task"):
        opened(Setup("full", "condense", 0, tmp_path))
    with pytest.raises(UserError, match=r"call its attach\(searcher\)"):
        list(opened(setup).rewrite([Query("q", "text")]))
