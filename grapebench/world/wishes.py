"""Composed retrieval in the miniature: changes of a scene, look-alikes, and the wishes that ask for a change."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from grapebench.world.content import BACKGROUNDS, COLOURS, RELATIONS, SHAPES, SIZES, TEXTURES, Content, Scene, Thing
from grapebench.world.english import Style, noun_phrase
from grapebench.world.scenes import random_scene, split_of

_CELLS = {"left": ((0, 1), (2, 3)), "right": ((1, 0), (3, 2)), "above": ((0, 2), (1, 3)), "below": ((2, 0), (3, 1))}


@dataclass(frozen=True, slots=True)
class Change:
    """One wish. `kind` is the attribute that changes ('colour', 'size', 'texture'), or 'shape' (replace), 'add',
    'remove', 'background', 'relation'; `shape` is the thing it is about; `value` is what it becomes."""

    kind: str
    shape: str = ""
    value: str = ""
    other: str = ""
    """For 'relation': the thing it shall stand to."""
    thing: Thing | None = None
    """For 'add' and 'shape': the new thing, as far as the wish describes it."""


def _with(thing: Thing, kind: str, value: str | None) -> Thing:
    """The thing with its colour, size or texture changed."""
    changes: dict[str, Any] = {kind: value}
    return replace(thing, **changes)


def apply(change: Change, content: Content) -> Content:
    """What the picture shows after the change. A thing that the content does not know is taken on trust: the wish says
    that it is there, the (mistaken) description of the reference does not."""
    if change.kind == "background":
        return replace(content, background=change.value)
    things = list(content.things)
    place = next((i for i, thing in enumerate(things) if thing.shape == change.shape), None)
    relation = content.relation
    if change.kind == "relation":
        order = {change.shape: 0, change.other: 1}
        present = {thing.shape for thing in things}
        things += [Thing(shape) for shape in (change.shape, change.other) if shape not in present]
        things.sort(key=lambda thing: order.get(thing.shape, 2))
        return Content(tuple(things), change.value, content.background)
    if change.kind == "remove":
        if place is not None:
            del things[place]
            if place < 2:
                relation = None
    elif change.kind in ("add", "shape"):
        assert change.thing is not None
        new = change.thing.shape
        if any(thing.shape == new for thing in things):
            return content
        if change.kind == "shape" and place is not None:
            old = things[place]
            things[place] = replace(old, shape=new)
        else:
            things.append(change.thing)
    elif place is None:
        things.append(_with(Thing(change.shape), change.kind, change.value))
    else:
        value = None if change.value == "plain" else change.value
        things[place] = _with(things[place], change.kind, value)
    return Content(tuple(things), relation if len(things) > 1 else None, content.background)


def change_scene(scene: Scene, rng: random.Random) -> tuple[Change, Change, Scene]:
    """A random small change of a scene: the wish for it, the wish that undoes it, and the new scene."""
    kind = rng.choice(("colour", "colour", "shape", "shape", "add", "size", "texture", "background", "relation"))
    position = rng.randrange(len(scene.things))
    old = scene.things[position]
    if kind == "background":
        value = rng.choice([b for b in BACKGROUNDS if b != scene.background])
        return Change(kind, value=value), Change(kind, value=scene.background), replace(scene, background=value)
    if kind == "relation":
        value = rng.choice([r for r in RELATIONS if r != scene.relation])
        first, second = scene.things[0].shape, scene.things[1].shape
        pair = rng.choice(_CELLS[value])
        rest = [cell for cell in range(4) if cell not in pair]
        cells = (*pair, *rest)[: len(scene.things)]
        wish, undo = Change(kind, first, value, second), Change(kind, first, scene.relation, second)
        return wish, undo, replace(scene, cells=cells)
    if kind == "add" and len(scene.things) == 4:
        kind = "colour"
    if kind in ("add", "shape"):
        shape = rng.choice([s for s in SHAPES if all(s != thing.shape for thing in scene.things)])
        if kind == "shape":
            new = replace(old, shape=shape)
            things = (*scene.things[:position], new, *scene.things[position + 1 :])
            wish = Change(kind, old.shape, thing=Thing(shape))
            return wish, Change(kind, shape, thing=Thing(old.shape)), replace(scene, things=things)
        new = Thing(shape, rng.choice(COLOURS), rng.choice(SIZES), "plain")
        free = [cell for cell in range(4) if cell not in scene.cells]
        added = replace(scene, things=(*scene.things, new), cells=(*scene.cells, rng.choice(free)))
        said = replace(new, texture=None)
        return Change("add", shape, thing=said), Change("remove", shape), added
    choices = {"colour": COLOURS, "size": SIZES, "texture": TEXTURES}[kind]
    value = rng.choice([v for v in choices if v != getattr(old, kind)])
    things = (*scene.things[:position], _with(old, kind, value), *scene.things[position + 1 :])
    undo = Change(kind, old.shape, getattr(old, kind))
    return Change(kind, old.shape, value), undo, replace(scene, things=things)


def word_wish(change: Change, style: Style, rng: random.Random) -> str:
    """One clause that asks for the change."""

    def name(shape: str) -> str:
        return style.word("shape", shape, rng)

    if change.kind == "background":
        place = style.word("background", change.value, rng)
        return rng.choice(("put everything {}", "the same things but {}", "set the scene {}")).format(place)
    if change.kind == "relation":
        relation = style.word("relation", change.value, rng)
        first, second = name(change.shape), name(change.other)
        return rng.choice(("put the {} {} the {}", "move the {} {} the {}", "have the {} {} the {}")).format(
            first, relation, second
        )
    if change.kind == "remove":
        return rng.choice(("remove the {}", "without the {}", "take the {} away")).format(name(change.shape))
    if change.kind == "add":
        assert change.thing is not None
        return rng.choice(("add {}", "also include {}", "with {} as well")).format(
            noun_phrase(change.thing, style, rng)
        )
    if change.kind == "shape":
        assert change.thing is not None
        return rng.choice(("replace the {} with {}", "swap the {} for {}", "instead of the {} show {}")).format(
            name(change.shape), noun_phrase(change.thing, style, rng)
        )
    value = style.word(change.kind, change.value, rng)
    return rng.choice(("make the {} {}", "the {} should be {}", "turn the {} {}")).format(name(change.shape), value)


@dataclass(frozen=True)
class LookAlikes:
    """Six scenes that differ a little, as CIRR's subsets do: a base and five changes of it.

    `wishes[i]` turns member i into member (i + 1) mod 6: it undoes i's change and asks for the next one.
    """

    members: tuple[Scene, ...]
    wishes: tuple[tuple[Change, ...], ...]


def look_alikes(rng: random.Random, split: str) -> Iterator[LookAlikes]:
    """Subsets of six look-alikes, all of one split, without end; no scene occurs twice."""
    seen: set[frozenset[tuple[str, ...]]] = set()
    while True:
        base = random_scene(rng, sizes=(2, 3))
        if split_of(base) != split or base.content().facts() in seen:
            continue
        members, steps = [base], []
        facts = {base.content().facts()}
        for _ in range(400):
            if len(members) == 6:
                break
            wish, undo, scene = change_scene(base, rng)
            key = scene.content().facts()
            if split_of(scene) == split and key not in facts and key not in seen:
                facts.add(key)
                members.append(scene)
                steps.append((wish, undo))
        if len(members) < 6:
            continue
        seen |= facts
        wishes: list[tuple[Change, ...]] = [(steps[0][0],)]
        wishes += [_both(steps[i][1], steps[i + 1][0]) for i in range(4)]
        wishes.append((steps[4][1],))
        yield LookAlikes(tuple(members), tuple(wishes))


def _both(undo: Change, wish: Change) -> tuple[Change, ...]:
    """Undo one change of the base and ask for the next: where both set the same thing, the second alone says it."""
    if undo.kind == wish.kind and undo.kind in ("background", "relation"):
        return (wish,)
    if undo.kind == wish.kind and undo.kind in ("colour", "size", "texture") and undo.shape == wish.shape:
        return (wish,)
    return (undo, wish)


def word_wishes(changes: tuple[Change, ...], style: Style, rng: random.Random) -> str:
    """All clauses of a wish as one line."""
    return " and ".join(word_wish(change, style, rng) for change in changes)
