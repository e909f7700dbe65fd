"""What a training is made of: queries, galleries, the frozen rewriter and retriever, and a record of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grapebench.errors import UserError
from grapebench.files import sha256, sha256_file, sha256_json
from grapebench.records import Query, Retriever, Task
from grapebench.registry import is_file_spec
from grapebench.rewards.reward import open_rewards
from grapebench.rewriters import LoadedRewriter, open_rewriter
from grapebench.rewriters.setup import Setup
from grapebench.rewriters.training_split import SPLIT, training_split
from grapebench.training import policy

if TYPE_CHECKING:
    from grapebench.datasets import Place
    from grapebench.evaluation.measure import Report
    from grapebench.retrieval.store import EmbeddingStore
    from grapebench.rewriters.captioners import LoadedCaptioner
    from grapebench.training.config import GrapeConfig

HELD_OUT = 20
"""One training image in so many is held out where there is no split to choose the best checkpoint by."""


@dataclass(frozen=True)
class Part:
    """Queries that are asked, and what they search."""

    task: Task
    queries: tuple[Query, ...]
    """With their reference images in words."""
    images: np.ndarray
    """Of the task's gallery, `(gallery, dimension)`, float32 unit rows."""


@dataclass(frozen=True)
class Material:
    config: GrapeConfig
    rewriter: LoadedRewriter
    """As it is before training."""
    retriever: Retriever
    captioner: LoadedCaptioner | None
    tasks: tuple[Task, Task]
    """To train on and to choose by: their queries, images read when they are needed."""

    @cached_property
    def record(self) -> dict[str, Any]:
        """What a trained model depends on beside the settings, as JSON."""
        train, val = self.tasks
        engine: Any = policy.local(self.rewriter).engine
        return {
            "task": train.name,
            "suite": train.suite,
            "revision": train.revision,
            "train": _described(train),
            "val": _described(val),
            "retriever": self.retriever.fingerprint,
            "rewriter": self.rewriter.fingerprint,
            "model": engine.model.identity,
            "captioner": None if self.captioner is None else self.captioner.fingerprint,
            "reward_files": _file_hashes(self.config.reward.ranks),
        }

    def parts(self, report: Report) -> tuple[Part, Part]:
        """Both, with captions and vectors, which are stored for the next time."""
        from grapebench.retrieval.store import EmbeddingStore

        store = EmbeddingStore()
        train, val = (self._part(task, store, report) for task in self.tasks)
        return train, val

    def _part(self, task: Task, store: EmbeddingStore, report: Report) -> Part:
        from grapebench.evaluation.measure import captioned
        from grapebench.retrieval.encode import gallery_vectors

        def counted(done: int, total: int) -> None:
            report(f"encoding images ({task.split})", done, total)

        queries: Sequence[Query] = task.queries
        images = gallery_vectors(task.gallery, self.retriever, store, report=counted)
        if self.captioner is not None:
            queries = captioned(task, queries, self.retriever, self.captioner, store, report)
        return Part(task, tuple(queries), images)


def find(config: GrapeConfig, place: Place | None) -> Material:
    """Tasks, rewriter and retriever of a training; nothing heavy is loaded. Raises UserError where one is missing.

    `place` is where the official files are, None where `grapebench data add` remembered.
    """
    from grapebench import catalog
    from grapebench.datasets import load_task
    from grapebench.retrieval import open_retriever
    from grapebench.rewriters.captioners import open_captioner

    open_rewards(config.reward)  # a misspelt one is told before anything is written
    card = catalog.task_card(config.task).card
    suite = card.mini if config.suite == "mini" else card.full
    if config.val == "val" and suite is not None and suite.default_split == "val":
        raise UserError(
            f"figures of {card.name} ({config.suite}) are reported on val, so that it cannot choose the checkpoint",
            fix="--set val=holdout chooses by training images that are held out",
        )
    if config.val == "val" and suite is not None and "val" not in suite.splits and SPLIT in suite.splits:
        raise UserError(
            f"{card.name} has no split 'val' in the suite {config.suite} to choose the checkpoint by",
            fix="--set val=holdout chooses by training images that are held out",
        )
    split = SPLIT if config.val == "holdout" else "val"
    val = load_task(card, config.suite, split, place)
    setup = Setup(config.suite, card.family, config.seed, val.root, task=config.task)
    train = training_split(setup)
    if config.val == "holdout":
        train, val = _held_out(train)
    val = replace(val, dataset=replace(val.dataset, queries=_spread(val.queries, config.val_queries)))
    for task in (train, val):
        without = sum(not query.positives for query in task.queries)
        if without or not task.queries:
            raise UserError(
                f"{task.name} {task.split} cannot be used: {without:,} queries have no label", file=val.root
            )
    rewriter = open_rewriter(config.rewriter, setup, changes(config))
    policy.local(rewriter)
    captioner = None
    if rewriter.captioner is not None:
        captioner = open_captioner(rewriter.captioner, setup)
    return Material(config, rewriter, open_retriever(config.retriever, config.suite), captioner, (train, val))


def changes(config: GrapeConfig) -> dict[str, Any]:
    """What the settings say otherwise than the card of the rewriter."""
    found: dict[str, Any] = {}
    if config.model is not None:
        folder = Path(config.model).expanduser()
        found["model"] = str(folder.resolve()) if folder.is_dir() else config.model
    if config.max_new_tokens is not None:
        found["max_new_tokens"] = config.max_new_tokens
    return found


def _held_out(train: Task) -> tuple[Task, Task]:
    """The queries of some training images apart; both search the whole gallery."""
    out = {
        query.id for query in train.queries if int(sha256(f"held out {query.positives[:1]}")[:8], 16) % HELD_OUT == 0
    }

    def part(split: str, inside: bool) -> Task:
        queries = tuple(query for query in train.queries if (query.id in out) == inside)
        return replace(train, split=split, dataset=replace(train.dataset, queries=queries))

    return part(train.split, False), part("holdout", True)


def _spread(queries: tuple[Query, ...], count: int) -> tuple[Query, ...]:
    """At most `count` of them, at equal distances."""
    places = np.unique(np.linspace(0, len(queries) - 1, min(count, len(queries))).round().astype(int))
    return tuple(queries[place] for place in places)


def _file_hashes(names: Iterable[str]) -> dict[str, str]:
    """By spec, of the files that rewards of the user's own come from."""
    return {
        name: sha256_file(Path(name.rpartition(":")[0]).expanduser()) for name in sorted(names) if is_file_spec(name)
    }


def _described(task: Task) -> dict[str, Any]:
    return {
        "split": task.split,
        "queries": len(task.queries),
        "images": len(task.gallery),
        "query_ids_sha256": sha256_json([query.id for query in task.queries]),
        "annotations_sha256": task.dataset.fingerprint,
        "image_ids_sha256": sha256_json(task.gallery.ids),
        "images_sha256": sha256_json(task.gallery.images.sha256(task.gallery.ids)),
    }
