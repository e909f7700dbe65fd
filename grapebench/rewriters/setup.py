"""What a rewriter is told about where it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grapebench.cards import Family, Suite


@dataclass(frozen=True)
class Setup:
    """One run's circumstances; a mechanism or a class from a file gets it when its constructor takes `setup`."""

    suite: Suite
    family: Family
    """What rewriting has to do: 'translate', 'condense' or 'compose'."""
    seed: int
    """Decides what a sampled rewriter draws; a greedy one ignores it."""
    root: Path
    """The folder the dataset was read from."""
    device: str = "auto"
    """'auto' (a GPU where there is one), 'cpu', 'cuda', 'cuda:1', …"""
    base: Path | None = None
    """The card's folder, where relative paths in its settings start; filled in by `open_rewriter`."""
    task: str = ""
    """The task's card, by name or by path; empty where a rewriter is opened for none."""
