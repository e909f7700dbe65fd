"""The rewriters that are shipped trained: what they are, and that they find what the frozen model does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from grapebench import catalog
from grapebench.cli.main import app
from grapebench.datasets import seen
from grapebench.errors import UserError
from grapebench.rewriters import LoadedRewriter, open_rewriter
from grapebench.rewriters.prompts import DETECT
from grapebench.rewriters.setup import Setup
from grapebench.training import journal
from grapebench.training.config import GrapeConfig, fill, read
from grapebench.training.raqo import config as raqo
from grapebench.training.raqo import stages
from grapebench.training.raqo.fitting import losses

TASKS = ("cirr", "cvlue", "flickr30k-cn", "wikipedia", "xm3600")
MODELS = catalog.folder() / "baselines" / "models"
STARTED_FROM = {"grape": "llm", "raqo": "recot"}

methods = pytest.mark.parametrize("method", STARTED_FROM)
tasks = pytest.mark.parametrize("task", TASKS)


def trainings(method: str, task: str) -> list[tuple[int, Path]]:
    """Seed and folder of each that ships; the card's `{seed}` is the folder's name."""
    return sorted((int(folder.name), folder) for folder in (MODELS / method / task).iterdir())


@methods
def test_there_is_one_for_each_of_the_five_tasks(method: str) -> None:
    card = catalog.rewriter_card(method).card
    assert set(card.tasks) == set(TASKS)
    assert {path.name for path in (MODELS / method).iterdir()} == set(TASKS)


@methods
def test_it_differs_from_what_it_started_from_in_its_training_alone(method: str) -> None:
    made, start = (catalog.rewriter_card(name).card for name in (method, STARTED_FROM[method]))
    asked = start.in_suite("mini").prompts
    # Each family has a question of its own for concepts, so that the one for all is never put.
    assert made.prompts == {kind: path for kind, path in asked.items() if kind != DETECT}
    assert made.captioner == start.captioner
    assert made.in_suite("mini").settings == start.in_suite("mini").settings
    for task in TASKS:
        assert set(made.tasks[task].settings) == {"adapter"}


@methods
@tasks
def test_its_adapter_is_small_and_bound_to_its_weights(method: str, task: str) -> None:
    found = trainings(method, task)
    assert [seed for seed, _ in found] == list(range(len(found)))
    for _, folder in found:
        [weights] = folder.rglob("*.safetensors")
        assert weights.parent == folder / "adapter"
        assert weights.stat().st_size <= 1_000_000
        base = json.loads((folder / "adapter" / "base.json").read_text(encoding="utf-8"))
        assert len(base["sha256"]) == 64


@tasks
def test_grape_is_what_one_command_makes(task: str) -> None:
    """`grapebench train grape --task <task> --seed <seed>`: no setting is another than the default.

    Those that ship now are of the trainer's first version, whose loss was TRL's default.
    """
    for seed, folder in trainings("grape", task):
        found = fill(read(folder / "config.toml"))
        made_by = json.loads((folder / "data.json").read_text(encoding="utf-8")).get("trainer", 1)
        loss: dict[str, Any] = {"loss": "dapo"} if made_by == 1 else {}
        expected = GrapeConfig(task=task, seed=seed, learning_rate=3e-3, **loss)  # type: ignore[arg-type]
        assert found.determining == expected.determining
        entries = journal.read(folder)
        assert [entry.reason for entry in entries if entry.kind == "stop"] == ["finished"]


@tasks
def test_raqo_is_what_one_command_makes(task: str) -> None:
    """`grapebench train raqo --task <task> --seed <seed>`: no setting is another than the default, and no stage was
    left out."""
    for seed, folder in trainings("raqo", task):
        assert raqo.fill(read(folder / "config.toml")) == raqo.RaqoConfig(task=task, seed=seed)
        assert list(stages.figures(folder)) == ["start", *raqo.STAGES]
        for stage in raqo.STAGES:
            steps = [line["step"] for line in losses(folder / stage)]
            assert steps == list(range(1, len(steps) + 1))


@methods
@tasks
def test_it_says_what_it_was_trained_and_chosen_on(method: str, task: str) -> None:
    for _, folder in trainings(method, task):
        found = seen.read(folder / "trained_on.json")
        assert {(source.task, source.suite, source.split) for source in found.sources} == {
            (task, "mini", "train"),
            (task, "mini", "val"),
        }


@methods
def test_a_seed_that_was_not_trained_is_told_with_those_that_were(method: str, tmp_path: Path) -> None:
    known = ", ".join(str(seed) for seed, _ in trainings(method, "cirr"))
    options = ["--seed", "77", "--limit", "5", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, ["run", "--task", "cirr", "--rewriter", method, *options])
    assert isinstance(done.exception, UserError)
    told = f"rewriter '{method}' has no weights of seed 77 for cirr, only of: {known}; say --seed 0"
    assert told in str(done.exception)


@methods
def test_what_chose_it_is_refused(method: str, tmp_path: Path) -> None:
    options = ["--split", "val", "--limit", "5", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, ["run", "--task", "flickr30k-cn", "--rewriter", method, *options])
    assert isinstance(done.exception, UserError)
    assert "flickr30k-cn val (mini)" in str(done.exception)


@pytest.mark.slow
@methods
@tasks
def test_it_finds_what_the_frozen_model_does_not(method: str, task: str, tmp_path: Path) -> None:
    options = ["--limit", "60", "--out", str(tmp_path), "--json"]
    done = CliRunner().invoke(app, ["run", "--task", task, "--rewriter", "llm", "--rewriter", method, *options])
    assert done.exit_code == 0, done.output
    frozen, trained = (json.loads(line)["metrics"]["R@10"] for line in done.stdout.splitlines())
    assert trained >= frozen + 0.1


@pytest.fixture
def two_seeds(tmp_path: Path) -> Path:
    """The card `grape` with the weights that ship as those of seed 0, and others of seed 1."""
    from safetensors.numpy import load_file, save_file

    baselines = MODELS.parent
    shutil.copytree(baselines / "prompts", tmp_path / "prompts")
    shutil.copytree(MODELS / "mini-lm", tmp_path / "models" / "mini-lm")
    for seed in (0, 1):
        training = tmp_path / "models" / "grape" / "cirr" / str(seed)
        shutil.copytree(MODELS / "grape" / "cirr" / "0" / "adapter", training / "adapter")
        shutil.copyfile(MODELS / "grape" / "cirr" / "0" / "trained_on.json", training / "trained_on.json")
    weights = tmp_path / "models" / "grape" / "cirr" / "1" / "adapter" / "adapter_model.safetensors"
    save_file({name: 2 * value for name, value in load_file(weights).items()}, weights)
    shutil.copyfile(baselines / "grape.toml", tmp_path / "grape.toml")
    return tmp_path / "grape.toml"


def test_a_seed_chooses_its_weights_and_the_seeds_are_one_row(two_seeds: Path, tmp_path: Path) -> None:
    def opened(card: str, seed: int) -> LoadedRewriter:
        return open_rewriter(card, Setup("mini", "compose", seed, tmp_path, task="cirr"))

    first, second = (opened(str(two_seeds), seed) for seed in (0, 1))
    assert first.fingerprint != second.fingerprint and first.description["adapter"] != second.description["adapter"]
    assert first.across_seeds == second.across_seeds is not None
    assert first.fingerprint == opened("grape", 0).fingerprint, "what seed 0 answers is stored as before"
    assert opened("llm", 0).across_seeds is None
    with pytest.raises(UserError, match=r"no weights of seed 2 for cirr, only of: 0, 1; say --seed 0"):
        opened(str(two_seeds), 2)
