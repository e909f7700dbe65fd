"""A training in a process of its own: killed without warning, and shared by two."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from grapebench.training import checkpoint, journal
from grapebench.training.config import dump, fill
from grapebench.training.journal import Step, Stop
from tests import processes

Make = Callable[..., dict[str, Any]]
pytestmark = pytest.mark.slow


def command(*more: str) -> list[str]:
    return ["train", "grape", "--data", "data", *more]


def started(*more: str) -> BaseProcess:
    return processes.start(command(*more), Path.cwd())


def ended(process: BaseProcess) -> int | None:
    process.join()
    return process.exitcode


def environment() -> dict[str, str]:
    # The working directory holds what cards name; the package comes from where this test imports it.
    root = str(Path(__file__).resolve().parents[2])
    return os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"}


def adapter(folder: Path) -> bytes:
    return (folder / "adapter" / "adapter_model.safetensors").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("task", ["letters.toml", ["letters.toml", "others.toml"]], ids=["one", "several"])
def test_killed_at_any_moment_and_resumed(letters: Path, settings: Make, task: str | list[str]) -> None:
    (letters / "config.toml").write_text(dump(fill(settings(task=task, steps=12, val_every=4, save_every=1))))
    assert ended(started("--config", "config.toml", "--out", "whole")) == 0
    moment = random.Random(os.getpid())
    process = started("--config", "config.toml", "--out", "cut")
    for _ in range(2):
        wanted = moment.randrange(0, 10)
        while process.is_alive() and next(reversed(checkpoint.steps(letters / "cut")), -1) < wanted:
            time.sleep(0.01)
        time.sleep(moment.random() * 0.2)
        process.kill()
        process.join()
        process = started("--out", "cut", "--resume")
    assert ended(process) == 0
    assert adapter(letters / "cut") == adapter(letters / "whole")
    last = checkpoint.path_of(letters / "cut", 12), checkpoint.path_of(letters / "whole", 12)
    for name in ("adapter_model.safetensors", "optimiser.safetensors"):
        assert (last[0] / name).read_bytes() == (last[1] / name).read_bytes()
    logs = [[one.model_dump(exclude={"seconds"}) for one in journal.read(letters / name)] for name in ("cut", "whole")]
    assert logs[0] == logs[1]


def test_two_processes(letters: Path, settings: Make) -> None:
    (letters / "config.toml").write_text(dump(fill(settings(steps=3, val_every=3))))
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",  # without a GPU: the one launcher of several processes that needs no MPI
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m", "grapebench"]
    arguments = command("--config", "config.toml", "--out", "two")
    done = subprocess.run([*launch, *arguments], env=environment(), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 processes" in done.stderr
    # The first process alone speaks and writes.
    assert done.stdout.count("val R@10") == 1
    log = journal.read(letters / "two")
    assert [one.step for one in log if isinstance(one, Step)] == [1, 2, 3] and isinstance(log[-1], Stop)
    assert ended(started("--config", "config.toml", "--out", "one")) == 0
    # What is drawn depends on an attempt's place in the step, not on who draws: the first step is the same.
    firsts = [next(one for one in journal.read(letters / name) if isinstance(one, Step)) for name in ("two", "one")]
    for name in ("reward", "reward_std", "length", "entropy", "positive", "rank_first", "flat_groups"):
        assert getattr(firsts[0], name) == pytest.approx(getattr(firsts[1], name), rel=1e-4), name
    # And so is what is learnt from it, gradients being averaged: the last checkpoint differs by roundings alone.
    two, one = (
        load_file(checkpoint.path_of(letters / name, 3) / "adapter_model.safetensors") for name in ("two", "one")
    )
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-3, atol=1e-5, msg=key)
    named = json.loads((letters / "two" / "checkpoints" / "best.json").read_text())
    assert (letters / "two" / "checkpoints" / named["folder"]).is_dir()
