"""A stage in a process of its own, killed without warning: the same command again comes to the same adapter."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from grapebench.training import checkpoint
from grapebench.training.config import dump
from grapebench.training.raqo import fitting, stages
from tests import processes

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="SIGKILL")]


@pytest.mark.parametrize("stage", ["ccd", "pro"])
def test_killed_at_any_moment(recot: Path, configured: Callable[..., tuple[Any, Any]], stage: str) -> None:
    config, material = configured(stages=[stage], save_every=1, **{stage: {"epochs": 8, "batch": 4, "warmup": 1}})
    (recot / "config.toml").write_text(dump(config))
    for name in ("whole", "cut"):
        (recot / name).mkdir()
        stages._prepare(config, material, recot / name)
        shutil.copytree("sets", recot / name / "data")

    def started(out: str) -> BaseProcess:
        return processes.start(["train", "raqo", stage, "--data", "data", "--out", out], recot)

    whole_process = started("whole")
    whole_process.join()
    assert whole_process.exitcode == 0
    moment = random.Random(os.getpid())
    process = started("cut")
    for _ in range(2):
        wanted = moment.randrange(1, 22)
        while process.is_alive() and next(reversed(checkpoint.steps(recot / "cut" / stage)), -1) < wanted:
            time.sleep(0.01)
        time.sleep(moment.random() * 0.1)
        process.kill()
        process.join()
        process = started("cut")
    process.join()
    assert process.exitcode == 0
    cut, whole = (recot / name / stage for name in ("cut", "whole"))
    weights = "adapter/adapter_model.safetensors"
    assert (cut / weights).read_bytes() == (whole / weights).read_bytes()
    losses = [[line["loss"] for line in fitting.losses(folder)] for folder in (cut, whole)]
    assert losses[0] == losses[1] and len(losses[0]) == 24
