"""The miniature's files: what the cards promise, and that nothing but the official form is written."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from grapebench import catalog, world
from grapebench.datasets import load_task
from grapebench.errors import UserError
from grapebench.paths import cache_dir
from grapebench.world import official
from grapebench.world.articles import CATEGORIES, article
from grapebench.world.parse import parse
from grapebench.world.scenes import observe, random_scene

TASKS = sorted(official.WRITERS)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("split", ["test", "val"])
def test_every_task_loads_with_the_promised_content(name: str, split: str) -> None:
    """`prepare` compares the content hash, the loader's counts are compared with the card's."""
    card = catalog.task_card(name).card
    assert card.mini is not None
    split = card.mini.default_split if split == "test" else split
    promised = card.mini.splits[split]
    assert promised.sha256 is not None
    task = load_task(card, "mini", split)
    assert len(task.gallery) == promised.images
    assert all(query.positives for query in task.queries)
    assert len(set(task.gallery.images.sha256(task.gallery.ids))) == len(task.gallery), "two equal pictures"
    oracle = [json.loads(line)["image"] for line in (task.root / "oracle.jsonl").read_text().splitlines()]
    assert sorted(oracle) == sorted(task.gallery.ids)


def test_galleries_and_splits_are_large_enough() -> None:
    for name in TASKS:
        card = catalog.task_card(name).card
        assert card.mini is not None
        assert 900 <= card.mini.splits[card.mini.default_split].images <= 1100
        assert (card.mini.splits["train"].queries or 0) >= 5000
        assert (card.mini.splits["val"].queries or 0) >= 500


def test_a_changed_generator_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path))  # without the generated world that the tests share

    def other(folder: official.Folder, split: str, images: int, rng: random.Random) -> None:
        folder.text("captions.jsonl", "{}")

    monkeypatch.setitem(official.WRITERS, "xm3600", other)
    with pytest.raises(UserError, match="content hash"):
        world.prepare("xm3600", "val")
    assert not list((cache_dir() / "world").rglob("captions.jsonl")), "something half written was left"


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(UserError, match="no split 'nonsense'"):
        world.prepare("cirr", "nonsense")


def test_articles_keep_the_facts_for_the_end() -> None:
    rng = random.Random(5)
    for _ in range(100):
        content = observe(random_scene(rng), rng)
        text = article(content, rng.choice(CATEGORIES), rng)
        history, _, last = text.rpartition("\n\n")
        assert len(text.split()) >= 250
        assert len(history.split()) > 150, "the facts would stand within a text encoder's window"
        assert parse(history).facts() == frozenset()
        assert parse(last).facts() == content.facts()


def test_the_files_have_the_official_forms() -> None:
    flickr = (world.prepare("flickr30k-cn", "test") / "flickr30k_cn_test.txt").read_text(encoding="utf-8").splitlines()
    assert flickr[0] == "image,caption"
    assert all(re.match(r"\d+\.jpg,.", line) for line in flickr[1:])
    cirr = json.loads((world.prepare("cirr", "val") / "captions" / "cap.rc2.val.json").read_text())
    assert list(cirr[0]) == ["pairid", "reference", "target_hard", "target_soft", "caption", "img_set"]
    for record in cirr:
        members = record["img_set"]["members"]
        assert len(set(members)) == 6
        assert {record["reference"], record["target_hard"]} <= set(members)
    cvlue = json.loads((world.prepare("cvlue", "val") / "val.json").read_text(encoding="utf-8"))
    assert all(len(record["caption"]) == 5 for record in cvlue)
    assert {Path(record["image"]).parts[-2].split("-")[1] for record in cvlue} <= set(official.CULTURE_SHAPES)
