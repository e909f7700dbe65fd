"""The reward of a training step: a plain function as TRL takes it, made from rewards by name, weights and a form."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from grapebench.errors import UserError
from grapebench.records import Query, Retriever
from grapebench.rewards import form
from grapebench.rewards.attempts import Attempts
from grapebench.rewards.pool import Pool
from grapebench.rewriters import output

Rank = Callable[[Attempts], np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """Which rewards, how much of each, and what an answer that is no caption gets."""

    ranks: Mapping[str, float] = field(default_factory=lambda: {"rank-linear": 1.0})
    """Names of rewards, or path/to/file.py:function, and their weights."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Keyword arguments of rewards by name ({'ndcg': {'k': 5}})."""
    subset: float = 0.0
    """Weight of the same rewards among the look-alikes alone (CIRR)."""
    form: Literal["add", "replace", "off"] = "add"
    """'add': `form_weight` times the share of rules kept is added. 'replace': an answer that breaks a rule gets less
    than the worst answer of its step that breaks none, whatever it ranks."""
    form_weight: float = 1.0
    words: tuple[int, int] = (3, 40)
    script: str = "LATIN"
    repetition: float = 0.2


@dataclass(frozen=True)
class Judged:
    """What one step's answers are worth, arrays of shape `(answers,)`."""

    reward: np.ndarray
    rank: np.ndarray
    """Middle rank of the best right image in the pool."""
    form: np.ndarray
    """Share of the rules kept."""
    parts: Mapping[str, np.ndarray]
    """Each reward by name, unweighted."""


def open_rewards(recipe: Recipe) -> dict[str, Rank]:
    """The functions of a recipe. Raises UserError for an unknown name or option."""
    from grapebench import registry

    found: dict[str, Rank] = {}
    for name in recipe.ranks:
        function = registry.resolve("rewards", name)
        options = dict(recipe.options.get(name, {}))
        allowed = list(inspect.signature(function).parameters)[1:]
        for option in options:
            if option not in allowed:
                fix = f"allowed are {', '.join(allowed)}" if allowed else "it has none"
                raise UserError(f"reward {name!r} has no option {option!r}", fix=fix)
        found[name] = functools.partial(function, **options)
    if not found:
        raise UserError("no reward is named", fix="name one, such as rank-linear")
    return found


class Judge:
    """Answers to queries of one training split, judged by one recipe."""

    def __init__(self, recipe: Recipe, pool: Pool, retriever: Retriever) -> None:
        self.recipe, self.pool, self.retriever = recipe, pool, retriever
        self._rewards = open_rewards(recipe)
        self._vectors: dict[str, np.ndarray] = {}

    def __call__(self, answers: Sequence[str], queries: Sequence[Query], step: int) -> Judged:
        """What each raw answer to its query is worth. An unusable one searches the query's own text, as in a run."""
        forms = [form.form(answer, words=self.recipe.words, script=self.recipe.script) for answer in answers]
        texts = []
        for answer, query in zip(answers, queries, strict=True):
            text, reason = output.parse(answer)
            texts.append(query.text if reason else text)
        attempts = self.pool.attempts(self._encoded(texts), queries, step)
        parts = {name: np.asarray(rank(attempts), np.float64) for name, rank in self._rewards.items()}
        total = self._weighted(parts)
        if self.recipe.subset and attempts.subsets:
            near = attempts.among_look_alikes
            total = total + self.recipe.subset * self._weighted(
                {name: rank(near) for name, rank in self._rewards.items()}
            )
        kept = form.score(forms, repetition=self.recipe.repetition)
        return Judged(self._with_form(total, kept), attempts.rank, kept, parts)

    def _weighted(self, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        found: np.ndarray = sum((self.recipe.ranks[name] * part for name, part in parts.items()), np.zeros(1))
        return found

    def _with_form(self, total: np.ndarray, kept: np.ndarray) -> np.ndarray:
        if self.recipe.form == "off":
            return total
        if self.recipe.form == "add":
            return total + self.recipe.form_weight * kept
        whole = kept == 1
        floor = total[whole].min() if whole.any() else 0.0
        return np.where(whole, total, floor - (1 - kept))

    def _encoded(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of texts, `(texts, dimension)`; a text is encoded once as long as the last few thousand hold it."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if len(self._vectors) + len(fresh) > _KEPT:
            self._vectors.clear()
            fresh = list(dict.fromkeys(texts))
        if fresh:
            self._vectors |= zip(fresh, self.retriever.encode_texts(fresh), strict=True)
        return np.stack([self._vectors[text] for text in texts])


_KEPT = 20_000


def as_trl(judge: Judge, queries: Mapping[str, Query]) -> Callable[..., list[float]]:
    """A reward function for TRL: `queries` are those of the training set by id, its column `query_id` names them."""

    def reward(
        prompts: Sequence[Any],
        completions: Sequence[Any],
        query_id: Sequence[str],
        trainer_state: Any = None,
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        **_: Any,
    ) -> list[float]:
        answers = [one if isinstance(one, str) else one[-1]["content"] for one in completions]
        step = trainer_state.global_step if trainer_state is not None else 0
        judged = judge(answers, [queries[one] for one in query_id], step)
        if log_metric is not None:
            log_metric("rank/median", float(np.median(judged.rank)))
            log_metric("rank/first", float(np.mean(judged.rank < 1.5)))
            log_metric("form/kept", float(judged.form.mean()))
        if log_extra is not None:
            log_extra("rank", judged.rank.tolist())
        return [float(one) for one in judged.reward]

    return reward
