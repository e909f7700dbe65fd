"""The miniature's English tasks: in the official forms, mostly in the retriever's own words, no image named twice."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from grapebench.world import english, official_english
from grapebench.world.parse import parse
from grapebench.world.scenes import observe, random_scene
from tests.datasets import forms

KEYS = {
    "flickr30k": {"filename", "split", "imgid", "sentids", "sentences"},
    "coco": {"filename", "filepath", "split", "imgid", "sentids", "sentences", "cocoid"},
}


@pytest.mark.parametrize("task", KEYS)
def test_karpathys_json_has_the_official_form(tmp_path: Path, task: str) -> None:
    forms.miniature(task, tmp_path, "train", images=40)
    found = json.loads((tmp_path / f"dataset_{task}.json").read_text())
    assert set(found) == {"images", "dataset"} and found["dataset"] == task
    sentences = [sentence for image in found["images"] for sentence in image["sentences"]]
    assert [sentence["sentid"] for sentence in sentences] == list(range(len(sentences)))
    for image in found["images"]:
        assert set(image) == KEYS[task]
        assert image["sentids"] == [sentence["sentid"] for sentence in image["sentences"]]
        assert {sentence["imgid"] for sentence in image["sentences"]} == {image["imgid"]}
        assert len(image["sentences"]) in ((5, 6) if task == "coco" else (5,))
    assert {image["split"] for image in found["images"]} == ({"train", "restval"} if task == "coco" else {"train"})
    assert sentences[0]["tokens"] == sentences[0]["raw"].replace(",", "").split()


def test_most_captions_are_in_the_retrievers_own_words(tmp_path: Path) -> None:
    forms.miniature("flickr30k", tmp_path, "val", images=60)
    images = json.loads((tmp_path / "dataset_flickr30k.json").read_text())["images"]
    texts = [sentence["raw"] for image in images for sentence in image["sentences"]]
    strange = {words[2] for concepts in english.WORDS.values() for words in concepts.values()}
    own = sum(not any(f" {word} " in f" {text} " for word in strange) for text in texts) / len(texts)
    assert 0.7 < own < 0.9
    assert sum(text.startswith("the picture shows") for text in texts) > 0, "nobody else's words either"


@pytest.mark.parametrize("task", ["flickr30k", "coco", "urban1k"])
def test_no_image_id_stands_in_two_splits(tmp_path: Path, task: str) -> None:
    ids = []
    for split in ("train", "val", "test"):
        folder = forms.miniature(task, tmp_path / split, split, images=25)
        ids += [json.loads(line)["image"] for line in (folder / "oracle.jsonl").read_text().splitlines()]
    assert len(set(ids)) == len(ids) == 75


def test_descriptions_keep_the_facts_for_the_end() -> None:
    rng = random.Random(5)
    for _ in range(100):
        content = observe(random_scene(rng), rng)
        text = official_english.description(content, rng)
        before, _, last = text.rpartition(". ")
        assert 90 <= len(text.split()) <= 140
        assert len(before.split()) > 60, "the facts would stand within a text encoder's window"
        assert parse(before).facts() == frozenset()
        assert parse(text).facts() == parse(last).facts() == content.facts()
