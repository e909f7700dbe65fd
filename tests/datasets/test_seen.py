from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench import catalog
from grapebench.cli.main import main
from grapebench.datasets import seen
from grapebench.errors import UserError
from grapebench.records import Dataset, Gallery, Query, Task
from grapebench.rewriters import LoadedRewriter, open_rewriter
from grapebench.rewriters.setup import Setup


class NoImages:
    """Leakage is told by ids; no picture is looked at."""

    def read(self, image_id: str) -> bytes:
        raise AssertionError

    def missing(self, image_ids: Any) -> list[str]:
        raise AssertionError

    def sha256(self, image_ids: Any) -> list[str]:
        raise AssertionError


def task(
    images: tuple[str, ...], name: str = "t", suite: str = "mini", collection: str = "c", split: str = "s"
) -> Task:
    queries = tuple(Query(f"q{image}", "text", (image,)) for image in images[:1])
    dataset = Dataset(queries, Gallery(images, NoImages()))
    return Task(name, suite, split, "translate", "retrieval", 1, dataset, Path(), collection)


def trained_on(*tasks: Task, path: Path) -> LoadedRewriter:
    setup = Setup("mini", "translate", 0, Path())
    text = f'name = "r"\ntitle = "R"\nabout = ""\nmechanism = "identity"\ntrained_on = "{path.name}"\n'
    (path.parent / "r.toml").write_text(text)
    seen.record(path, tasks)
    return open_rewriter(str(path.parent / "r.toml"), setup)


def test_the_hash_is_what_the_files_format_says() -> None:
    assert (
        seen.image_hash("full", "flickr30k", "1007129816")
        == hashlib.sha256(b"full/flickr30k/1007129816").hexdigest()[:12]
    )


def test_what_was_seen_in_two_ways() -> None:
    one, other = seen.whole([task(("a", "b"), "one")]), seen.whole([task(("b", "c"), "two")])
    both = seen.together(one, other)
    assert both == seen.whole([task(("a", "b"), "one"), task(("b", "c"), "two")])
    assert seen.together(one, None) == seen.together(None, one) == seen.together(one, one) == one
    assert seen.together(None, None) is None


def test_a_record_is_sorted_stable_and_read_back(tmp_path: Path) -> None:
    one, other = task(("b", "a"), "two"), task(("a", "c", "图"), "one", split="train")
    found = seen.record(tmp_path / "a.json", [one, other])
    again = seen.record(tmp_path / "b.json", [other, one, one])
    assert seen.read(tmp_path / "a.json") == found == again
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    values = json.loads((tmp_path / "a.json").read_text())
    assert values == {
        "schema_version": 1,
        "sources": [
            {"task": "one", "suite": "mini", "split": "train", "queries": 1, "images": 3},
            {"task": "two", "suite": "mini", "split": "s", "queries": 1, "images": 2},
        ],
        "images": sorted(seen.image_hash("mini", "c", image) for image in ("a", "b", "c", "图")),
    }
    assert str(found) == "one train (mini), two s (mini)"


def test_the_largest_training_split_stays_small(tmp_path: Path) -> None:
    seen.record(tmp_path / "cirr.json", [task(tuple(f"train-{n}" for n in range(16_939)))])
    assert (tmp_path / "cirr.json").stat().st_size < 300 * 1024


GOOD = {
    "schema_version": 1,
    "sources": [{"task": "t", "suite": "mini", "split": "train", "queries": 1, "images": 1}],
    "images": ["0123456789ab"],
}


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda values: values.update(schema_version=2), "schema_version: Input should be 1"),
        (lambda values: values.update(sources=[]), "sources: Tuple should have at least 1 item"),
        (lambda values: values["sources"][0].pop("split"), "sources.0.split: Field required"),
        (lambda values: values["sources"][0].update(suite="tiny"), "sources.0.suite: Input should be 'mini' or 'full'"),
        (lambda values: values["sources"][0].update(images=-1), "sources.0.images: Input should be greater than or"),
        (lambda values: values.update(images=["0123456789ab", "dev-12-0-img1"]), "images.1: String should match"),
        (lambda values: values.update(image=[]), "image: Extra inputs are not permitted"),
    ],
)
def test_another_content_is_told_with_its_key(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], object], what: str
) -> None:
    values = json.loads(json.dumps(GOOD))
    path = tmp_path / "seen.json"
    path.write_text(json.dumps(values))
    assert len(seen.read(path).images) == 1
    spoil(values)
    path.write_text(json.dumps(values))
    with pytest.raises(UserError) as caught:
        seen.read(path)
    assert str(caught.value).startswith(f"{path}: does not say what was trained on: {what}")


@pytest.mark.parametrize("content", [b"", b'{"schema_version": 1, "sour', b"\xff\xfe", b"[]", b"null"])
def test_a_file_that_is_none_of_this_kind(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "seen.json").write_bytes(content)
    with pytest.raises(UserError, match=r"seen\.json: does not say what was trained on: .*written by training"):
        seen.read(tmp_path / "seen.json")
    with pytest.raises(UserError, match=r"gone\.json: no such file"):
        seen.read(tmp_path / "gone.json")


def test_overlap_names_the_images_in_the_gallerys_order(tmp_path: Path) -> None:
    rewriter = trained_on(task(("a", "b", "c"), "train-task"), path=tmp_path / "seen.json")
    assert rewriter.seen is not None and len(rewriter.seen.images) == 3
    assert seen.overlap(task(("x", "c", "a")), rewriter) == ["c", "a"]
    assert seen.overlap(task(("x", "y")), rewriter) == []
    assert seen.overlap(task(("c", "a"), suite="full"), rewriter) == [], "the miniature's pictures are its own"
    assert seen.overlap(task(("c", "a"), collection="other"), rewriter) == []
    named = task(("a",), name="c", collection="")
    assert seen.overlap(named, rewriter) == ["a"], "without a collection the task's name is one"


@given(train=st.sets(st.text(max_size=8), max_size=8), test=st.lists(st.text(max_size=8), unique=True, max_size=8))
def test_overlap_is_the_intersection(
    tmp_path_factory: pytest.TempPathFactory, train: set[str], test: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "law.json"
    rewriter = trained_on(task(tuple(train)), path=path)
    assert seen.overlap(task(tuple(test)), rewriter) == [image for image in test if image in train]


def test_what_was_trained_on_changes_no_answer(tmp_path: Path) -> None:
    one = trained_on(task(("a",)), path=tmp_path / "seen.json")
    other = trained_on(task(("a", "b")), path=tmp_path / "seen.json")
    assert one.fingerprint == other.fingerprint and one.seen != other.seen
    raw = open_rewriter("identity", Setup("mini", "translate", 0, Path()))
    assert raw.seen is None and seen.overlap(task(("a",)), raw) == []


def test_a_card_that_names_a_missing_file_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained_on(task(("a",)), path=tmp_path / "seen.json")
    (tmp_path / "seen.json").unlink()
    with pytest.raises(UserError) as caught:
        open_rewriter(str(tmp_path / "r.toml"), Setup("mini", "translate", 0, Path()))
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}/r.toml: 'trained_on' names 'seen.json', and there is no such file beside")
    in_catalog(tmp_path, monkeypatch)
    assert main(["rewriters"]) == 2
    assert "'trained_on' names 'seen.json'" in capsys.readouterr().err


def in_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rewriter of `trained_on`, moved into a catalogue of its own."""
    (tmp_path / "baselines").mkdir()
    for path in [*tmp_path.glob("*.toml"), *tmp_path.glob("seen.json")]:
        path.rename(tmp_path / "baselines" / path.name)
    monkeypatch.setattr(catalog, "folder", lambda: tmp_path)


def test_the_list_of_rewriters_says_what_each_was_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained_on(task(("a",), "cirr", split="train"), path=tmp_path / "seen.json")
    in_catalog(tmp_path, monkeypatch)
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["rewriters"]) == 0
    assert "R (trained on cirr train (mini))" in capsys.readouterr().out
    assert main(["rewriters", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["trained_on"] == "seen.json"
    assert card["seen"] == [{"task": "cirr", "suite": "mini", "split": "train", "queries": 1, "images": 1}]


RETRIEVER = """
name = "{name}"
title = ""
about = ""
mechanism = "open_clip"
default_for = {default}
trained_on = ["laion", "flickr30k-karpathy-train"]
"""


def test_a_retriever_that_has_seen_the_test_images_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "baselines" / "retrievers"
    folder.mkdir(parents=True)
    (folder / "tuned.toml").write_text(RETRIEVER.format(name="tuned", default="[]"))
    (folder / "usual.toml").write_text(RETRIEVER.format(name="usual", default='["full"]'))
    (tmp_path / "mine.toml").write_text(RETRIEVER.format(name="mine", default="[]"))
    known = {"flickr30k-karpathy-train": "907 of the 1,000 test images are in it", "coco": "none"}
    card = catalog.task_card("flickr30k-cn").card.model_copy(update={"seen_by": known})
    monkeypatch.setattr(catalog, "folder", lambda: tmp_path)
    sentence = (
        "flickr30k-cn: retriever {} was trained on flickr30k-karpathy-train: 907 of the 1,000 test images are in it"
    )
    assert seen.warnings(card, "tuned", "full") == [sentence.format("tuned")]
    assert seen.warnings(card, None, "full") == [sentence.format("usual")]
    assert seen.warnings(card, str(tmp_path / "mine.toml"), "full") == [sentence.format("mine")]
    for spec in ("ViT-B-32@openai", "hf-hub:someone/something", str(tmp_path), "mine.py:Mine"):
        assert seen.warnings(card, spec, "full") == []
    assert seen.warnings(card, "tuned", "mini") == []
    assert seen.warnings(card.model_copy(update={"seen_by": {}}), "tuned", "full") == []
