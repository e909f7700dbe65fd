"""The reward of a training step: a plain function as TRL takes it, made from rewards by name, weights and a form."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import AllowInfNan

from grapebench.errors import UserError
from grapebench.records import Query, Retriever
from grapebench.rewards import advantages, form
from grapebench.rewards.attempts import Attempts
from grapebench.rewards.pool import Pool, firsts
from grapebench.rewards.values import checked
from grapebench.rewriters import output

if TYPE_CHECKING:
    from grapebench.retrieval.sweep import Similarities

Rank = Callable[[Attempts], np.ndarray]
Finite = Annotated[float, AllowInfNan(False)]


@dataclass(frozen=True)
class Recipe:
    """Which rewards, how much of each, and what an answer that is no caption gets."""

    ranks: Mapping[str, Finite] = field(default_factory=lambda: {"rank-linear": 1.0})
    """Names of rewards, or path/to/file.py:function, and their weights."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Keyword arguments of rewards by name ({'ndcg': {'k': 5}})."""
    subset: Finite = 0.0
    """Weight of the same rewards among the look-alikes alone (CIRR)."""
    form: Literal["add", "replace", "off"] = "replace"
    """'replace': an answer that breaks a rule gets less than the worst of its group that breaks none, whatever it ranks
    and whatever the scale of the reward is, and takes nothing from how much the others differ. 'add': `form_weight`
    times the share of rules kept is added."""
    form_weight: Finite = 1.0
    words: tuple[int, int] = (3, 40)
    script: str = "LATIN"
    repetition: float = 0.2


@dataclass(frozen=True)
class Judged:
    """What one step's answers are worth, arrays of shape `(answers,)`."""

    reward: np.ndarray
    broken: np.ndarray
    """Share of the rules broken, of the answers whose reward was replaced for it; 0 for all others."""
    starts: np.ndarray
    """Places at which the groups begin after the first: answers that follow each other to one query are a group."""
    rank: np.ndarray
    """Middle rank of the best right image in the pool."""
    form: np.ndarray
    """Share of the rules kept."""
    repetition: np.ndarray
    """Share of pairs of neighbouring words that were said before."""
    usable: np.ndarray
    """Whether a text was found in the answer."""
    similarities: Similarities
    """To the right image and to the others of the pool, arrays of shape `(groups,)`: of the first of the answers that
    follow each other to one query. They are looked at, and no reward is made of them."""
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

    def __init__(self, recipe: Recipe, pool: Pool, retriever: Retriever, instructions: tuple[str, ...] = ()) -> None:
        """`instructions` are the fixed words of the prompt: an answer that repeats them is unusable."""
        self.recipe, self.pool, self.retriever, self.instructions = recipe, pool, retriever, instructions
        self._rewards = open_rewards(recipe)
        self._vectors: dict[str, np.ndarray] = {}

    def __call__(
        self, answers: Sequence[str], queries: Sequence[Query], step: int, ended: Sequence[bool] | None = None
    ) -> Judged:
        """What each raw answer to its query is worth. An unusable one searches the query's own text, as in a run.

        `ended` says which answers came to their end within their tokens; None: all.
        """
        ended = [True] * len(answers) if ended is None else ended
        forms = [
            form.form(
                answer, words=self.recipe.words, script=self.recipe.script, ended=whole, instructions=self.instructions
            )
            for answer, whole in zip(answers, ended, strict=True)
        ]
        texts, usable = [], []
        for answer, query in zip(answers, queries, strict=True):
            text, reason = output.parse(answer, self.instructions)
            texts.append(query.text if reason else text)
            usable.append(reason is None)
        attempts = self.pool.attempts(self._encoded(texts), queries, step)
        parts = self._parts(attempts)
        total = self._weighted(parts)
        if self.recipe.subset and attempts.subsets:
            total = total + self.recipe.subset * self._weighted(self._parts(attempts.among_look_alikes))
        kept = form.score(forms, repetition=self.recipe.repetition)
        if self.recipe.form == "add":
            total = total + self.recipe.form_weight * kept
        total = checked(" + ".join(self._rewards), total, len(answers))
        broken = 1 - kept if self.recipe.form == "replace" else np.zeros(len(answers))
        starts = firsts([query.id for query in queries])[1:]
        return Judged(
            reward=advantages.replaced(total, broken, starts),
            broken=broken,
            starts=starts,
            rank=attempts.rank,
            form=kept,
            repetition=np.array([one.repetition for one in forms], np.float64),
            usable=np.array(usable, dtype=bool),
            similarities=attempts.examined.similarities,
            parts=parts,
        )

    def forget(self) -> None:
        """Drop the vectors of earlier texts: their last bits depend on the texts beside which they were encoded."""
        self._vectors.clear()

    def _parts(self, attempts: Attempts) -> dict[str, np.ndarray]:
        count = len(attempts.vectors)
        return {name: checked(name, rank(attempts), count) for name, rank in self._rewards.items()}

    def _weighted(self, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        found: np.ndarray = sum((self.recipe.ranks[name] * part for name, part in parts.items()), np.zeros(1))
        return found

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


def as_trl(
    judge: Judge, queries: Mapping[str, Query], ends: Collection[int] | None = None, normalized: bool = False
) -> Callable[..., list[float]]:
    """A reward function for TRL: `queries` are those of the training set by id, its column `query_id` names them.

    `ends` are the tokens that end an answer; None: answers that broke off are not told from others. `normalized`: by
    the deviation of each group's well-formed rollouts, for TRL's `scale_rewards = "none"`, which takes off the mean.
    """

    def reward(
        prompts: Sequence[Any],
        completions: Sequence[Any],
        query_id: Sequence[str],
        completion_ids: Sequence[Sequence[int]] | None = None,
        trainer_state: Any = None,
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        **_: Any,
    ) -> list[float]:
        answers = [one if isinstance(one, str) else one[-1]["content"] for one in completions]
        step = trainer_state.global_step if trainer_state is not None else 0
        ended = None
        if ends is not None and completion_ids is not None:
            ended = [bool(tokens) and tokens[-1] in ends for tokens in completion_ids]
        judged = judge(answers, [queries[one] for one in query_id], step, ended)
        if log_metric is not None:
            for name, value in figures(judged).items():
                log_metric(name, value)
        if log_extra is not None:
            log_extra("rank", judged.rank.tolist())
        worth = judged.reward
        if normalized:
            worth = advantages.normalized(judged.reward, judged.broken, judged.starts)
        return [float(one) for one in worth]

    return reward


def figures(judged: Judged) -> dict[str, float]:
    """What a training watches, by the name it is logged under.

    Similarities are those of each group's first attempt, the others are means over all.
    """
    told = judged.similarities
    similarities = {"positive": told.positive, "others": told.others, "top_others": told.top, "margin": told.margin}
    spreads = [group.std() for group in np.split(judged.reward, judged.starts)]
    return {
        "rank/median": float(np.median(judged.rank)),
        "rank/first": float(np.mean(judged.rank < 1.5)),
        "form/kept": float(judged.form.mean()),
        "form/repetition": float(judged.repetition.mean()),
        "form/unusable": float(np.mean(~judged.usable)),
        "group/mean": float(judged.reward.mean()),
        "group/std": float(np.mean(spreads)),
        "group/flat": float(np.mean(np.isclose(spreads, 0))),
    } | {f"similarity/{name}": _mean(column) for name, column in similarities.items()}


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean(dtype=np.float64)) if len(known) else float("nan")
