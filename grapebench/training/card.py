"""The baseline card of a trained rewriter: the card that training started from, with what was learnt."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench import catalog, files
from grapebench.datasets import seen
from grapebench.registry import is_file_spec
from grapebench.rewriters.prompts import DETECT
from grapebench.training import policy
from grapebench.training.config import table

if TYPE_CHECKING:
    from grapebench.training.material import Material

PROMPTS, SEEN = "prompts", "trained_on.json"


def name_of(material: Material) -> str:
    return material.config.name or f"grape-{material.name}"


def write(material: Material, folder: Path, step: int) -> Path:
    """The card of what GRPO had learnt by `step`."""
    settings = material.config
    told = f"loss {settings.loss}, learning rate {settings.learning_rate:g}, seed {settings.seed}"
    return write_as(material, folder, "GRAPE", f"after {step} steps of GRPO ({told}) on the ranks of")


def write_as(material: Material, folder: Path, method: str, learnt_by: str) -> Path:
    """The card, its prompts and the record of what was trained on, in `folder` beside what was learnt.

    The card says that it is the card which training started from, `learnt_by` the training splits.

    The folder may be moved as long as the model is not: one that came from the hub goes by its id, one of this
    installation by a relative path.
    """
    config, trains = material.config, [lesson.train for lesson in material.lessons]
    families = list(dict.fromkeys(train.family for train in trains))
    found = catalog.rewriter_card(config.rewriter)
    card = found.card.in_suite(config.suite)
    made = policy.local(material.rewriter)
    learnt = (
        {"model": f"./{policy.MODEL}"} if config.full else {"adapter": policy.ADAPTER, "model": base(material, folder)}
    )
    settings = card.settings | made.settings.model_dump(include={"max_new_tokens"}) | learnt
    values: dict[str, Any] = {
        "name": name_of(material),
        "title": f"{method} ({', '.join(train.name for train in trains)})",
        "about": f"{card.title} {learnt_by} {', '.join(f'{train.name} {train.split}' for train in trains)}.",
        "mechanism": card.mechanism,
        "families": families,
        "suites": [config.suite],
        "trained_on": SEEN,
    }
    if card.captioner is not None and "compose" in families:
        values["captioner"] = _captioner(card.captioner, found.path.parent, folder)
    values["prompts"] = _prompts(card.prompts, families, found.path.parent, folder)
    values["settings"] = settings
    # The images that chose the checkpoint were looked at too; those held out are in the gallery of train already.
    vals = [lesson.val for lesson in material.lessons] if config.val == "val" else []
    seen.record(folder / SEEN, [*trains, *vals])
    path = folder / f"{values['name']}.toml"
    files.write_text(path, table(values))
    return path


def base(material: Material, folder: Path) -> str:
    """How a card in `folder` names the model that training started from."""
    engine: Any = policy.local(material.rewriter).engine
    if engine.model.commit is not None:
        return str(engine.settings.model)
    place = engine.model.folder.resolve()
    ours = catalog.folder().resolve()
    if place.is_relative_to(ours) and folder.resolve().is_relative_to(ours):
        return os.path.relpath(place, folder.resolve())
    return str(place)


def _prompts(prompts: Mapping[str, str], families: Sequence[str], base: Path, folder: Path) -> dict[str, str]:
    """Copies of the files that are needed; different ones of the same name are told apart by what they are for."""
    found: dict[str, str] = {}
    taken: dict[str, Path] = {}
    for key in ("system", *families, DETECT, *(f"{DETECT}-{family}" for family in families)):
        if key in prompts:
            source = base / prompts[key]
            name = source.name if taken.setdefault(source.name, source) == source else f"{key}-{source.name}"
            target = folder / PROMPTS / name
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(source, target)
            found[key] = f"{PROMPTS}/{name}"
    return found


def _captioner(named: str, base: Path, folder: Path) -> str:
    return str((base / named).resolve()) if named.endswith(".toml") or is_file_spec(named) else named


def write_json(path: Path, value: Any) -> None:
    files.write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
