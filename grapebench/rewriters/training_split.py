"""The training split of the task that is searched: the only other data a rewriter looks at."""

from __future__ import annotations

from grapebench.cards import TaskCard
from grapebench.datasets import Place, load_task, remembered_place
from grapebench.errors import UserError
from grapebench.records import Task
from grapebench.rewriters.setup import Setup

SPLIT = "train"


def training_split(setup: Setup, images: bool = True) -> Task:
    """The split with its annotations and, with `images`, its pictures.

    Raises UserError where the task has none, or where its files are not beside those of the split that is searched.
    """
    from grapebench import catalog

    if not setup.task:
        raise UserError("this rewriter looks at a task's training split, and was not told which task")
    card = catalog.task_card(setup.task).card
    suite = card.mini if setup.suite == "mini" else card.full
    if suite is None or SPLIT not in suite.splits:
        raise UserError(
            f"{card.name} has no split {SPLIT!r} in the suite {setup.suite}, and this rewriter looks at it",
            fix="choose a task that has one, or another rewriter",
        )
    return load_task(card, setup.suite, SPLIT, _place(card, setup), images=images)


def _place(card: TaskCard, setup: Setup) -> Place | None:
    """Where the split lies: beside the one that is searched."""
    if setup.suite == "mini":
        return None
    try:
        known = remembered_place(card, images=False)
    except UserError:
        return Place.of(setup.root)
    return known if known.root == setup.root else Place.of(setup.root)
