"""How a training was launched: which ways of sharing it out cannot work, and how long its processes wait."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from grapebench.errors import UserError, missing_extra

WAIT = timedelta(days=1)
"""How long a process waits for the others, unless [trl] ddp_timeout says so. The first encodes images and measures
headroom while the others wait at a barrier, where PyTorch gives up after 10 minutes (NCCL) or 30 (gloo)."""


def check(trl: Mapping[str, Any]) -> None:
    """Raises UserError where the launch, or [trl] in the settings, splits the model's weights among the processes.

    Each process generates on its own at a validation, and the adapter is read from one of them: both need the whole
    model. Nothing is loaded for this, and DeepSpeed need not be installed.
    """
    way = _splitting(trl)
    if way is not None:
        raise UserError(
            f"{way} splits the weights of the model, and each process needs all of them to answer val queries",
            fix="launch with plain data parallelism (MULTI_GPU), or for full = true with DeepSpeed ZeRO stage 2",
        )


def state(trl: Mapping[str, Any]) -> Any:
    """accelerate's PartialState of this process, which waits long for the others.

    Whoever asks for it later, TRL included, gets the process group that is opened here.
    """
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise missing_extra("accelerate", "train") from error
    import torch

    cpu = bool(trl.get("use_cpu")) or _on("ACCELERATE_USE_CPU") or not _accelerated(torch)
    if cpu:
        # Told of no CPU, accelerate makes each of several processes one that is alone; transformers asks it anew.
        os.environ["ACCELERATE_USE_CPU"] = "true"
    seconds = trl.get("ddp_timeout")
    try:
        return PartialState(cpu=cpu, timeout=WAIT if seconds is None else timedelta(seconds=seconds))
    except ImportError as error:
        raise UserError("the launch asks for DeepSpeed, which is not installed", fix="pip install deepspeed") from error


def _splitting(trl: Mapping[str, Any]) -> str | None:
    """What splits the weights, by the variables that `accelerate launch` sets and by settings of TRL; None: nothing."""
    if _zero_stage(trl) == 3:
        return "DeepSpeed ZeRO stage 3"
    if trl.get("fsdp") or _on("ACCELERATE_USE_FSDP"):
        return "FSDP"
    if _on("ACCELERATE_USE_MEGATRON_LM"):
        return "Megatron-LM"
    if _on("ACCELERATE_USE_PARALLELISM_CONFIG"):
        for size, name in _PARALLEL.items():
            if int(os.environ.get(f"PARALLELISM_CONFIG_{size}_SIZE", "1")) > 1:
                return name
    return None


def _accelerated(torch: Any) -> bool:
    return bool(getattr(torch, "accelerator", torch.cuda).is_available())  # torch.accelerator came with 2.6


_PARALLEL = {
    "DP_SHARD": "FSDP",
    "TP": "tensor parallelism",
    "CP": "context parallelism",
    "SP": "sequence parallelism",
}


def _zero_stage(trl: Mapping[str, Any]) -> int | None:
    """The ZeRO stage as transformers and accelerate will find it; None without DeepSpeed."""
    told = trl.get("deepspeed")
    if not told:
        if not _on("ACCELERATE_USE_DEEPSPEED"):
            return None
        told = os.environ.get("ACCELERATE_DEEPSPEED_CONFIG_FILE", "none")
    stage: Any = "auto" if told == "none" else _config_stage(told)
    return int(os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2")) if stage == "auto" else int(stage)


def _config_stage(told: Any) -> Any:
    """The stage in DeepSpeed's own settings: a table, or the path of a JSON file."""
    from accelerate.utils.deepspeed import HfDeepSpeedConfig

    try:
        return HfDeepSpeedConfig(told).get_value("zero_optimization.stage", 0)
    except (ValueError, AttributeError, OSError) as error:
        raise UserError(f"DeepSpeed's settings cannot be read: {error}") from error


def _on(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in ("1", "true", "yes", "on")
