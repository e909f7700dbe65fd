"""How good the policy is by now: greedy answers to val queries, read, searched and ranked as a run does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from grapebench.records import Rewrite
from grapebench.rewriters import output
from grapebench.rewriters.engines import Answer
from grapebench.rewriters.models import Chat
from grapebench.training import policy
from grapebench.training.journal import Figures, Sample, Val

if TYPE_CHECKING:
    from grapebench.records import Retriever
    from grapebench.rewriters.prompted import Local
    from grapebench.training.material import Part

SAMPLES = 8
"""How many queries of a task are shown through time: always the same."""


@dataclass(frozen=True)
class Validation:
    """The val queries of a task, ready to be asked again and again."""

    label: str
    """The task's name where there are several, else ''."""
    part: Part
    retriever: Retriever
    rewriter: Local
    chat: Chat
    """Its tokeniser and the tokens that end an answer; the model is given each time."""

    @cached_property
    def _prompts(self) -> dict[str, str]:
        queries = self.part.queries
        room = self.rewriter.engine.settings.max_new_tokens  # type: ignore[attr-defined]
        made = policy.prompts(self.chat, self.rewriter.requests(queries), room)
        return {query.id: prompt for query, prompt in zip(queries, made, strict=True)}

    def answer(self, model: Any, share: int, shares: int) -> list[Answer]:
        """Greedy answers to every `shares`-th query, from the one at place `share` on."""
        settings = self.rewriter.engine.settings  # type: ignore[attr-defined]
        ids = [query.id for query in self.part.queries][share::shares]
        prompts = [self._prompts[one] for one in ids]
        return list(policy.answers(model, self.chat, ids, prompts, settings.max_new_tokens, settings.batch_tokens))

    def judge(self, answers: Sequence[Answer], step: int) -> tuple[Figures, list[Sample]]:
        """The figures of answers to all queries, in any order."""
        from grapebench.rewriters.prompted import read

        by_id = {answer.key: answer for answer in answers}
        return self.judged([read(query, by_id[query.id], "text") for query in self.part.queries], step)

    def judged(self, rewrites: Sequence[Rewrite], step: int) -> tuple[Figures, list[Sample]]:
        """The figures of rewrites of all queries, in their order."""
        from grapebench.evaluation import figures, inflation
        from grapebench.evaluation.metrics import mean, success_at
        from grapebench.evaluation.protocols import protocol_named
        from grapebench.evaluation.search import side
        from grapebench.rewards.form import form

        task, queries = self.part.task, self.part.queries
        protocol = replace(protocol_named(task.protocol), image_to_text=False)
        found = side(protocol, task.gallery, queries, self._vectors(rewrites), self.part.images)
        groups = dict(task.dataset.groups) if protocol.by == "category" else {}
        headline = figures.figures(
            protocol, [figures.query_sheet(protocol, queries, found.places, groups)], found.places
        )
        rank = found.places.rank
        recalls = {k: headline.get(f"R@{k}", mean(success_at(rank, k))) for k in (1, 10)}
        similarity = inflation.summary(inflation.figures(found.examined))
        told = Figures(
            recall_1=recalls[1],
            recall_10=recalls[10],
            positive=similarity.positive,
            others=similarity.others,
            top_others=similarity.top_others,
            margin=similarity.margin,
            repetition=float(np.mean([form(rewrite.text).repetition for rewrite in rewrites])),
            unusable=float(np.mean([rewrite.fallback is not None for rewrite in rewrites])),
            cut=float(np.mean([output.is_cut(rewrite) for rewrite in rewrites])),
            length=float(np.mean([rewrite.completion_tokens for rewrite in rewrites])),
            fact_survival=self._survival(rewrites),
        )
        shown = np.unique(np.linspace(0, len(queries) - 1, SAMPLES).round().astype(int)).tolist()
        samples = [
            Sample(
                step=step, task=self.label, query_id=queries[row].id, query=queries[row].text,
                rewrite=rewrites[row].text, rank=int(rank[row]),
            )
            for row in shown
        ]  # fmt: skip
        return told, samples

    def _vectors(self, rewrites: Sequence[Rewrite]) -> np.ndarray:
        """Of the rewrites, `(rewrites, dimension)`. Not stored: no text here is likely to be searched again."""
        texts = list(dict.fromkeys(rewrite.texts[0] for rewrite in rewrites))
        vectors = dict(zip(texts, self.retriever.encode_texts(texts), strict=True))
        return np.stack([vectors[rewrite.texts[0]] for rewrite in rewrites])

    @cached_property
    def _facts(self) -> Mapping[str, frozenset[Any]] | None:
        from grapebench.world.survival import shown

        return shown(self.part.task, self.part.queries)

    def _survival(self, rewrites: Sequence[Rewrite]) -> float | None:
        from grapebench.world.survival import survival

        return None if self._facts is None else survival(self._facts, rewrites)


def together(step: int, seconds: float, figures: Mapping[str, Figures]) -> Val:
    """A validation by the labels of its tasks. Tasks count alike, however many queries they have; what is not known of
    each of them has no mean."""
    means: dict[str, Any] = {
        name: _mean([getattr(one, name) for one in figures.values()]) for name in Figures.model_fields
    }
    return Val(step=step, seconds=seconds, tasks={label: one for label, one in figures.items() if label}, **means)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None
