"""What mini-lm is taught: queries of every family with an answer in its own wording."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from grapebench.cards import Family
from grapebench.records import Query
from grapebench.world import english
from grapebench.world.articles import CATEGORIES, article
from grapebench.world.content import COLOURS, SHAPES, Content, Scene
from grapebench.world.languages import LANGUAGES, realise
from grapebench.world.scenes import observe, random_scene, split_of
from grapebench.world.wishes import apply, change_scene, word_wishes


@dataclass(frozen=True, slots=True)
class Example:
    family: Family
    query: Query
    answer: str
    content: Content
    """The facts that the answer has to keep."""


def _scene(rng: random.Random, split: str) -> Scene:
    while True:
        scene = random_scene(rng, culture=rng.random() < 0.3)
        if split_of(scene) == split:
            return scene


def _said(scene: Scene, rng: random.Random, most: int) -> Content:
    """What an annotator says of the first `most` things."""
    content = observe(scene, rng)
    things = content.things[:most]
    return replace(content, things=things, relation=content.relation if len(things) > 1 else None)


def _answer(content: Content, rng: random.Random) -> str:
    return english.realise(content, english.MODEL, rng)


def translate(rng: random.Random, split: str = "pretrain", most: int = 4, english_share: float = 0.08) -> Example:
    """A caption in any language of the world, English too; Chinese more often, as two tasks are in Chinese."""
    content = _said(_scene(rng, split), rng, most)
    language = "en" if rng.random() < english_share else "zh" if rng.random() < 0.25 else rng.choice(LANGUAGES)
    text = english.realise(content, english.PEOPLE, rng) if language == "en" else realise(content, language, rng)
    return Example("translate", Query("", text, language=language), _answer(content, rng), content)


def condense(rng: random.Random, split: str = "pretrain", most: int = 4) -> Example:
    """An article; half of them are shorter than the real ones, which teaches where to look for less."""
    content = _said(_scene(rng, split), rng, most)
    length = 255 if rng.random() < 0.5 else rng.randrange(30, 255)
    text = article(content, rng.choice(CATEGORIES), rng, length)
    return Example("condense", Query("", text), _answer(content, rng), content)


def _described(scene: Scene, rng: random.Random, most: int) -> Content:
    """A reference image as a captioner may put it: short, incomplete, at times wrong about a thing."""
    content = _said(scene, rng, most)
    if rng.random() < 0.5:
        short = (replace(thing, size=None, texture=None) for thing in content.things[: rng.choice((2, 2, 3))])
        content = Content(tuple(short))
    if rng.random() < 0.3:
        listed = list(content.things)
        place = rng.randrange(len(listed))
        if rng.random() < 0.5:
            listed[place] = replace(listed[place], colour=rng.choice(COLOURS))
        else:
            free = [shape for shape in SHAPES if all(shape != thing.shape for thing in listed)]
            listed[place] = replace(listed[place], shape=rng.choice(free))
        content = replace(content, things=tuple(listed))
    return content


def compose(rng: random.Random, split: str = "pretrain", most: int = 4) -> Example:
    """A described reference and one or two wishes; the answer describes what they lead to."""
    scene = _scene(rng, split)
    content = _described(scene, rng, most)
    style = rng.choice((english.CANONICAL, english.RETRIEVER, english.PEOPLE))
    caption = english.realise(content, style, rng)
    wishes = []
    for _ in range(rng.choice((1, 2, 2))):
        wish, _undo, scene = change_scene(scene, rng)
        wishes.append(wish)
        content = apply(wish, content)
    query = Query("", word_wishes(tuple(wishes), english.PEOPLE, rng), reference_caption=caption)
    return Example("compose", query, _answer(content, rng), content)


FAMILIES: dict[Family, Callable[..., Example]] = {"translate": translate, "condense": condense, "compose": compose}
