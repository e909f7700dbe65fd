"""Which device a model runs on, found without importing torch where that is possible."""

from __future__ import annotations

import functools
import os
import sys

from grapebench.errors import UserError


@functools.cache
def resolve_device(wanted: str) -> str:
    """'auto' becomes the best device that is there: 'cuda', 'mps' or 'cpu'; anything else stays as it is.

    Raises UserError where a GPU is asked for that torch cannot use.
    """
    if wanted == "cpu" or (wanted == "auto" and not _may_have_gpu()):
        return "cpu"
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next((kind for kind, there in available.items() if there), "cpu")
    kind = wanted.partition(":")[0]
    if kind not in available:
        raise UserError(f"unknown device {wanted!r}", fix="there is: auto, cpu, cuda, cuda:N, mps")
    if not available[kind]:
        raise UserError(f"torch finds no {kind} device here", fix="use device 'auto' or 'cpu'")
    return wanted


def _may_have_gpu() -> bool:
    """False only where torch cannot find one: on Linux every GPU that it can use shows as a device file."""
    if not sys.platform.startswith("linux"):
        return True
    return any(os.path.exists(path) for path in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))
