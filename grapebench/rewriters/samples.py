"""Several answers to one query: which are asked for, and how they become one rewrite."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from grapebench.records import Fusion, Query, Rewrite
from grapebench.rewriters.answers import failed
from grapebench.rewriters.output import UNDETECTED
from grapebench.rewriters.recot import CONCEPTS

_MARKS = re.compile(r"[\W_]+")
PARTIAL = "answers"
"""In a rewrite's trace: how many of a query's answers it is made of, where that is not all."""
_OTHERS = ", the others: "


def expand(query: Query, samples: int) -> list[Query]:
    """The query once for each answer wanted, as `id`, `id#1`, …: a sampled answer belongs to its id, so that more
    samples later keep those that are there."""
    return [query, *(dataclasses.replace(query, id=f"{query.id}#{number}") for number in range(1, samples))]


@dataclass(frozen=True)
class Combination:
    """Makes one rewrite of the answers to a query."""

    fusion: Fusion = "mean"
    with_query: float = 0.0
    """Weight of the query's own text beside the answers, each of which has weight 1; 0 leaves it out."""
    vote: bool = False
    """Keep the text given most often, instead of all."""

    def __call__(self, query: Query, answers: Sequence[Rewrite]) -> Rewrite:
        """The distinct texts in the order of their first occurrence, weighted by how often they were given.

        Answers that fell back on the query's own text do not count; where all did, so does the rewrite, for the
        commonest reason. Tokens and money are those of all answers.
        """
        usable = [answer for answer in answers if answer.fallback is None]
        raws = [answer.raw for answer in answers if answer.raw is not None]
        texts = [text for answer in usable for text in answer.texts]
        if self.vote and texts:
            texts = [elect(texts)]
        weights: dict[str, float] = {text: float(count) for text, count in Counter(texts).items()}
        fallback = None if weights else _commonest(answers)
        if fallback:
            weights = {query.text: 1.0}
        elif self.with_query:
            weights[query.text] = weights.get(query.text, 0.0) + self.with_query
        trace = {place: text for answer in answers for place, text in answer.trace.items() if place.startswith("cut ")}
        trace |= _detections(answers)
        if usable and len(usable) < len(answers):
            trace[PARTIAL] = f"{len(usable)} of {len(answers)} usable{_OTHERS}{_commonest(answers)}"
        if raws and (lost := [answer for answer in answers if failed(answer)]):
            trace["unanswered"] = _commonest(lost)
        equal = all(weight == 1 for weight in weights.values())
        return Rewrite(
            query.id,
            texts=tuple(weights),
            # For 'max' and 'best' it does not matter how often a text was given.
            weights=() if equal or self.fusion in ("max", "best") else tuple(weights.values()),
            fusion=self.fusion if len(weights) > 1 else "mean",
            raw="\n".join(raws) if raws else None,
            fallback=fallback,
            prompt_tokens=sum(answer.prompt_tokens for answer in answers),
            completion_tokens=sum(answer.completion_tokens for answer in answers),
            money=sum(answer.money for answer in answers),
            seconds=sum(answer.seconds for answer in answers),
            trace=trace,
        )


def partial(rewrite: Rewrite) -> str | None:
    """The commonest reason why some of the answers to a query could not be used; None where all could, or none."""
    return rewrite.trace[PARTIAL].partition(_OTHERS)[2] or None if PARTIAL in rewrite.trace else None


def elect(texts: Sequence[str]) -> str:
    """The text given most often, case, space and punctuation aside; in the manner of self-consistency (Wang et al.,
    ICLR 2023).

    Among equally frequent ones, the one whose words overlap most with those of the other texts (mean Jaccard index);
    then the first. Raises ValueError for no texts.
    """
    plain = [_MARKS.sub(" ", text.casefold()).strip() for text in texts]
    count = Counter(plain)
    most = max(count.values())
    words = [frozenset(text.split()) for text in plain]

    def overlap(place: int) -> float:
        others = [_jaccard(words[place], words[other]) for other in range(len(texts)) if other != place]
        return round(sum(others) / max(len(others), 1), 9)  # equal ones stay equal

    candidates = [place for place, text in enumerate(plain) if count[text] == most and plain.index(text) == place]
    return texts[candidates[0] if len(candidates) == 1 else max(candidates, key=overlap)]


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0


def _detections(answers: Sequence[Rewrite]) -> dict[str, str]:
    """The concepts that answers were made with, and the commonest reason why some answer had none to go by."""
    told = dict.fromkeys(answer.trace[CONCEPTS] for answer in answers if CONCEPTS in answer.trace)
    lost = Counter(answer.trace[UNDETECTED] for answer in answers if UNDETECTED in answer.trace)
    found = {CONCEPTS: " | ".join(told)} if told else {}
    return found | ({UNDETECTED: lost.most_common(1)[0][0]} if lost else {})


def _commonest(answers: Sequence[Rewrite]) -> str:
    reasons = Counter(answer.fallback for answer in answers if answer.fallback)
    return reasons.most_common(1)[0][0] if reasons else "empty"
