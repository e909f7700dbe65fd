"""What can be in a picture and what can be said of it: concepts, scenes, and the facts of a text.

A `Scene` is a whole picture; a `Content` is what one text says of it, which may be less. Both are language-free:
the languages turn a content into words, the parser turns English words back into a content.
"""

from __future__ import annotations

from dataclasses import dataclass

PLAIN_SHAPES = (
    "circle", "square", "triangle", "star", "heart", "moon", "cross", "ring", "arrow", "house", "tree", "fish",
)  # fmt: skip
CULTURE_SHAPES = ("lantern", "kite", "fan", "teapot", "drum", "gourd", "pagoda", "umbrella")
SHAPES = PLAIN_SHAPES + CULTURE_SHAPES
COLOURS = (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey", "turquoise",
)  # fmt: skip
SIZES = ("small", "large")
TEXTURES = ("plain", "striped", "dotted", "checked")
RELATIONS = ("left", "right", "above", "below")
INVERSE = {"left": "right", "right": "left", "above": "below", "below": "above"}
BACKGROUNDS = ("sky", "grass", "sand", "snow", "night", "water", "wall", "wood")

Fact = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Thing:
    """One object, or what a text says of it: an attribute left out is None ('plain' texture is never said)."""

    shape: str
    colour: str | None = None
    size: str | None = None
    texture: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What a text says: things in the order they are named, how the first stands to the second, and the place.

    `relation` 'left' reads: the first thing is to the left of the second. No shape occurs twice.
    """

    things: tuple[Thing, ...]
    relation: str | None = None
    background: str | None = None

    def facts(self) -> frozenset[Fact]:
        """The claims of the text as a set, independent of order and wording."""
        found: set[Fact] = set()
        for thing in self.things:
            found.add(("object", thing.shape))
            for name in ("colour", "size", "texture"):
                value = getattr(thing, name)
                if value is not None and value != "plain":
                    found.add((name, thing.shape, value))
        if self.relation and len(self.things) > 1:
            first, second = self.things[0].shape, self.things[1].shape
            if self.relation in ("right", "below"):
                found.add(("relation", second, INVERSE[self.relation], first))
            else:
                found.add(("relation", first, self.relation, second))
        if self.background:
            found.add(("background", self.background))
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole picture: 2 to 4 things with every attribute set, standing in the cells of a 2 × 2 grid.

    `cells[i]` is where thing i stands: 0 top left, 1 top right, 2 bottom left, 3 bottom right. The first two things
    stand side by side or one above the other, never diagonally.
    """

    things: tuple[Thing, ...]
    cells: tuple[int, ...]
    background: str

    @property
    def relation(self) -> str:
        """How the first thing stands to the second."""
        (row_a, column_a), (row_b, column_b) = divmod(self.cells[0], 2), divmod(self.cells[1], 2)
        if row_a == row_b:
            return "left" if column_a < column_b else "right"
        return "above" if row_a < row_b else "below"

    def content(self) -> Content:
        """Everything that can be said of the scene."""
        return Content(self.things, self.relation, self.background)
