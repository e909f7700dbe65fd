"""Where grapebench keeps things on the user's machine."""

from __future__ import annotations

import os
from pathlib import Path


def _home(xdg_variable: str, fallback: str, under_home: str) -> Path:
    if home := os.environ.get("GRAPEBENCH_HOME"):
        return Path(home).expanduser() / under_home
    base = os.environ.get(xdg_variable)
    return (Path(base) if base else Path.home() / fallback) / "grapebench"


def cache_dir() -> Path:
    """Everything that can be made again: generated data, embeddings, file hashes."""
    return _home("XDG_CACHE_HOME", ".cache", "cache")


def data_dir() -> Path:
    """What cost something to make: results and the rewrites that language models were asked for."""
    return _home("XDG_DATA_HOME", ".local/share", "data")


def config_dir() -> Path:
    """What the user has said once: where the official files are."""
    return _home("XDG_CONFIG_HOME", ".config", "config")


def results_dir() -> Path:
    return data_dir() / "results"
