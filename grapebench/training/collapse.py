"""When to stop a training that has collapsed: its rewards tell nothing apart, its rewrites are no captions, the policy
has run away from the model that it started from, or its recall is lost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from grapebench.training.journal import Entry, Step, Val

Share = Annotated[float, Field(ge=0, le=1)]
Times = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Bounds:
    """What a training has to exceed, and for how long, to be called collapsed."""

    flat_groups: Share = 0.95
    """Share of groups without spread in their rewards: from here on there is next to nothing to learn from."""
    repetition: Share = 0.3
    """Mean repetition. The miniature's frozen model has 0.03 to 0.05, and at most 0.2 in 99 of 100 of its rewrites; a
    sentence said twice has nearly 0.5."""
    unusable: Share = 0.5
    """Share of outputs without a rewrite in them."""
    kl: Annotated[float, Field(gt=0)] = 5.0
    """Mean divergence from the model that training started from, in nats a token, as the log has it. Trainings of the
    miniature that learn well reach 2.5 for a step or two and end at 0.3 to 0.8."""
    steps: Times = 20
    """For how many steps running one of the above has to hold: a single step is a few dozen groups at most."""
    recall: Annotated[float, Field(gt=0)] = 3.5
    """By how many standard errors of the difference R@10 has to lie below its best. The best is the luckiest of many,
    so that two would be too few: they would stop every third of the models that stay as they are over 40 validations,
    where 3.5 stop one in a thousand and still notice a fall by 15 points of 500 queries."""
    validations: Times = 3
    """For how many validations running it has to lie there."""


class Watch:
    """Follows a training line by line. Fed with the same log again, it decides the same again.

    For repetition and unusable outputs, half the way from the frozen model's own level to 1 counts instead of a bound
    that is lower: a model that starts badly may be about to learn better.
    """

    def __init__(self, queries: int, bounds: Bounds | None = None) -> None:
        """`queries` is the number of val queries, on which R@10 is measured."""
        self.queries, self.bounds = queries, bounds or Bounds()
        self.best: Val | None = None
        self._frozen: Val | None = None
        self._diverges = self._warned = False
        self._running = dict.fromkeys(("flat_groups", "repetition", "unusable", "kl", "recall"), 0)

    def see(self, entry: Entry) -> str | None:
        """Take the log's next line; where the training has collapsed, the reason as a stop says it ('collapse: …')."""
        match entry:
            case Step():
                return self._see_step(entry)
            case Val():
                return self._see_val(entry)
            case _:
                return None

    def _see_step(self, step: Step) -> str | None:
        limit = self.bounds.steps
        reasons = []
        flat = step.flat_groups is not None and step.flat_groups >= self.bounds.flat_groups
        if self._count("flat_groups", flat) >= limit:
            reward = "" if step.reward is None else f", at a mean reward of {step.reward:.3g}"
            reasons.append(
                f"the rewards' spread is gone: at least {self.bounds.flat_groups:.0%} of the groups flat{reward}"
            )
        for name, value in (("repetition", step.repetition), ("unusable", step.unusable)):
            bound = self._bound(name)
            if self._count(name, value is not None and value > bound) >= limit:
                told = {"repetition": "rewrites repeat themselves", "unusable": "outputs without a rewrite"}[name]
                reasons.append(f"{told}: {value:.0%}, more than {bound:.0%}")
        if self._count("kl", self._ran_away(step)) >= limit:
            reasons.append(f"the policy has run away: a KL of {_nats(step.kl)}, more than {self.bounds.kl:g}")
        return f"collapse: {reasons[0]}, for {limit} steps running" if reasons else None

    def _see_val(self, val: Val) -> str | None:
        if val.step == 0:
            self._frozen = val
        if val.recall_10 is None:
            self._count("recall", False)
            return None
        if self.best is None or self.best.recall_10 is None or val.recall_10 > self.best.recall_10:
            self.best = val
        best = self.best.recall_10
        assert best is not None
        fallen = best - val.recall_10 > self.bounds.recall * self._error(best, val.recall_10)
        if self._count("recall", fallen) < self.bounds.validations:
            return None
        return (
            f"collapse: val R@10 has fallen to {val.recall_10:.1%} from {best:.1%} at step {self.best.step}, by more "
            f"than {self.bounds.recall:g} standard errors for {self.bounds.validations} validations running"
        )

    def warning(self, entry: Entry) -> str | None:
        """What to say of an entry that `see` has taken in: once, when KL first exceeds its bound."""
        if self._warned or not isinstance(entry, Step) or not self._ran_away(entry):
            return None
        self._warned = True
        return (
            f"the policy runs away: a KL of {_nats(entry.kl)} at step {entry.step}, more than {self.bounds.kl:g}; a "
            "lower learning_rate or a higher beta holds it"
        )

    def _ran_away(self, step: Step) -> bool:
        """A KL that is missing where there was one is no number any more: there is none at all with `beta = 0`."""
        self._diverges = self._diverges or step.kl is not None
        return self._diverges and (step.kl is None or step.kl > self.bounds.kl)

    def _count(self, name: str, holds: bool) -> int:
        """For how long something has held without a break."""
        self._running[name] = self._running[name] + 1 if holds else 0
        return self._running[name]

    def _bound(self, name: str) -> float:
        bound: float = getattr(self.bounds, name)
        start: float | None = getattr(self._frozen, name, None)
        return bound if start is None else max(bound, (1 + start) / 2)

    def _error(self, *shares: float) -> float:
        """Standard error of the difference of two shares of the val queries, taken as independent.

        They are of the same queries, so that the true one is smaller and the test errs towards going on. One hit and
        one miss are added (Agresti & Caffo, 2000): shares of 0 and 1 are not without error.
        """
        smoothed = [(share * self.queries + 1) / (self.queries + 2) for share in shares]
        return math.sqrt(sum(share * (1 - share) for share in smoothed) / (self.queries + 2))


def _nats(kl: float | None) -> str:
    return "inf" if kl is None else f"{kl:.3g}"
