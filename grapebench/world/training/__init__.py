"""How the miniature's two models are made, from nothing, by one command: `grapebench world train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from grapebench.errors import UserError
from grapebench.world.training.loop import Report

MODELS = ("mini-clip", "mini-lm")


def build(names: Sequence[str], out: Path | None = None, report: Report = lambda *_: None) -> None:
    """Train the named models into `out/<name>`; checkpoints are kept in the cache until all of them are whole."""
    import shutil
    from importlib import import_module

    from grapebench import catalog
    from grapebench.paths import cache_dir

    for name in names:
        if name not in MODELS:
            raise UserError(f"no miniature model {name!r}", fix=f"there is: {', '.join(MODELS)}")
    folder = out or catalog.folder() / "baselines" / "models"
    works = {name: cache_dir() / "training" / name for name in names}
    for name, work in works.items():
        work.mkdir(parents=True, exist_ok=True)
        module = import_module(f"grapebench.world.training.{name.removeprefix('mini-')}")
        module.train(folder / name, work, report=report)
    for work in works.values():
        shutil.rmtree(work)
