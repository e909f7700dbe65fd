"""What the ablations train, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from study.plan import SEEDS, TWO

TASKS = TWO
FROZEN = "llm"
"""The card of the frozen model, which is also asked while data are made."""


@dataclass(frozen=True)
class Variant:
    """RAQO, or what is left of it."""

    rewriter: str
    """The card that training starts from."""
    stages: tuple[str, ...]


WHOLE = "RAQO"
VARIANTS = {
    WHOLE: Variant("recot", ("ccd", "qre", "pro")),
    # Nothing is detected: the model is asked for the rewrite alone.
    "without ReCoT": Variant("llm", ("qre", "pro")),
    # It is still asked for concepts first, and was never taught to name them.
    "without D_CCR": Variant("recot", ("qre", "pro")),
    "without D_QRE": Variant("recot", ("ccd", "pro")),
    "without D_PRO": Variant("recot", ("ccd", "qre")),
}
"""As in table 4 of the paper. A set that is left out is left out with its stage."""
DATA = {"rewriter": FROZEN, "queries": 400, "rounds": 2, "samples": 8}
SETTINGS: dict[str, Any] = {"val_queries": 100, "data": DATA}
"""What all trainings share, where it is not the trainer's own default: a few minutes of one core, and as much for the
data, which are made once for all variants of a task and a seed."""


@dataclass(frozen=True)
class Run:
    """One training and its test, or the test of the frozen model."""

    task: str
    variant: str = FROZEN
    seed: int = 0

    @property
    def trained(self) -> bool:
        return self.variant != FROZEN

    @property
    def settings(self) -> dict[str, Any]:
        """Of the trainer; none for the frozen model."""
        if not self.trained:
            return {}
        variant = VARIANTS[self.variant]
        own = {"task": self.task, "seed": self.seed, "rewriter": variant.rewriter, "stages": list(variant.stages)}
        return SETTINGS | own


def plan() -> list[Run]:
    """All runs. Those that need the same data do not follow each other, so that two processes can begin at once."""
    trained = [Run(task, variant, seed) for variant in VARIANTS for seed in SEEDS for task in TASKS]
    return [*map(Run, TASKS), *trained]
