"""What a launch may not ask for, told before anything is loaded; DeepSpeed is not installed here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grapebench.datasets import Place
from grapebench.errors import UserError
from grapebench.training import grape, launch
from grapebench.training.config import fill
from grapebench.training.material import find

ZERO3 = {"zero_optimization": {"stage": 3}}


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a launch that these tests themselves run under."""
    for name in os.environ:
        if name.startswith(("ACCELERATE_", "PARALLELISM_CONFIG_")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("trl", "environment", "said"),
    [
        ({}, {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"}, "ZeRO stage 3"),
        ({}, {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_CONFIG_FILE": "zero3.json"}, "ZeRO stage 3"),
        ({"deepspeed": ZERO3}, {}, "ZeRO stage 3"),
        ({"deepspeed": "zero3.json"}, {}, "ZeRO stage 3"),
        ({"fsdp": "full_shard"}, {}, "FSDP"),
        ({}, {"ACCELERATE_USE_FSDP": "true"}, "FSDP"),
        ({}, {"ACCELERATE_USE_MEGATRON_LM": "true"}, "Megatron-LM"),
        ({}, {"ACCELERATE_USE_PARALLELISM_CONFIG": "true", "PARALLELISM_CONFIG_TP_SIZE": "2"}, "tensor parallelism"),
        ({"deepspeed": "missing.json"}, {}, "DeepSpeed's settings cannot be read"),
    ],
)
def test_split_weights_are_refused(
    trl: dict[str, Any], environment: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("zero3.json").write_text(json.dumps(ZERO3))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=said):
        launch.check(trl)


@pytest.mark.parametrize(
    ("trl", "environment"),
    [
        ({}, {}),
        ({"fsdp": ""}, {"ACCELERATE_USE_FSDP": "false"}),
        ({}, {"ACCELERATE_USE_DEEPSPEED": "true"}),
        ({}, {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "1"}),
        ({}, {"ACCELERATE_USE_DEEPSPEED": "false", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"}),
        # transformers looks at its own setting first.
        ({"deepspeed": {"zero_optimization": {"stage": 2}}}, {"ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"}),
        ({}, {"ACCELERATE_USE_PARALLELISM_CONFIG": "true", "PARALLELISM_CONFIG_DP_REPLICATE_SIZE": "8"}),
    ],
)
def test_whole_weights_are_allowed(
    trl: dict[str, Any], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    launch.check(trl)


def test_nothing_is_written_for_a_launch_that_cannot_work(
    letters: Path, settings: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(UserError, match="FSDP splits the weights"):
        grape.train(find(fill(settings()), Place.of(Path("data"))), letters / "out", lambda *_: None)
    assert not (letters / "out").exists()


WAITED = """
import sys
import torch
from grapebench.training import launch

launch.state({"ddp_timeout": int(sys.argv[1])} if sys.argv[1:] else {})
from transformers import TrainingArguments

assert TrainingArguments("out").device.type == "cpu"  # which opens accelerate's state anew
print(torch.distributed.group.WORLD._get_backend(torch.device("cpu")).options._timeout.total_seconds())
"""


@pytest.mark.parametrize(("given", "seconds"), [((), launch.WAIT.total_seconds()), (("7200",), 7200)])
def test_processes_wait_long_for_each_other(given: tuple[str, ...], seconds: float, tmp_path: Path) -> None:
    one = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    environment = os.environ | one | {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", WAITED, *given], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) == seconds
