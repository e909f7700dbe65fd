"""Settings whose paths do not depend on the working directory, so that a training goes on from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench import catalog
from grapebench.registry import is_file_spec
from grapebench.retrieval.checkpoint import HUB, LOCAL

if TYPE_CHECKING:
    from grapebench.training.config import GrapeConfig

TRL = ("accelerator_config", "deepspeed")
"""Settings of TRL that may name a JSON file."""


def anchored(config: GrapeConfig) -> GrapeConfig:
    """The settings with absolute paths; names of cards and ids of a hub stay as they are."""
    ranks, options = config.reward.ranks, config.reward.options
    reward = replace(config.reward, ranks=_keys(ranks), options=_keys(options))
    files = {key: absolute(config.trl[key]) for key in TRL if str(config.trl.get(key)).endswith(".json")}
    return config.model_copy(
        update={
            "task": tuple(spec(one) for one in config.task),
            "rewriter": spec(config.rewriter),
            "model": None if config.model is None else folder(config.model),
            "retriever": None if config.retriever is None else _retriever(config.retriever),
            "reward": reward,
            "trl": config.trl | files,
        }
    )


def spec(text: str) -> str:
    """A card's name, the path of a card, or path/to/file.py:attribute."""
    if is_file_spec(text):
        path, colon, attribute = text.rpartition(":")
        return f"{absolute(path)}:{attribute}" if colon else absolute(text)
    return absolute(text) if text.endswith(".toml") else text


def _retriever(text: str) -> str:
    """In the order in which `open_retriever` reads it."""
    if is_file_spec(text) or text.endswith(".toml"):
        return spec(text)
    if text in catalog.retriever_names() or text.startswith(HUB):
        return text
    model, at, weights = text.partition("@")
    if at:
        # open_clip's names of weights have no dot.
        return f"{model}@{absolute(weights)}" if Path(weights).suffix else text
    return LOCAL + absolute(text.removeprefix(LOCAL)) if text.startswith(LOCAL) else folder(text)


def folder(text: str) -> str:
    """A folder where there is one; else it is a name."""
    return absolute(text) if Path(text).expanduser().is_dir() else text


def absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve())


def _keys(values: Mapping[str, Any]) -> dict[str, Any]:
    return {spec(name): value for name, value in values.items()}
