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


@dataclass(frozen=True, slots=True)
class Level:
    """How hard an example is. What is left out is as hard as the tasks are."""

    most: int = 4
    """Things that a text names at most."""
    english_share: float = 0.08
    """Captions to translate that are English already."""
    plain_wishes: bool = False
    """Compose: one wish about a reference that is described without a mistake, both in the first words."""
    answers: english.Style = english.MODEL


HARDEST = Level()


def _scene(rng: random.Random, split: str, most: int = 4) -> Scene:
    while True:
        scene = random_scene(rng, culture=rng.random() < 0.3, sizes=(2,) if most <= 2 else (2, 3, 4))
        if split_of(scene) == split:
            return scene


def _said(scene: Scene, rng: random.Random, most: int) -> Content:
    """What an annotator says of the first `most` things."""
    content = observe(scene, rng)
    things = content.things[:most]
    return replace(content, things=things, relation=content.relation if len(things) > 1 else None)


def translate(rng: random.Random, split: str = "pretrain", level: Level = HARDEST) -> Example:
    """A caption in any language of the world, English too; Chinese more often, as two tasks are in Chinese."""
    content = _said(_scene(rng, split), rng, level.most)
    language = "en" if rng.random() < level.english_share else "zh" if rng.random() < 0.25 else rng.choice(LANGUAGES)
    text = english.realise(content, english.PEOPLE, rng) if language == "en" else realise(content, language, rng)
    answer = english.realise(content, level.answers, rng)
    return Example("translate", Query("", text, language=language), answer, content)


def condense(rng: random.Random, split: str = "pretrain", level: Level = HARDEST) -> Example:
    """An article; half of them are shorter than the real ones, which teaches where to look for less."""
    content = _said(_scene(rng, split), rng, level.most)
    length = 255 if rng.random() < 0.5 else rng.randrange(30, 255)
    text = article(content, rng.choice(CATEGORIES), rng, length)
    return Example("condense", Query("", text), english.realise(content, level.answers, rng), content)


def _described(scene: Scene, rng: random.Random) -> Content:
    """A reference image as a captioner may put it: often short, and half of the time wrong about some things.

    A caption bank has no line for most pictures, so its nearest one names things that are not there.
    """
    content = observe(scene, rng)
    if rng.random() < 0.5:
        short = (replace(thing, size=None, texture=None) for thing in content.things[: rng.choice((2, 2, 3))])
        content = Content(tuple(short))
    if rng.random() < 0.5:
        for place in range(len(content.things)):
            if rng.random() < 0.5:
                content = _mistaken(content, place, rng)
    return content


def _mistaken(content: Content, place: int, rng: random.Random) -> Content:
    """With another shape or another colour at one place."""
    things = list(content.things)
    if rng.random() < 0.3:
        things[place] = replace(things[place], colour=rng.choice(COLOURS))
    else:
        free = [shape for shape in SHAPES if all(shape != thing.shape for thing in things)]
        things[place] = replace(things[place], shape=rng.choice(free))
    return replace(content, things=tuple(things))


def compose(rng: random.Random, split: str = "pretrain", level: Level = HARDEST) -> Example:
    """A described reference and one or two wishes; the answer describes what they lead to."""
    scene = _scene(rng, split, level.most)
    if level.plain_wishes:
        content, count = observe(scene, rng), 1
        told = asked = english.CANONICAL
    else:
        content, count = _described(scene, rng), rng.choice((1, 2, 2))
        told, asked = rng.choice((english.CANONICAL, english.RETRIEVER, english.PEOPLE)), english.PEOPLE
    caption = english.realise(content, told, rng)
    wishes = []
    for _ in range(count):
        wish, _undo, scene = change_scene(scene, rng)
        wishes.append(wish)
        content = apply(wish, content)
    query = Query("", word_wishes(tuple(wishes), asked, rng), reference_caption=caption)
    return Example("compose", query, english.realise(content, level.answers, rng), content)


FAMILIES: dict[Family, Callable[..., Example]] = {"translate": translate, "condense": condense, "compose": compose}
