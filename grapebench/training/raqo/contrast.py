"""Challenging concepts without a model that names them: what answers that fail say and answers that find do not.

Our own way, for models too small to say what the retriever does not know: its mistakes tell. Of a query, the phrases
of one or two words that stand in answers which fail and in none that finds; the most telling first, by how much more
often answers that fail hold them in the whole task. How telling a phrase is: the log-odds ratio with a symmetric prior,
over its standard error, after Monroe, Colaresi and Quinn (Fightin' Words, Political Analysis 2008). Only queries with
answers of both kinds are counted: a word is not blamed for what is wrong with a whole query.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


_ARTICLES = frozenset({"a", "an", "the"})
"""They mean nothing, and 'an' stands wherever a rare word begins with a vowel."""


def phrases(text: str) -> frozenset[str]:
    """The words of a text and the pairs of words that follow each other, in lower case, articles left out."""
    words = [word for word in WORD.findall(text.casefold()) if word not in _ARTICLES]
    return frozenset(words) | {f"{one} {other}" for one, other in itertools.pairwise(words)}


@dataclass(frozen=True)
class Contrast:
    """How telling each phrase is, over a task."""

    telling: Mapping[str, float]
    """In standard errors; above 0 where answers that fail hold it more often."""

    @classmethod
    def learn(cls, answers: Iterable[tuple[Iterable[str], Iterable[str]]], smoothing: float) -> Contrast:
        """From each query's answers that fail and those that find."""
        bad: Counter[str] = Counter()
        good: Counter[str] = Counter()
        failing = finding = 0
        for fail, find in answers:
            fails, finds = list(fail), list(find)
            if fails and finds:
                bad.update(phrase for text in fails for phrase in phrases(text))
                good.update(phrase for text in finds for phrase in phrases(text))
                failing, finding = failing + len(fails), finding + len(finds)

        def log_odds(count: int, total: int) -> float:
            return math.log((count + smoothing) / (total - count + smoothing))

        def telling(phrase: str) -> float:
            error = math.sqrt(1 / (bad[phrase] + smoothing) + 1 / (good[phrase] + smoothing))
            return (log_odds(bad[phrase], failing) - log_odds(good[phrase], finding)) / error

        return cls({phrase: telling(phrase) for phrase in bad})

    def concepts(self, fail: Iterable[str], find: Iterable[str], most: int) -> tuple[str, ...]:
        """The most telling phrases of one query, at most `most`, no two of which share a word."""
        missed = frozenset().union(*map(phrases, fail)) - frozenset().union(*map(phrases, find))
        found: list[str] = []
        used: set[str] = set()
        # Of words that only stand together the pair is named: 'plus sign'.
        for phrase in sorted(missed, key=lambda one: (-self.telling.get(one, 0.0), -one.count(" "), one)):
            if len(found) == most or self.telling.get(phrase, 0.0) <= 0:
                break
            words = phrase.split()
            # A pair has to say no less than either of its words.
            if any(self.telling.get(word, 0.0) > self.telling[phrase] for word in words):
                continue
            if used.isdisjoint(words):
                found.append(phrase)
                used.update(words)
        return tuple(found)
