"""The rewriters that are shipped trained: what they are, and that they find what the frozen model does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grapebench import catalog
from grapebench.cli.main import app
from grapebench.datasets import seen
from grapebench.errors import UserError
from grapebench.training import journal
from grapebench.training.config import GrapeConfig, fill, read

TASKS = ("cirr", "cvlue", "flickr30k-cn", "wikipedia", "xm3600")
TRAININGS = catalog.folder() / "baselines" / "models" / "grape"


def test_there_is_one_for_each_of_the_five_tasks() -> None:
    card = catalog.rewriter_card("grape").card
    assert set(card.tasks) == set(TASKS)
    assert {path.name for path in TRAININGS.iterdir()} == set(TASKS)


def test_it_differs_from_the_frozen_model_in_its_training_alone() -> None:
    made, frozen = (catalog.rewriter_card(name).card for name in ("grape", "llm"))
    assert made.prompts == frozen.prompts
    assert made.captioner == frozen.captioner
    for task in TASKS:
        assert set(made.tasks[task].settings) == {"adapter"}
    assert made.in_suite("mini").settings == frozen.in_suite("mini").settings


@pytest.mark.parametrize("task", TASKS)
def test_it_is_what_one_command_makes(task: str) -> None:
    """`grapebench train grape --task <task>`: no setting is another than the default."""
    folder = TRAININGS / task
    found = fill(read(folder / "config.toml"))
    assert found.determining == GrapeConfig(task=task).determining  # type: ignore[arg-type]
    entries = journal.read(folder)
    assert [entry.reason for entry in entries if entry.kind == "stop"] == ["finished"]
    assert (folder / "adapter" / "adapter_model.safetensors").stat().st_size <= 1_000_000
    assert not list(folder.rglob("*checkpoint*"))
    base = json.loads((folder / "adapter" / "base.json").read_text(encoding="utf-8"))
    assert len(base["sha256"]) == 64


@pytest.mark.parametrize("task", TASKS)
def test_it_says_what_it_was_trained_and_chosen_on(task: str) -> None:
    found = seen.read(TRAININGS / task / "trained_on.json")
    assert {(source.task, source.suite, source.split) for source in found.sources} == {
        (task, "mini", "train"),
        (task, "mini", "val"),
    }


def test_what_chose_it_is_refused(tmp_path: Path) -> None:
    options = ["--split", "val", "--limit", "5", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, ["run", "--task", "flickr30k-cn", "--rewriter", "grape", *options])
    assert isinstance(done.exception, UserError)
    assert "flickr30k-cn val (mini)" in str(done.exception)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_it_finds_what_the_frozen_model_does_not(task: str, tmp_path: Path) -> None:
    options = ["--limit", "150", "--out", str(tmp_path), "--json"]
    done = CliRunner().invoke(app, ["run", "--task", task, "--rewriter", "llm", "--rewriter", "grape", *options])
    assert done.exit_code == 0, done.output
    frozen, trained = (json.loads(line)["metrics"]["R@10"] for line in done.stdout.splitlines())
    assert trained >= frozen + 0.1
