"""What a RAQO training will need, looked for before anything is made; and what data turn out to be short of, before
anything is learnt."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench.errors import UserError, missing_extra
from grapebench.training import policy
from grapebench.training.raqo.material import lesson as lesson_of

if TYPE_CHECKING:
    from grapebench.training.material import Material
    from grapebench.training.raqo.config import RaqoConfig, Stage

PACKAGES = ("accelerate", "datasets", "peft", "trl")
"""What stages import."""
MOST = 0.9
"""Where a larger share is dropped for its meaning, the judge is more likely wrong than the texts."""


def ahead(config: RaqoConfig, material: Material, folder: Path, wanted: Sequence[Stage]) -> None:
    """Raises UserError for what stages will need and not find, whatever the data come to; nothing heavy is loaded.
    Warns of settings that cannot come to what they say."""
    for package in PACKAGES:
        if find_spec(package) is None:
            raise missing_extra(package, "train")
    _devices()
    rewriter = policy.local(lesson_of(material).rewriter)
    if "ccd" in wanted and not rewriter.detects and rewriter.settings.answer != "concepts":
        raise UserError(
            f"{material.rewriter.name} detects no concepts",
            fix="start from a card with a prompt `detect`, or leave ccd out of the setting `stages`",
        )
    if "pro" in wanted and config.data.rounds * config.data.samples < 2:
        raise UserError(
            "pro learns from several rewrites of a query, and one is asked for", fix="set data.samples to 2 or more"
        )
    if "pro" in wanted and config.pro.candidates > config.data.candidates:
        warn(
            f"pro.candidates is {config.pro.candidates}, and a list of the data has {config.data.candidates} rewrites "
            "at most; set data.candidates as high"
        )
    for stage in wanted:
        batch, queries = getattr(config, stage).batch, min(config.data.queries, len(lesson_of(material).train.queries))
        if stage != "ccd" and batch > queries:  # detection learns from more rows than there are queries
            warn(f"{stage}.batch is {batch}, and the data are made of {queries:,} queries: a step will have fewer")
    if not config.full:
        policy.check_adapter(material.rewriter, config.lora)
    else:
        _room(config, material, folder)


def short(stage: Stage, batch: int, examples: int, rows: int, left_out: Mapping[str, int], source: Path) -> None:
    """Raises UserError where a stage has nothing to learn from; warns where it is less than one step of its batch."""
    if not examples:
        why = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        raise UserError(
            f"there is nothing to learn from for {stage}: {rows:,} rows" + (f", of which {why}" if why else ""),
            file=source,
            fix=f"raise data.queries, data.rounds or data.samples, or leave {stage} out of the setting `stages`",
        )
    if examples < batch:
        warn(f"{stage}.batch is {batch}, and there are {examples} to learn from: a step has {examples}")


def drifting(what: str, dropped: int, kept: int, settings: str) -> None:
    """Warns where nearly all of what would be learnt from was dropped for its meaning."""
    if dropped > MOST * (dropped + kept):
        warn(
            f"{dropped:,} of {dropped + kept:,} {what} were dropped as saying something else, by {settings}; look at "
            "them in index.html, and lower the bound or take another judge (data.meaning)"
        )


def warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def _room(config: RaqoConfig, material: Material, folder: Path) -> None:
    """Raises UserError where the disk cannot hold what a training of all weights keeps: what each stage comes to, the
    whole, and checkpoints, each with the two moments of its optimizer."""
    import shutil

    from grapebench.training.checkpoint import KEPT

    engine: Any = policy.local(material.rewriter).engine
    stored = sum(path.stat().st_size for path in Path(engine.model.folder).glob("*.safetensors"))
    copies = len(config.stages) + 1 + 3 * (KEPT + 1)
    # Trained in float32, mostly stored in half of that.
    needed, free = copies * stored * (1 if engine.settings.dtype == "float32" else 2), shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"training all weights keeps about {needed / 2**30:.1f} GiB at once, and {free / 2**30:.1f} are free",
            file=folder,
            fix="make room, choose another --out, or train an adapter (full = false)",
        )


def _devices() -> None:
    from grapebench.training import launch

    if launch.state({}).num_processes > 1:
        raise UserError("a RAQO training is one process", fix="launch it without accelerate or torchrun")
    import torch

    if torch.cuda.device_count() > 1:
        # transformers would share a batch out to all of them, and make it that many times as large.
        raise UserError("a RAQO training is on one device", fix="choose one by CUDA_VISIBLE_DEVICES")
