"""What we stand on in TRL and transformers, looked up in the versions that are installed."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import pytest
from trl import GRPOConfig, GRPOTrainer

from grapebench.errors import UserError
from grapebench.training import trainer
from grapebench.training.config import GrapeConfig
from grapebench.training.watching import LOGGED

FIELDS = {one.name for one in dataclasses.fields(GRPOConfig)}
VLLM = ("use_vllm", "vllm_mode", "vllm_server_base_url", "vllm_server_host", "vllm_server_port", "vllm_server_timeout")


def test_every_setting_that_is_passed_is_trls() -> None:
    assert {*trainer.OURS, *trainer.FIXED, *trainer.DEFAULTS, *VLLM, "bf16", "output_dir", "deepspeed"} <= FIELDS


def test_what_is_overridden_is_there() -> None:
    assert list(inspect.signature(GRPOTrainer._tokenize_prompts).parameters)[1:] == ["prompts"]
    assert list(inspect.signature(GRPOTrainer._generate_single_turn).parameters)[1] == "prompt_ids"


def test_what_is_logged_is_named_so() -> None:
    source = Path(inspect.getfile(GRPOTrainer)).read_text()
    own = {name for name in LOGGED.values() if name.startswith(("group/", "form/", "rank/", "similarity/"))}
    for name in set(LOGGED.values()) - own - {"loss", "learning_rate"}:
        assert f'"{name}"' in source, name


def test_vllms_server_is_passed_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "find_spec", lambda name: name)
    values = {"use_vllm": True, "vllm_mode": "server", "vllm_server_base_url": "http://localhost:8000"}
    config = GrapeConfig(task="cirr", trl=values)
    trainer.check(config, 1)
    made = trainer.arguments(config, tmp_path, 64, 1, False)
    assert {name: getattr(made, name) for name in values} == values


def test_geometry(tmp_path: Path) -> None:
    config = GrapeConfig(task="cirr", batch=8, group=4, micro_batch=4)
    made = trainer.arguments(config, tmp_path, 64, 1, False)
    assert (made.per_device_train_batch_size, made.gradient_accumulation_steps) == (4, 8)
    # All attempts of a step come from the policy as it is before the step: a checkpoint needs to hold none.
    assert made.generation_batch_size == 32 and made.num_iterations == 1
    whole = trainer.arguments(config.model_copy(update={"micro_batch": None}), tmp_path, 64, 1, False)
    assert (whole.per_device_train_batch_size, whole.gradient_accumulation_steps) == (32, 1)


@pytest.mark.parametrize(
    ("changes", "processes", "said"),
    [
        ({"trl": {"loss_typ": "grpo"}}, 1, "unknown setting of TRL 'loss_typ'; did you mean 'loss_type'"),
        ({"trl": {"beta": 0.1}}, 1, r"\[trl\] beta: it has a name here; set beta"),
        ({"trl": {"num_iterations": 2}}, 1, r"\[trl\] num_iterations: it is 1 here; leave it out"),
        ({"trl": {"use_vllm": True}}, 1, r"vllm is not installed; install it with: pip install 'grapebench\[vllm\]'"),
        ({"trl": {"report_to": ["none", "wandb"]}}, 1, r"\[trl\] report_to: wandb is not installed"),
        ({"trl": {"use_liger_kernel": True}}, 1, r"\[trl\] use_liger_kernel: it is not installed"),
        ({"batch": 9}, 2, "9 queries, which 2 processes cannot share evenly; set batch to a multiple of 2"),
        ({"micro_batch": 5}, 2, "micro_batch = 5 does not divide the 64 attempts of a process"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_loaded(
    changes: dict[str, object], processes: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=said):
        trainer.check(GrapeConfig(task="cirr", **changes), processes)  # type: ignore[arg-type]


def test_what_trl_refuses_is_told(tmp_path: Path) -> None:
    config = GrapeConfig(task="cirr", trl={"auto_find_batch_size": True})
    with pytest.raises(UserError, match="TRL does not take the settings: auto_find_batch_size is not supported"):
        trainer.arguments(config, tmp_path, 64, 1, False)
