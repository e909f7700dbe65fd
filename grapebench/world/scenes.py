"""Which pictures exist: sampling scenes, the split each belongs to, and what a person says of one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from grapebench.files import sha256
from grapebench.world.content import (
    BACKGROUNDS,
    COLOURS,
    CULTURE_SHAPES,
    SHAPES,
    SIZES,
    TEXTURES,
    Content,
    Scene,
    Thing,
)

SPLITS = ("pretrain", "train", "val", "test")
_UPPER_BOUNDS = (60, 85, 90, 100)


def split_of(scene: Scene) -> str:
    """The split a scene belongs to: a function of its facts, so that no scene is ever in two.

    'pretrain' (60 %) is what the miniature models are trained on; the others are the tasks' splits.
    """
    bucket = int(sha256(repr(sorted(scene.content().facts())))[:8], 16) % 100
    return next(name for name, bound in zip(SPLITS, _UPPER_BOUNDS, strict=True) if bucket < bound)


def random_thing(rng: random.Random, shapes: tuple[str, ...]) -> Thing:
    # Half of all things are plain: a texture is a remarkable fact, as it is in photographs.
    texture = "plain" if rng.random() < 0.5 else rng.choice(TEXTURES[1:])
    return Thing(rng.choice(shapes), rng.choice(COLOURS), rng.choice(SIZES), texture)


def random_scene(rng: random.Random, *, culture: bool = False, sizes: tuple[int, ...] = (2, 3, 4)) -> Scene:
    """A scene of any split; with `culture` at least its first thing is culture-bound."""
    things: list[Thing] = []
    count = rng.choice(sizes)
    while len(things) < count:
        thing = random_thing(rng, CULTURE_SHAPES if culture and not things else SHAPES)
        if all(thing.shape != other.shape for other in things):
            things.append(thing)
    cells = [0, 1, 2, 3]
    rng.shuffle(cells)
    if cells[0] + cells[1] == 3:  # the diagonals are the cells 0, 3 and 1, 2
        cells[1], cells[2] = cells[2], cells[1]
    return Scene(tuple(things), tuple(cells[:count]), rng.choice(BACKGROUNDS))


def sample(draw: Callable[[], Scene], split: str) -> Iterator[Scene]:
    """Distinct scenes of one split, without end."""
    seen: set[frozenset[tuple[str, ...]]] = set()
    while True:
        scene = draw()
        if split_of(scene) == split and (facts := scene.content().facts()) not in seen:
            seen.add(facts)
            yield scene


def observe(scene: Scene, rng: random.Random) -> Content:
    """What one annotator says of a scene: most of it, in the order of the things, never all."""
    things: list[Thing] = []
    for thing in scene.things:
        if len(things) >= 2 and rng.random() < 0.15:
            continue
        things.append(
            replace(
                thing,
                colour=thing.colour if rng.random() < 0.97 else None,
                size=thing.size if rng.random() < 0.6 else None,
                texture=thing.texture if thing.texture != "plain" and rng.random() < 0.85 else None,
            )
        )
    return Content(
        tuple(things),
        scene.relation if rng.random() < 0.7 else None,
        scene.background if rng.random() < 0.6 else None,
    )
