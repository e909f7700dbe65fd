"""What a training is made of: queries, galleries, the frozen rewriter and retriever, and a record of all of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grapebench import registry
from grapebench.errors import UserError
from grapebench.files import sha256, sha256_json
from grapebench.records import Query, Retriever, Task
from grapebench.rewards.reward import open_rewards
from grapebench.rewriters import LoadedRewriter, open_rewriter
from grapebench.rewriters.setup import Setup
from grapebench.rewriters.training_split import SPLIT, training_split
from grapebench.source_code import source_sha256
from grapebench.training import policy, rates

if TYPE_CHECKING:
    from grapebench.cards import TaskCard
    from grapebench.datasets import Place
    from grapebench.evaluation.measure import Report
    from grapebench.retrieval.store import EmbeddingStore
    from grapebench.rewriters.captioners import LoadedCaptioner
    from grapebench.training.config import GrapeConfig

SEVERAL = "multi"
"""What several tasks are called together."""
TRAINER = 2
"""Of the trainer's arithmetic: raised whenever the same settings and data would be learnt from in another way. From 2
on the loss is GRPO's own by default and not TRL's DAPO, broken rollouts do not shrink the advantages of others, and
the first step of the warm-up learns."""
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
class Lesson:
    """One task of a training: what is trained on, what the checkpoint is chosen by, and how both are asked."""

    setup: Setup
    train: Task
    val: Task
    """Their images are read when they are needed."""
    rewriter: LoadedRewriter
    """As it is before training. Lessons differ in their prompts, not in the model."""
    captioner: LoadedCaptioner | None
    label: str = ""
    """The task's name where there are several; '' where it is the only one."""

    @property
    def prefix(self) -> str:
        """Goes before what belongs to this task where tasks meet, such as ids of queries: equal ones are told apart."""
        return f"{self.label}/" if self.label else ""

    @property
    def record(self) -> dict[str, Any]:
        """What a trained model depends on of this task, as JSON."""
        return {
            "task": self.train.name,
            "suite": self.train.suite,
            "revision": self.train.revision,
            "train": _described(self.train),
            "val": _described(self.val),
            "rewriter": self.rewriter.fingerprint,
            "captioner": None if self.captioner is None else self.captioner.fingerprint,
        }

    def parts(self, retriever: Retriever, report: Report) -> tuple[Part, Part]:
        """Train and val, with captions and vectors, which are stored for the next time."""
        from grapebench.retrieval.store import EmbeddingStore

        store = EmbeddingStore()
        train, val = (self._part(task, retriever, store, report) for task in (self.train, self.val))
        return train, val

    def _part(self, task: Task, retriever: Retriever, store: EmbeddingStore, report: Report) -> Part:
        from grapebench.evaluation.measure import captioned
        from grapebench.retrieval.encode import gallery_vectors

        def counted(done: int, total: int) -> None:
            report(f"encoding images ({self.prefix}{task.split})", done, total)

        queries: Sequence[Query] = task.queries
        images = gallery_vectors(task.gallery, retriever, store, report=counted)
        if self.captioner is not None:
            queries = captioned(task, queries, retriever, self.captioner, store, report)
            self.captioner.require_answers()
        return Part(task, tuple(queries), images)


@dataclass(frozen=True)
class Material:
    config: GrapeConfig
    retriever: Retriever
    lessons: tuple[Lesson, ...]
    """One for each task, in the order of the settings."""

    @property
    def name(self) -> str:
        """The task's, or what several are called together."""
        return self.lessons[0].train.name if len(self.lessons) == 1 else SEVERAL

    @property
    def rewriter(self) -> LoadedRewriter:
        """As it is before training; its prompts are those of the first task."""
        return self.lessons[0].rewriter

    @cached_property
    def record(self) -> dict[str, Any]:
        """What a trained model depends on beside the settings, as JSON."""
        engine: Any = policy.local(self.rewriter).engine
        tasks = {f"{one.prefix}{key}": value for one in self.lessons for key, value in one.record.items()}
        return tasks | {
            "retriever": self.retriever.fingerprint,
            "model": engine.model.identity,
            "reward_files": _sources(self.config.reward.ranks),
            "trainer": TRAINER,
        }


def find(config: GrapeConfig, place: Place | None) -> Material:
    """Tasks, rewriter and retriever of a training; nothing heavy is loaded. Raises UserError where one is missing.

    `place` is where the official files are, None where `grapebench data add` remembered.
    """
    from grapebench import catalog
    from grapebench.retrieval import open_retriever

    open_rewards(config.reward)  # a misspelt one is told before anything is written
    cards = [catalog.task_card(spec).card for spec in config.task]
    for card, count in Counter(card.name for card in cards).items():
        if count > 1:
            raise UserError(f"the task {card} is named {count} times", fix="name each task once")
    if config.steps < len(cards):
        raise UserError(
            f"{config.steps} steps are too few for {len(cards)} tasks, as a step is of one task", fix="set more steps"
        )
    lessons = tuple(_lesson(config, spec, card, place) for spec, card in zip(config.task, cards, strict=True))
    if len(lessons) > 1:
        lessons = tuple(replace(lesson, label=lesson.train.name) for lesson in lessons)
    _check_together(lessons)
    return Material(_rated(config, lessons[0]), open_retriever(config.retriever, config.suite), lessons)


def _rated(config: GrapeConfig, lesson: Lesson) -> GrapeConfig:
    """With a learning rate that suits the model, where none is set."""
    if config.learning_rate is not None:
        return config
    engine: Any = policy.local(lesson.rewriter).engine
    rate = rates.learning_rate(rates.parameters(engine.model.folder), config.full)
    return config.model_copy(update={"learning_rate": rate})


def _lesson(config: GrapeConfig, spec: str, card: TaskCard, place: Place | None) -> Lesson:
    from grapebench.datasets import load_task
    from grapebench.rewriters.captioners import open_captioner

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
    setup = Setup(config.suite, card.family, config.seed, val.root, task=spec)
    train = training_split(setup)
    if config.val == "holdout":
        train, val = _held_out(train)
    val = replace(val, dataset=replace(val.dataset, queries=spread(val.queries, config.val_queries)))
    for task in (train, val):
        without = sum(not query.positives for query in task.queries)
        if without or not task.queries:
            raise UserError(
                f"{task.name} {task.split} cannot be used: {without:,} queries have no label", file=val.root
            )
    rewriter = open_rewriter(config.rewriter, setup, changes(config))
    policy.local(rewriter)
    captioner = None if rewriter.captioner is None else open_captioner(rewriter.captioner, setup)
    return Lesson(setup, train, val, rewriter, captioner)


def _check_together(lessons: Sequence[Lesson]) -> None:
    """Raises UserError for tasks that no one model can be trained and chosen on."""
    first = policy.local(lessons[0].rewriter)
    for lesson in lessons[1:]:
        if policy.local(lesson.rewriter).settings != first.settings:
            raise UserError(
                f"{lesson.rewriter.name} has other settings for {lesson.train.name} than for {lessons[0].train.name}, "
                "and one model is trained",
                fix="train them apart, or start from another card",
            )
    for one, other in itertools.permutations(lessons, 2):
        common = _right_images(one.val) & _right_images(other.train)
        if common:
            raise UserError(
                f"{other.train.name} trains on {len(common):,} of the images that {one.val.name} {one.val.split} "
                "chooses the checkpoint by",
                fix="--set val=holdout holds the same images out of both",
            )


def _right_images(task: Task) -> set[tuple[str, str]]:
    """Equal in all tasks that search the same collection."""
    return {(task.collection or task.name, image) for query in task.queries for image in query.positives}


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


def spread(queries: tuple[Query, ...], count: int) -> tuple[Query, ...]:
    """At most `count` of them, at equal distances."""
    places = np.unique(np.linspace(0, len(queries) - 1, min(count, len(queries))).round().astype(int))
    return tuple(queries[place] for place in places)


def _sources(names: Iterable[str]) -> dict[str, str]:
    """By name, the hash of the source of each reward that is not grapebench's."""
    return {
        name: source_sha256(registry.resolve("rewards", name), registry.source_file(name))
        for name in sorted(names)
        if name not in registry.BUILTIN["rewards"]
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
