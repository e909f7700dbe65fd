"""Is it a caption at all? What a rewrite has to keep to whatever it ranks, so that training makes no word salad."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grapebench.rewriters import output


@dataclass(frozen=True)
class Form:
    """Of one answer: what keeps to the rules and what does not."""

    parseable: bool
    """The output contract finds a text in it, and it ended within its tokens."""
    length: bool
    """As many words as were asked for."""
    script: bool
    """Its letters are of the script that the retriever reads."""
    repetition: float
    """Share of its pairs of neighbouring words that it has said before; 0 for fewer than two words."""


def form(
    raw: str,
    *,
    words: tuple[int, int] = (3, 40),
    script: str = "LATIN",
    ended: bool = True,
    instructions: tuple[str, ...] = (),
) -> Form:
    """The form of a model's raw answer.

    `words` are the fewest and the most words allowed; `script` is the first word of the Unicode names of its letters.
    `instructions` are the fixed words of the prompt: an answer that repeats them is none.
    """
    text, reason = output.parse(raw, instructions)
    said = text.lower().split()
    pairs = list(itertools.pairwise(said))
    letters = [character for character in text if character.isalpha()]
    foreign = sum(not unicodedata.name(letter, "").startswith(script) for letter in letters)
    return Form(
        parseable=reason is None and ended,
        length=words[0] <= len(said) <= words[1],
        script=bool(letters) and foreign <= 0.05 * len(letters),
        repetition=1 - len(set(pairs)) / len(pairs) if pairs else 0.0,
    )


def score(forms: Sequence[Form], *, repetition: float = 0.2) -> np.ndarray:
    """Share of the four rules that each answer keeps, `(answers,)`; `repetition` is the most that is no fault."""
    rules = [(one.parseable, one.length, one.script, one.repetition <= repetition) for one in forms]
    found: np.ndarray = np.mean(np.array(rules, dtype=np.float64).reshape(len(forms), 4), axis=1)
    return found
