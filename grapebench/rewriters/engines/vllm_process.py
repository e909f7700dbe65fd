"""vLLM's engine in this process: started once, replaced by another one, and kept off standard output."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from grapebench.errors import UserError, missing_extra
from grapebench.files import sha256_json
from grapebench.rewriters import models

_running: dict[str, Any] = {}
"""The engine that runs, by the hash of its options; one at most, for it fills the GPU."""


def engine(options: dict[str, Any]) -> Any:
    """The running `vllm.LLM` with these options, started if there is none: seeds, tasks and adapters share it."""
    key = sha256_json(options)
    if key not in _running:
        # The old one must have left the GPU before the new one looks how much memory is there.
        _running.clear()
        gc.collect()
        _running[key] = _start(options)
    return _running[key]


def _start(options: dict[str, Any]) -> Any:
    if find_spec("vllm") is None:
        raise missing_extra("vllm", "vllm")
    if "VLLM_LOGGING_CONFIG_PATH" not in os.environ:
        # vLLM's own handler writes to standard output; without it, warnings go to standard error.
        os.environ.setdefault("VLLM_CONFIGURE_LOGGING", "0")
    try:
        with _stdout_as_stderr():
            from vllm import LLM

            return LLM(**options)
    except Exception as error:  # of many kinds: no GPU, no room on it, an unknown model
        raise UserError(
            f"vLLM cannot start: {models.reason(error)}",
            file=options["model"],
            fix="it needs a GPU that it supports, with room for the model and gpu_memory of it free",
        ) from error


@contextlib.contextmanager
def _stdout_as_stderr() -> Iterator[None]:
    """Standard output carries results: what vLLM and its workers print goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
