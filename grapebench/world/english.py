"""The English of the miniature: one language, three ways of using it.

Every concept has several words. The *retriever* was trained on the first word of each (and on the second of a few), the
*people* who write captions, wishes and articles use all of them, and the *language model* has a taste of its own, which
leans towards words that the retriever never saw. That leaning is the gap which rewriters close by feedback.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from grapebench.world.content import Content, Thing

WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "shape": {
        "circle": ("circle", "disc", "roundel"),
        "square": ("square", "box", "quadrangle"),
        "triangle": ("triangle", "wedge", "trigon"),
        "star": ("star", "pentagram", "asterisk"),
        "heart": ("heart", "valentine", "love symbol"),
        "moon": ("moon", "crescent", "lunar sickle"),
        "cross": ("cross", "plus sign", "crucifix"),
        "ring": ("ring", "hoop", "annulus"),
        "arrow": ("arrow", "pointer", "dart"),
        "house": ("house", "cottage", "dwelling"),
        "tree": ("tree", "conifer", "fir"),
        "fish": ("fish", "carp", "trout"),
        "lantern": ("lantern", "lamp", "luminary"),
        "kite": ("kite", "glider", "paper flyer"),
        "fan": ("fan", "handfan", "ventilator"),
        "teapot": ("teapot", "kettle", "tea vessel"),
        "drum": ("drum", "tambour", "percussion"),
        "gourd": ("gourd", "calabash", "bottle squash"),
        "pagoda": ("pagoda", "temple", "stupa"),
        "umbrella": ("umbrella", "parasol", "brolly"),
    },
    "colour": {
        "red": ("red", "crimson", "scarlet"),
        "orange": ("orange", "tangerine", "amber"),
        "yellow": ("yellow", "golden", "lemony"),
        "green": ("green", "emerald", "verdant"),
        "blue": ("blue", "azure", "cobalt"),
        "purple": ("purple", "violet", "plum"),
        "pink": ("pink", "rosy", "salmon"),
        "brown": ("brown", "chestnut", "umber"),
        "black": ("black", "ebony", "jet"),
        "white": ("white", "ivory", "chalky"),
        "grey": ("grey", "ashen", "silvery"),
        "turquoise": ("turquoise", "teal", "cyan"),
    },
    "size": {"small": ("small", "tiny", "petite"), "large": ("large", "big", "huge")},
    "texture": {
        "striped": ("striped", "banded", "lined"),
        "dotted": ("dotted", "spotted", "speckled"),
        "checked": ("checked", "chequered", "plaid"),
        "plain": ("plain", "unpatterned", "uniform"),
    },
    "relation": {
        "left": ("left of", "to the left of", "west of"),
        "right": ("right of", "to the right of", "east of"),
        "above": ("above", "over", "atop"),
        "below": ("below", "under", "beneath"),
    },
    "background": {
        "sky": ("in the sky", "up in the air", "among clouds"),
        "grass": ("on the grass", "in a meadow", "upon a lawn"),
        "sand": ("on the sand", "at the beach", "upon dunes"),
        "snow": ("in the snow", "in winter", "upon frost"),
        "night": ("at night", "after dark", "by moonlight"),
        "water": ("on the water", "at sea", "upon waves"),
        "wall": ("by a brick wall", "before masonry", "against bricks"),
        "wood": ("on a wooden floor", "on planks", "upon boards"),
    },
}
"""Kind, concept, words: the retriever's own word first. 'plain' is said only where a text wants it."""

KNOWN_SYNONYMS = frozenset(
    {"box", "disc", "crescent", "hoop", "cottage", "lamp", "kettle", "temple", "crimson", "golden", "violet", "teal",
     "tiny", "big", "spotted", "to the left of", "to the right of", "under", "over", "in a meadow", "at the beach"}
)  # fmt: skip
"""The second words that the retriever was trained on as well."""


def rarer_words() -> dict[str, tuple[str, ...]]:
    """Words, each with the later ones of its concept that the retriever never saw."""
    words = [some for concepts in WORDS.values() for some in concepts.values()]
    rare = {
        word: tuple(later for later in some[place + 1 :] if later not in KNOWN_SYNONYMS)
        for some in words
        for place, word in enumerate(some)
    }
    return {word: some for word, some in rare.items() if some}


@dataclass(frozen=True)
class Style:
    """A way of using the language: for each kind and concept the share of each of its words, and of each pattern."""

    words: dict[str, dict[str, tuple[float, ...]]]
    patterns: tuple[float, ...]

    def word(self, kind: str, concept: str, rng: random.Random) -> str:
        return WORDS[kind][concept][_pick(self.words[kind][concept], rng)]


def _pick(shares: tuple[float, ...], rng: random.Random) -> int:
    threshold = rng.random() * sum(shares)
    for index, share in enumerate(shares):
        threshold -= share
        if threshold < 0:
            return index
    return len(shares) - 1


def _style(shares: Mapping[str, tuple[float, ...]], patterns: tuple[float, ...]) -> Style:
    default = shares["*"]
    words = {
        kind: {concept: shares.get(f"{kind}/{concept}", default) for concept in concepts}
        for kind, concepts in WORDS.items()
    }
    return Style(words, patterns)


RETRIEVER = _style(
    {"*": (1.0, 0.0, 0.0)}
    | {
        f"{kind}/{concept}": (0.7, 0.3, 0.0)
        for kind, concepts in WORDS.items()
        for concept, words in concepts.items()
        if words[1] in KNOWN_SYNONYMS
    },
    (0.6, 0.4, 0.0, 0.0, 0.0),
)
"""What the miniature CLIP was trained on."""

CANONICAL = _style({"*": (1.0, 0.0, 0.0)}, (1.0, 0.0, 0.0, 0.0, 0.0))
"""The first word and the first pattern always: the oracle's captions and the caption bank."""

PEOPLE = _style({"*": (0.6, 0.25, 0.15)}, (0.3, 0.2, 0.2, 0.15, 0.15))

_FAVOURITE_IS_OWN = frozenset(
    {"shape/square", "shape/star", "shape/house", "shape/lantern", "shape/umbrella", "shape/tree", "shape/heart",
     "shape/drum", "shape/circle", "shape/ring", "shape/kite", "colour/red", "colour/yellow", "colour/blue",
     "colour/black", "colour/grey", "colour/green", "colour/white", "size/small", "texture/striped", "texture/dotted",
     "relation/left", "relation/above", "background/snow", "background/water", "background/sky", "background/sand",
     "background/wall"}
)  # fmt: skip
"""Concepts for which the language model's favourite happens to be the retriever's word."""


def _taste(kind: str, concept: str) -> tuple[float, ...]:
    if f"{kind}/{concept}" in _FAVOURITE_IS_OWN:
        return (0.6, 0.2, 0.2)
    # The favourite is the second word for half of the concepts and the third for the others.
    return (0.24, 0.52, 0.24) if (len(concept) + ord(concept[0])) % 2 else (0.24, 0.24, 0.52)


MODEL = _style(
    {"*": (1.0, 1.0, 1.0)}
    | {f"{kind}/{concept}": _taste(kind, concept) for kind, concepts in WORDS.items() for concept in concepts},
    (0.15, 0.15, 0.4, 0.15, 0.15),
)
"""The taste of the miniature language model."""


def article(phrase: str) -> str:
    return "an" if phrase[0] in "aeio" or phrase.startswith(("umber", "umbrella", "unpatterned")) else "a"


def noun_phrase(thing: Thing, style: Style, rng: random.Random, determiner: str | None = None) -> str:
    """'a small red striped kite', with the words of the style; 'plain' is left unsaid."""
    words = []
    if thing.size:
        words.append(style.word("size", thing.size, rng))
    if thing.colour:
        words.append(style.word("colour", thing.colour, rng))
    if thing.texture and thing.texture != "plain":
        words.append(style.word("texture", thing.texture, rng))
    words.append(style.word("shape", thing.shape, rng))
    phrase = " ".join(words)
    return f"{determiner or article(phrase)} {phrase}"


def _listing(phrases: list[str]) -> str:
    if len(phrases) < 2:
        return "".join(phrases)
    return ", ".join(phrases[:-1]) + " and " + phrases[-1]


def realise(content: Content, style: Style, rng: random.Random) -> str:
    """One English sentence that says the content and nothing else."""
    phrases = [noun_phrase(thing, style, rng) for thing in content.things]
    relation = style.word("relation", content.relation, rng) if content.relation and len(phrases) > 1 else None
    place = style.word("background", content.background, rng) if content.background else None
    pattern = _pick(style.patterns, rng)
    if relation:
        head, rest = f"{phrases[0]} {relation} {phrases[1]}", phrases[2:]
    else:
        head, rest = _listing(phrases), []
    if pattern == 0:
        text = head + (f" with {_listing(rest)}" if rest else "") + (f" {place}" if place else "")
    elif pattern == 1:
        text = (f"{place}, " if place else "") + head + (f", {_listing(rest)}" if rest else "")
    elif pattern == 2:
        text = f"the picture shows {head}" + (f", along with {_listing(rest)}" if rest else "")
        text += f", {place}" if place else ""
    elif pattern == 3:
        text = "one can see " + head + (f" {place}" if place else "") + (f"; also {_listing(rest)}" if rest else "")
    else:
        text = (f"{place} there is " if place else "there is ") + head
        text += f", not far from {_listing(rest)}" if rest else ""
    return text
