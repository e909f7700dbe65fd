"""The miniature's English tasks in their official files: Karpathy's JSON of Flickr30k and COCO, and Urban1K's folders.

Their captions are mostly in the retriever's own words, so they are its home: what rewriting gains elsewhere can be
held against what there is to gain here.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from grapebench.world import english
from grapebench.world.content import Content, Scene
from grapebench.world.scenes import observe, random_scene, sample

if TYPE_CHECKING:
    from grapebench.world.official import Folder

OWN_WORDS = 0.7
"""The share of captions in the words that the retriever was trained on; the others are in everybody's words."""


def flickr30k(folder: Folder, split: str, images: int, rng: random.Random) -> None:
    """`dataset_flickr30k.json`, five captions an image."""

    def about(number: int) -> dict[str, Any]:
        return {"filename": f"{2_000_000_000 + _serial(number, split, rng)}.jpg", "split": split}

    _karpathy(folder, "flickr30k", split, images, rng, about)


def coco(folder: Folder, split: str, images: int, rng: random.Random) -> None:
    """`dataset_coco.json`; as in the original some images have a sixth caption, and 'restval' is for training too."""

    def about(number: int) -> dict[str, Any]:
        name = "restval" if split == "train" and rng.random() < 0.25 else split
        path = "train2014" if name == "train" else "val2014"
        cocoid = _serial(number, split, rng)
        return {"filepath": path, "filename": f"COCO_{path}_{cocoid:012d}.jpg", "cocoid": cocoid, "split": name}

    _karpathy(folder, "coco", split, images, rng, about, sixth=0.03)


def _karpathy(
    folder: Folder,
    dataset: str,
    split: str,
    images: int,
    rng: random.Random,
    about: Callable[[int], dict[str, Any]],
    sixth: float = 0.0,
) -> None:
    """`about` gives what is said of an image by its number; `sixth` is the share of images with a sixth caption."""
    endless = sample(lambda: random_scene(rng), split)
    records: list[dict[str, Any]] = []
    sentences = 0
    for number in range(images):
        scene = next(endless)
        record = about(number)
        name = record["filename"].removesuffix(".jpg")
        folder.image(f"{record.get('filepath', 'flickr30k-images')}/{name}.png", name, scene)
        texts = [_caption(scene, rng) for _ in range(6 if rng.random() < sixth else 5)]
        ids = range(sentences, sentences + len(texts))
        sentences += len(texts)
        said = [
            {"tokens": re.findall(r"\w+", text), "raw": text, "imgid": number, "sentid": sentence}
            for text, sentence in zip(texts, ids, strict=True)
        ]
        records.append(record | {"imgid": number, "sentids": list(ids), "sentences": said})
    folder.text(f"dataset_{dataset}.json", json.dumps({"images": records, "dataset": dataset}) + "\n")


def _serial(number: int, split: str, rng: random.Random) -> int:
    """A number that no other image has, of this split or another: ids tell which images were trained on."""
    return 1 + 3 * (number * 193 + rng.randrange(193)) + ("train", "val", "test").index(split)


def _caption(scene: Scene, rng: random.Random) -> str:
    style = english.RETRIEVER if rng.random() < OWN_WORDS else english.PEOPLE
    return english.realise(observe(scene, rng), style, rng)


def urban1k(folder: Folder, split: str, images: int, rng: random.Random) -> None:
    """`caption/<id>.txt` and `image/<id>`, one long caption an image; splits that the original lacks are in folders."""
    endless = sample(lambda: random_scene(rng), split)
    root = "" if split == "test" else f"{split}/"
    for number in range(images):
        scene = next(endless)
        name = str(_serial(number, split, rng))
        folder.image(f"{root}image/{name}.png", name, scene)
        folder.text(f"{root}caption/{name}.txt", description(observe(scene, rng), rng))


_OPENINGS = (
    "This image captures a quiet moment that seems to have been arranged with great care.",
    "The photograph presents a composition that invites the viewer to stay and look around for a while.",
    "In this picture, the eye is first drawn to the general mood rather than to any single element.",
    "The scene has a calm and orderly character, as though someone had just finished preparing it.",
)
_REMARKS = (
    "The light is even, without hard shadows, and suggests that no particular hour of the day was intended.",
    "The camera stands at eye level and faces the subject directly, which gives the view a documentary feeling.",
    "Every contour is crisp, and there is hardly any blur, so that even the borders of the frame remain readable.",
    "No people are present, and nothing indicates that anybody will arrive soon.",
    "The overall impression is one of balance, because the empty areas are distributed as thoughtfully as the rest.",
    "There is no text, no signage and no visible brand anywhere in the frame.",
    "The style recalls an illustration from a school book, clear in its statement and free of decoration.",
    "Nothing appears to be in motion, and the atmosphere is one of patience and stillness.",
    "The perspective is simple, with little depth, so that the arrangement is understood at a glance.",
    "The contrast between the elements and their surroundings makes each of them easy to tell apart.",
    "Some viewers may find the arrangement playful, while others will notice its geometric discipline.",
    "The proportions are generous, leaving enough room for every element to be appreciated on its own.",
)
_CLOSINGS = (
    "Looking at it in detail: {}.",
    "What it actually contains is the following: {}.",
    "Described in a single sentence, this is what can be observed: {}.",
    "In concrete terms, the content is this: {}.",
)


def description(content: Content, rng: random.Random, length: int = 100) -> str:
    """A description of about `length` words that talks of light and mood and says the content in its last sentence."""
    last = rng.choice(_CLOSINGS).format(english.realise(content, english.PEOPLE, rng))
    sentences = [rng.choice(_OPENINGS)]
    for remark in rng.sample(_REMARKS, len(_REMARKS)):
        if len(" ".join([*sentences, last]).split()) >= length:
            break
        sentences.append(remark)
    return " ".join([*sentences, last])


WRITERS: dict[str, Callable[[Folder, str, int, random.Random], None]] = {
    "flickr30k": flickr30k,
    "coco": coco,
    "urban1k": urban1k,
}
