"""One run of the plan: train, test, and the record that is kept of it."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grapebench import catalog, files
from study import variants
from study.plan import TEST_QUERIES, Run

if TYPE_CHECKING:
    from grapebench.evaluation.measure import Report
    from grapebench.records import Task
    from grapebench.training.grape import Trained
    from grapebench.training.material import Material

MODELS = ("mini-lm/model.safetensors", "mini-clip/open_clip_model.safetensors")


def key(run: Run) -> str:
    """What a run is kept under: a hash of its settings and of the models' weights."""
    told = [run.determining, weights(), asdict(variants.VARIANTS[run.geometry]) if run.geometry else None]
    return files.sha256_json(told)[:12]


@functools.cache
def weights() -> list[str]:
    """Hashes of the models that everything starts from."""
    folder = catalog.folder() / "baselines" / "models"
    return [files.sha256_file(folder / name) for name in MODELS]


def training_folder(run: Run, out: Path) -> Path:
    return out / "trainings" / key(run)


def title(run: Run) -> str:
    """A run in words: its task, and what is not as in other runs."""
    if not run.steps:
        return " ".join(filter(None, (run.task, run.geometry, "frozen")))
    plain = Run(run.task)
    told = [run.task, f"seed {run.seed}", run.reward]
    told += [
        f"{name} {getattr(run, name)}"
        for name in ("pool", "group", "beta", "train_queries", "geometry")
        if getattr(run, name) != getattr(plain, name)
    ]
    return ", ".join(told)


def perform(run: Run, out: Path, report: Report) -> dict[str, Any]:
    """The record of a run, as JSON. A training that was killed goes on in its folder under `out`."""
    began = time.perf_counter()
    retriever = str(variants.folder_of(run.geometry, out / "retrievers")) if run.geometry else None
    record: dict[str, Any] = {"key": key(run), "run": asdict(run)}
    changes: dict[str, Any] = {}
    card = None
    if run.steps:
        folder = training_folder(run, out)
        trained = _train(run, retriever, folder, report)
        card, changes = trained.card, {"adapter": str(folder / "adapter")}
        record |= training_figures(run, trained, folder)
    record["test"] = _tests(run, retriever, changes, card, report)
    return record | {"seconds": round(time.perf_counter() - began, 1), "environment": made_in()}


def made_in() -> dict[str, Any]:
    """What a record tells of code and machine."""
    from grapebench.evaluation.environment import environment

    made = environment()
    return {"commit": made.commit, "dirty": made.dirty, "cpu": made.cpu, "torch": made.packages.get("torch")}


def _train(run: Run, retriever: str | None, folder: Path, report: Report) -> Trained:
    from grapebench.training.config import fill
    from grapebench.training.grape import train
    from grapebench.training.material import find

    material = find(fill(run.settings | {"task": run.tasks, "retriever": retriever}), None)
    return train(limited(material, run.train_queries), folder, report)


def limited(material: Material, count: int | None) -> Material:
    """With fewer queries to train on, at equal distances; the images that they search stay."""
    if count is None:
        return material
    return replace(material, lessons=tuple(replace(one, train=_limited(one.train, count)) for one in material.lessons))


def _limited(task: Task, count: int) -> Task:
    places = np.linspace(0, len(task.queries) - 1, min(count, len(task.queries))).round().astype(int)
    queries = tuple(task.queries[place] for place in np.unique(places).tolist())
    return replace(task, dataset=replace(task.dataset, queries=queries))


def training_figures(run: Run, trained: Trained, folder: Path) -> dict[str, Any]:
    """What the log of a training comes to; `val` is the whole course of the validations."""
    from grapebench.training import journal

    entries = journal.read(folder)
    steps = [entry for entry in entries if isinstance(entry, journal.Step)]
    vals = [entry for entry in entries if isinstance(entry, journal.Val)]
    attempts = run.settings["batch"] * run.group

    def seconds(some: Sequence[Any]) -> float:
        return round(sum(entry.seconds or 0.0 for entry in some), 1)

    return {
        "reason": trained.reason,
        "best_step": trained.best.step,
        "steps_made": len(steps),
        "attempts": attempts * len(steps),
        "attempt_tokens": round(attempts * sum(step.length or 0.0 for step in steps)),
        "training_seconds": seconds(steps),
        "validation_seconds": seconds(vals),
        "flat_groups": float(np.mean([step.flat_groups or 0.0 for step in steps])) if steps else None,
        "kl": steps[-1].kl if steps else None,
        "val": [entry.model_dump(by_alias=True, exclude={"kind", "seconds"}) for entry in vals],
    }


def _tests(
    run: Run, retriever: str | None, changes: dict[str, Any], card: Path | None, report: Report
) -> dict[str, Any]:
    """By task: the greedy answers, and on the task itself those that are fused of K samples, by 'mean-K' and 'best-K'.

    'best' is an oracle: the one answer that ranks the right image highest.
    """
    from grapebench.retrieval import open_retriever
    from grapebench.rewriters import models
    from study.testing import open_test

    opened = open_retriever(retriever, "mini")
    found: dict[str, Any] = {}
    for task in run.tested:
        probe = open_test(task, opened, TEST_QUERIES)
        greedy = probe.figures(probe.rewriter(changes, trained=card), run.seed, report)
        found[task] = {"greedy": greedy} | ({} if run.steps else probe.pairing())
        if task == run.task:
            for count in run.answers:
                for fusion in ("mean", "best") if count > 1 else ("mean",):
                    sampled = {"sample": True, "temperature": 1.0, "samples": count, "fusion": fusion}
                    rewriter = probe.rewriter(changes | sampled, run.seed, card)
                    found[task][f"{fusion}-{count}"] = probe.figures(rewriter, run.seed, report)
    models.load.cache_clear()  # another adapter comes next, and the next training needs the room
    return found
