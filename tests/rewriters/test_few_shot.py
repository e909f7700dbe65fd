from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grapebench import catalog
from grapebench.datasets import Place, load_task
from grapebench.errors import UserError
from grapebench.evaluation.runner import check_seen
from grapebench.rewriters import few_shot, models, open_rewriter
from grapebench.rewriters.prompts import Prompt
from grapebench.rewriters.setup import Setup

PROMPT = Prompt("translate", "In $language: $query", "Be short.")
COMPOSE = Prompt("compose", "$caption; $query")
IMAGES = {"train": range(10, 16), "test": range(20, 23)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Flickr30k-CN in small: six training images with two captions each and three test images, and `oracle.jsonl`."""
    captions = []
    (tmp_path / "images").mkdir()
    for split, images in IMAGES.items():
        lines = [f"{image}.jpg,{split} 图 {image} {turn}" for image in images for turn in (1, 2)]
        (tmp_path / f"flickr30k_cn_{split}.txt").write_text("\n".join(["image,caption", *lines]), encoding="utf-8")
        captions += [json.dumps({"image": str(image), "caption": f"{split} {image}"}) for image in images]
        for image in images:
            (tmp_path / "images" / f"{image}.jpg").write_bytes(b"")
    (tmp_path / "oracle.jsonl").write_text("\n".join(captions), encoding="utf-8")
    return tmp_path


def setup(root: Path, family: str = "translate", suite: str = "full", task: str = "flickr30k-cn") -> Setup:
    return Setup(suite, family, 0, root, task=task)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The little files do not hold what the task's card promises, and nothing is kept from one test to the next."""
    monkeypatch.setattr("grapebench.datasets._check_counts", lambda *_: None)
    few_shot._all.cache_clear()


def test_examples_are_training_queries_with_their_pictures_captions(root: Path) -> None:
    turns = few_shot.examples(setup(root), PROMPT, 4)
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 4
    pictures = []
    for user, assistant in zip(turns[::2], turns[1::2], strict=True):
        said = user["content"].removeprefix("In Chinese: train 图 ").split()[0]
        assert assistant["content"] == f"train {said}"
        pictures.append(said)
    assert len(set(pictures)) == 4, "one example a picture"
    assert set(pictures) <= {str(image) for image in IMAGES["train"]}


def test_they_are_the_same_whatever_the_order_of_the_file(root: Path) -> None:
    before = few_shot.examples(setup(root), PROMPT, 3)
    few_shot._all.cache_clear()
    path = root / "flickr30k_cn_train.txt"
    first, *lines = path.read_text(encoding="utf-8").splitlines()
    # Captions are numbered in the order of the file, so the two of an image stay in theirs.
    path.write_text("\n".join([first, *lines[6:], *lines[:6]]), encoding="utf-8")
    assert few_shot.examples(setup(root), PROMPT, 3) == before
    assert few_shot.examples(setup(root), PROMPT, 5)[:6] == before


def test_more_than_there_are_is_an_error(root: Path) -> None:
    with pytest.raises(UserError, match="7 examples are asked for, and there are 6"):
        few_shot.examples(setup(root), PROMPT, 7)


def opened(root: Path, monkeypatch: pytest.MonkeyPatch, **wanted: Any) -> Any:
    monkeypatch.setattr(models, "locate", lambda *_: models.Located(root, commit="0" * 40))
    return open_rewriter("few-shot", setup(root, **wanted))


def test_searching_a_picture_of_an_example_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = opened(root, monkeypatch)
    card = catalog.task_card("flickr30k-cn").card
    test, train = (load_task(card, "full", split, Place.of(root), images=False) for split in ("test", "train"))
    assert check_seen(test, loaded, allowed=False) is None
    with pytest.raises(UserError, match=r"few-shot has seen flickr30k-cn train, which holds 4 of the 6 images"):
        check_seen(train, loaded, allowed=False)
    seen = check_seen(train, loaded, allowed=True)
    assert seen is not None and seen.images == 4


def test_the_examples_are_in_the_fingerprint_and_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = opened(root, monkeypatch)
    assert before.description["prompt"]["few_shot"]["examples"] == 4
    path = root / "oracle.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("train 1", "training 1"), encoding="utf-8")
    few_shot._all.cache_clear()
    after = opened(root, monkeypatch)
    assert after.fingerprint != before.fingerprint
    told = [one.description["prompt"]["few_shot"]["sha256"] for one in (before, after)]
    assert told[0] != told[1]


def write(root: Path, *rows: dict[str, Any]) -> None:
    (root / few_shot.FILE).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def test_a_file_of_ones_own_comes_first(root: Path) -> None:
    write(
        root,
        {"image": 20, "query": "ein Fisch", "rewrite": " a fish\n", "language": "de"},
        {"image": "10", "query": "一", "rewrite": "b"},
    )
    turns = few_shot.examples(setup(root), PROMPT, 2)
    assert [turn["content"] for turn in turns] == ["In German: ein Fisch", "a fish", "In English: 一", "b"]
    card = catalog.task_card("flickr30k-cn").card
    test = load_task(card, "full", "test", Place.of(root), images=False)
    from grapebench.datasets.seen import image_hash

    hashes = {image_hash("full", "flickr30k", image) for image in test.gallery.ids}
    seen = few_shot.seen(setup(root), 2)
    assert set(seen.images) & hashes == {image_hash("full", "flickr30k", "20")}, "a test image is found out"
    assert str(seen) == "flickr30k-cn few_shot.jsonl"


def test_composed_examples_need_a_caption(root: Path) -> None:
    row = {"image": "t", "reference": "r", "query": "blue", "rewrite": "a blue kite"}
    write(root, row | {"caption": "a kite"})
    wanted = setup(root, "compose", task="cirr")
    assert few_shot.examples(wanted, COMPOSE, 1)[0]["content"] == "a kite; blue"
    assert len(few_shot.seen(wanted, 1).images) == 2
    write(root, row)
    few_shot._all.cache_clear()
    with pytest.raises(UserError, match=r"few_shot\.jsonl:1: the key 'caption' is missing"):
        few_shot.examples(wanted, COMPOSE, 1)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"query": "a", "rewrite": "b"}, r"few_shot\.jsonl:1: the key 'image' is missing"),
        ({"image": "1", "query": "a", "rewrite": " "}, r"few_shot\.jsonl:1: the text under 'rewrite' is empty"),
        ({"image": "1", "query": 3, "rewrite": "b"}, r"few_shot\.jsonl:1: 'query' must be a string"),
    ],
)
def test_a_wrong_line_is_named(root: Path, row: dict[str, Any], message: str) -> None:
    write(root, row)
    with pytest.raises(UserError, match=message):
        few_shot.examples(setup(root), PROMPT, 1)


def test_what_is_needed_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "oracle.jsonl").unlink()
    with pytest.raises(
        UserError, match=r"few_shot\.jsonl: no such file.*of training images only.*\"rewrite\""
    ) as caught:
        opened(root, monkeypatch)
    assert "caption" not in str(caught.value)
    with pytest.raises(UserError, match=r"few_shot\.jsonl: no such file.*\"caption\""):
        opened(root, monkeypatch, family="compose", task="cirr")
    with pytest.raises(UserError, match="was not told which"):
        few_shot.examples(setup(root, task=""), PROMPT, 1)


@given(st.text(st.sampled_from("ab \n图。"), max_size=2000))
@example("word " * 200)
@example("图" * 1000)
def test_long_examples_are_shown_by_their_beginning_and_end(text: str) -> None:
    short = few_shot.shortened(text)
    assert len(short) <= few_shot.LONGEST
    if len(text.strip()) <= few_shot.LONGEST:
        assert short == text.strip()
    else:
        start, _, end = short.partition(" … ")
        assert text.strip().startswith(start) and text.strip().endswith(end)


def test_words_stay_whole() -> None:
    text = " ".join(f"word{number}" for number in range(200))
    assert set(few_shot.shortened(text).split()) <= {*text.split(), "…"}
    assert few_shot.shortened(text).endswith(" word199")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["flickr30k-cn", "wikipedia", "cirr"])
def test_the_miniature_has_examples_for_every_family(task: str) -> None:
    card = catalog.task_card(task).card
    searched = load_task(card, "mini", card.mini.default_split if card.mini else None, images=False)
    prompt = Prompt(card.family, "$caption $query" if card.family == "compose" else "$query")
    wanted = Setup("mini", card.family, 0, searched.root, task=task)
    turns = few_shot.examples(wanted, prompt, 4)
    texts = {query.text.strip() for query in searched.queries}
    assert len(turns) == 8 and not texts & {turn["content"] for turn in turns}
    from grapebench.datasets.seen import image_hash

    hashes = {image_hash("mini", searched.collection, image) for image in searched.gallery.ids}
    assert not hashes & set(few_shot.seen(wanted, 4).images)
