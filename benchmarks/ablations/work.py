"""One run of the plan: data, stages, test, and the record that is kept of it."""

from __future__ import annotations

import functools
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.plan import TEST_QUERIES
from study.work import made_in, weights

from ablations.plan import DATA, FROZEN, VARIANTS, Run
from grapebench import catalog, files

if TYPE_CHECKING:
    from grapebench.evaluation.measure import Report

KEPT = ("queries", "R@1", "R@10", "repetition", "unusable", "detection", "taught")
"""What a record says of each validation."""


def key(run: Run) -> str:
    """What a run is kept under: a hash of its settings, defaults too, of the models' weights and of the prompts."""
    from grapebench.training.raqo.config import RaqoConfig

    settings = RaqoConfig.model_validate(run.settings).model_dump(mode="json") if run.trained else {}
    cards = dict.fromkeys((FROZEN, VARIANTS[run.variant].rewriter if run.trained else FROZEN))
    told = [asdict(run), settings, TEST_QUERIES, weights(), [_prompts(card) for card in cards]]
    return files.sha256_json(told)[:12]


@functools.cache
def _prompts(name: str) -> dict[str, str]:
    found = catalog.rewriter_card(name)
    prompts = found.card.in_suite("mini").prompts
    return {kind: files.sha256_file(found.path.parent / path) for kind, path in prompts.items()}


def training_folder(run: Run, out: Path) -> Path:
    return out / "trainings" / key(run)


def data_folder(run: Run, out: Path) -> Path:
    """Where the data are that all variants of its task and seed learn from."""
    return out / "data" / f"{run.task}-{run.seed}"


def title(run: Run) -> str:
    return f"{run.task}, {run.variant}" + (f", seed {run.seed}" if run.trained else "")


def perform(run: Run, out: Path, report: Report) -> dict[str, Any]:
    """The record of a run, as JSON. A training that was killed goes on in its folder under `out`.

    Raises Busy where another process is building its data.
    """
    from study.testing import open_test

    from grapebench.retrieval import open_retriever
    from grapebench.rewriters import models

    began = time.perf_counter()
    record: dict[str, Any] = {"key": key(run), "run": asdict(run)}
    probe = open_test(run.task, open_retriever(None, "mini"), TEST_QUERIES)
    if run.trained:
        folder = training_folder(run, out)
        card = train(run, folder, data_folder(run, out), report)
        record |= training_figures(folder)
        probe = replace(probe, card=str(card))
        test = {"greedy": probe.figures(probe.rewriter({}, run.seed, card), run.seed, report)}
    else:
        test = {"greedy": probe.figures(probe.rewriter({}), run.seed, report)} | probe.pairing()
    models.load.cache_clear()  # another adapter comes next, and the next training needs the room
    record["test"] = {run.task: test}
    return record | {"seconds": round(time.perf_counter() - began, 1), "environment": made_in()}


def train(run: Run, folder: Path, data: Path, report: Report) -> Path:
    """The card of a training in `folder`, on data that are built unless they are there."""
    from grapebench.training.raqo import mpade, stages
    from grapebench.training.raqo.config import fill
    from grapebench.training.raqo.material import find

    config = fill(run.settings)
    material = find(config, None)
    mpade.build(config, material, data, report)
    stages.run(config, material, folder, (), report)  # what is in the folder belongs to this training from now on
    if not (folder / stages.DATA).is_dir():
        with files.atomic_folder(folder / stages.DATA) as temporary:
            shutil.copytree(data, temporary, dirs_exist_ok=True)
    # With 'data' among the parts it is checked that the copy is what the settings would make.
    stages.run(config, material, folder, ("data", *config.stages), report)
    return stages.card_of(material, folder)


def training_figures(folder: Path) -> dict[str, Any]:
    """What the data cost, what was learnt from, how long, and the validations, all by the stages that there are."""
    from grapebench.training.raqo import stages
    from grapebench.training.raqo.config import STAGES
    from grapebench.training.raqo.fitting import losses

    vals = stages.figures(folder)
    made = [name for name in STAGES if name in vals]
    logs = {name: losses(folder / name) for name in made}
    learnt = {name: _read(folder / name / stages.STAGE)["learnt_from"] for name in made}
    return {
        **data_figures(_read(folder / stages.DATA / "card.json")),
        "learnt_from": learnt,
        "steps_made": {name: len(log) for name, log in logs.items()},
        "training_seconds": round(sum(line["seconds"] for log in logs.values() for line in log), 1),
        "validation_seconds": round(sum(told["seconds"] for told in vals.values()), 1),
        "val": {name: {one: told[one] for one in KEPT} for name, told in vals.items()},
        "detection": (vals[made[-1]]["detection"] or {}) | {"taught": vals[made[-1]]["taught"]},
    }


def data_figures(card: Mapping[str, Any]) -> dict[str, Any]:
    """What making the data took, by their card; tokens are those of the answers."""
    rounds = card["rounds"]
    return {
        "answers": DATA["samples"] * sum(told["queries"] for told in rounds),
        "answer_tokens": sum(told["completion_tokens"] for told in rounds),
        "answer_seconds": round(sum(told["seconds"] for told in rounds), 1),
        "rows": {name: told["rows"] for name, told in card["sets"].items()},
    }


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
