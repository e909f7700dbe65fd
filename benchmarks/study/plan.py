"""What the study trains, as data: runs, and the tables that are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

TASKS = ("cirr", "cvlue", "flickr30k-cn", "wikipedia", "xm3600")
MIXED = "+".join(TASKS)
"""One rewriter for all of them."""
TWO = ("cirr", "flickr30k-cn")
"""Where a question is asked of two tasks only: of different families, and cheap."""
SEEDS = (0, 1, 2)
REWARD = "rank-linear"
"""Of every run that does not compare rewards: GRAPE's own."""
REWARDS = ("rank-linear", "rank-log", "reciprocal", "similarity")
MORE_REWARDS = ("discount", "ndcg", "piecewise", "tiers", "contrastive")
STEPS = {"cirr": 24, "cvlue": 24, "flickr30k-cn": 24, "wikipedia": 12, "xm3600": 24}
"""About two minutes of one core, test included; fewer on wikipedia, whose prompts are long. The same for all runs of a
task. One rewriter for all tasks has as many steps as their own together."""
ATTEMPTS = 128
"""A step: groups times their size, whatever that is."""
TEST_QUERIES = 1000
"""Asked of each test split, spread evenly over it: of nearly every image one."""
VALIDATIONS = 3

SETTINGS: dict[str, Any] = {
    "learning_rate": 3e-3,
    "warmup": 4,
    "val_queries": 200,
    "headroom": 0,
}
"""What all trainings share, where it is not the trainer's own default."""
FORM = {"form": "replace"}
"""Rewards differ in their scale by three orders of magnitude. A form reward that is added would be most of one and
nothing of another; where it replaces, a broken rule is worth less than the worst caption under all of them."""


@dataclass(frozen=True)
class Run:
    """One training, and what is measured of it. Without steps it is the frozen model."""

    task: str
    """What it is trained on; several tasks are joined by '+'."""
    seed: int = 0
    steps: int = 0
    reward: str = REWARD
    pool: str | int = "corpus"
    group: int = 8
    beta: float = 0.02
    train_queries: int | None = None
    """So many of the training split, spread evenly over it; None: all."""
    geometry: str = ""
    """A retriever of `variants.VARIANTS`; '' is mini-clip as it is."""
    on: tuple[str, ...] = ()
    """Other tasks that it is tested on."""
    answers: tuple[int, ...] = ()
    """K: how many sampled answers are fused, beside the one greedy answer."""

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.task.split("+"))

    @property
    def tested(self) -> tuple[str, ...]:
        return (*self.tasks, *self.on)

    @property
    def frozen(self) -> Run:
        """The model that its training on one task started from, with all that is ever compared with it."""
        return Run(self.task, geometry=self.geometry, answers=() if self.geometry else _answers(self.task))

    @property
    def settings(self) -> dict[str, Any]:
        """Of the trainer, beside those of `SETTINGS` and the retriever."""
        every = max(1, -(-self.steps // VALIDATIONS))
        return SETTINGS | {
            "task": self.task,
            "seed": self.seed,
            "steps": self.steps,
            "reward": {"ranks": {self.reward: 1.0}, **FORM},
            "pool": self.pool,
            "group": self.group,
            "batch": ATTEMPTS // self.group,
            "beta": self.beta,
            "val_every": every,
            "save_every": every,
        }

    @property
    def determining(self) -> dict[str, Any]:
        """All that its figures depend on but the models, as JSON."""
        return {**asdict(self), "settings": self.settings if self.steps else {}, "test_queries": TEST_QUERIES}


@dataclass(frozen=True)
class Cell:
    """One setting on one task, over the seeds."""

    task: str
    setting: str
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Part:
    """One question: a table and its plots."""

    name: str
    question: str
    cells: tuple[Cell, ...]
    control: str
    """The setting that the others are tested against; of several words with a comma, the last."""
    axis: str = ""
    """What its settings are numbers of; '' where they are names."""
    shared: bool = field(default=False)
    """Whether all of its runs belong to other parts: it only looks at them in another way."""

    def runs(self) -> Iterator[Run]:
        """All of them, those of frozen models first."""
        trained = [run for cell in self.cells for run in cell.runs]
        yield from dict.fromkeys(
            [*(replace(run, task=task).frozen for run in trained for task in run.tested), *trained]
        )


def _answers(task: str) -> tuple[int, ...]:
    return (1, 2, 4, 8) if task in TWO else ()


def base(task: str, seed: int, **changes: Any) -> Run:
    """The run that a part changes in one place. Unchanged it is one and the same run in all parts."""
    run = Run(task, seed, STEPS[task])
    if not changes:
        return replace(run, on=tuple(other for other in TASKS if other != task), answers=_answers(task))
    return replace(run, **changes)


def _cells(tasks: Iterable[str], setting: str, **changes: Any) -> list[Cell]:
    changes = {name: value for name, value in changes.items() if value != getattr(Run(""), name)}
    return [Cell(task, setting, tuple(base(task, seed, **changes) for seed in SEEDS)) for task in tasks]


def _part(
    name: str, question: str, tasks: Iterable[str], changed: str, values: Iterable[Any], control: Any, axis: str
) -> Part:
    cells = [cell for value in values for cell in _cells(tasks, _said(value), **{changed: value})]
    return Part(name, question, tuple(cells), _said(control), axis)


def _said(value: Any) -> str:
    return "all" if value is None else str(value)


def plan() -> dict[str, Part]:
    """All parts by name, those first that others look at again."""
    from study.variants import VARIANTS

    rewards = [cell for reward in REWARDS for cell in _cells(TASKS, reward, reward=reward)]
    rewards += [cell for reward in MORE_REWARDS for cell in _cells(TWO, reward, reward=reward)]
    geometry = [
        cell
        for variant in ("", *VARIANTS)
        for reward in (REWARD, "similarity")
        for cell in _cells(TWO, f"{variant or 'mini-clip'}, {reward}", geometry=variant, reward=reward)
    ]
    plain = tuple(_cells(TASKS, REWARD))
    mixed = Cell("all five", REWARD, tuple(Run(MIXED, seed, sum(STEPS.values())) for seed in SEEDS))
    parts = (
        Part("rewards", "Does rank win over similarity, and does similarity inflate?", tuple(rewards), "similarity"),
        Part("transfer", "What does a rewriter know that was trained on other tasks, or on all?", (*plain, mixed), ""),
        Part("answers", "What do K sampled answers bring, and what do they cost?", plain, "", shared=True),
        _part("pool", "How many images must a reward rank?", TWO, "pool", ("batch", 100, 1000, "corpus"), "corpus", ""),
        _part("group", "Many attempts at few queries, or few at many?", TWO, "group", (4, 8, 16), 8, "group size"),
        _part("kl", "What does the KL term hold?", TWO, "beta", (0.0, 0.02, 0.1), 0.02, "beta"),
        _part(
            "data", "How many queries are enough?", TWO, "train_queries", (32, 128, 512, None), None, "training queries"
        ),
        Part(
            "geometry", "Is it the retriever's geometry that makes similarity inflate?", tuple(geometry), "similarity"
        ),
    )
    return {part.name: part for part in parts}
