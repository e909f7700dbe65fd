"""RAQO from settings to a card that runs: data, then stages that each leave weights, a log and figures behind.

    DIR/config.toml, data.json   the settings, and what the training is made of
    DIR/data/                    the three data sets, their card, a page to look through them
    DIR/start.json               figures of the untrained model
    DIR/ccd, qre, pro/           stage.json (what it was made of), log.jsonl, adapter/, val.json; checkpoints/ meanwhile
    DIR/<name>.toml, adapter/    what the last stage came to

A stage reads the weights that the one before left and nothing else of it, so that any may be replaced: weights without
a stage.json are taken as they are.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench import files, paths
from grapebench.errors import UserError
from grapebench.files import sha256, sha256_file, sha256_json
from grapebench.training import card, policy
from grapebench.training.config import dump
from grapebench.training.raqo import checks, learning
from grapebench.training.raqo.config import STAGES, RaqoConfig
from grapebench.training.raqo.material import lesson as lesson_of

if TYPE_CHECKING:
    from grapebench.evaluation.measure import Report
    from grapebench.training.material import Material
    from grapebench.training.raqo.config import Stage

CONFIG, RECORD = "config.toml", "data.json"
DATA, START, STAGE, VAL = "data", "start.json", "stage.json", "val.json"
SETS: dict[Stage, str] = {"ccd": "ccr", "qre": "qre", "pro": "pro"}
"""The data set that each stage learns from."""


TAUGHT = 100
"""How many rows of D_CCR are detected again after each stage: what is left of what was learnt."""


def folder_of(config: RaqoConfig, material: Material) -> Path:
    """Where a training is kept by default: named by all that determines it."""
    name = sha256_json([config.model_dump(mode="json"), material.record])[:12]
    return paths.data_dir() / "training" / "raqo" / material.name / name


def run(config: RaqoConfig, material: Material, folder: Path, parts: Sequence[str], report: Report) -> dict[str, Any]:
    """Do what is asked for of 'data' and the stages, as far as it is not done; a killed process goes on where it was.

    Returns the figures that there are, of 'start' and each finished stage. With the last stage the card is written.
    Raises UserError where the folder holds another training, and where a part is missing that one stands on.
    """
    with files.alone(folder, "training"):
        wanted = [stage for stage in config.stages if stage in parts]
        _prepare(config, material, folder)
        if wanted:
            checks.ahead(config, material, folder, wanted)
            _start(config, folder, wanted[0])
            for stage in wanted:
                if "data" not in parts and not learning.weights(folder / stage, config.full).is_dir():
                    _rows(folder, stage)
        if "data" in parts:
            from grapebench.training.raqo.mpade import build

            build(config, material, folder / DATA, report)
        if wanted:
            _stages(config, material, folder, wanted, report)
    return figures(folder)


def figures(folder: Path) -> dict[str, Any]:
    """Those in a training's folder, of 'start' and each stage that is finished."""
    places = {"start": folder / START} | {stage: folder / stage / VAL for stage in STAGES}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in places.items() if path.is_file()}


def card_of(material: Material, folder: Path) -> Path:
    """Where the card is, or will be."""
    return folder / f"{card.name_of(material)}.toml"


def _prepare(config: RaqoConfig, material: Material, folder: Path) -> None:
    """A folder with the settings and the record of the data; what is there must be of the same task and models."""
    path = folder / RECORD
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        differing = [key for key, value in material.record.items() if before.get(key) != value]
        if differing:
            what = f"the training there was begun with another {', '.join(differing)}"
            raise UserError(what, file=folder, fix="choose another --out")
    elif folder.is_dir() and any(one.name != files.LOCK for one in folder.iterdir()):
        raise UserError("is not empty, and no training is in it", file=folder, fix="choose another --out")
    files.write_text(folder / CONFIG, dump(config))
    card.write_json(path, material.record)


def _stages(config: RaqoConfig, material: Material, folder: Path, wanted: Sequence[Stage], report: Report) -> None:
    from grapebench.training.raqo.validation import measure
    from grapebench.training.trainer import quiet
    from grapebench.training.validation import Validation

    lesson = lesson_of(material)
    rewriter, base = policy.local(lesson.rewriter), _base(material)
    _, val = lesson.parts(material.retriever, report)
    detections = _rows(folder, "ccd") if (folder / DATA / SETS["ccd"]).is_dir() else []
    taught = detections[:: max(1, len(detections) // TAUGHT)][:TAUGHT]

    def validated(path: Path, model: Callable[[], Any]) -> None:
        if not path.is_file():
            report(f"val ({path.parent.name if path.name == VAL else 'start'})", 0, 1)
            validation = Validation("", val, material.retriever, rewriter, chat := model())
            card.write_json(path, measure(validation, chat.model, taught))

    with quiet():
        _check_examples(config, material, folder, wanted)
        validated(folder / START, lambda: learning.begin(config, rewriter, None, base))
        for stage in wanted:
            place, start = folder / stage, _start(config, folder, stage)
            _learn(config, material, folder, stage, start, report)
            validated(place / VAL, lambda: learning.begin(config, rewriter, learning.weights(place, config.full), base))  # noqa: B023
    if wanted[-1] == config.stages[-1]:
        last, ours = (learning.weights(place, config.full) for place in (folder / wanted[-1], folder))
        if not ours.is_dir() or _hash(ours) != _hash(last):
            shutil.rmtree(ours, ignore_errors=True)
            with files.atomic_folder(ours) as temporary:
                shutil.copytree(last, temporary, dirs_exist_ok=True)
        learnt = "of challenging concepts and rewrites" if "ccd" in config.stages else "of rewrites"
        card.write_as(material, folder, "RAQO", f"after RAQO's stages ({', '.join(config.stages)}) {learnt} on")


def _learn(
    config: RaqoConfig, material: Material, folder: Path, stage: Stage, start: Path | None, report: Report
) -> None:
    """The weights of a stage, if they are not there yet."""
    from grapebench.training.raqo.examples import examples

    lesson, place = lesson_of(material), folder / stage
    rewriter, base = policy.local(lesson.rewriter), _base(material)
    if _is_given(config, place):
        return
    sets = _sets(config, folder, stage)
    made_of = {
        "settings": getattr(config, stage).model_dump(mode="json"),
        "full": config.full,
        "lora": config.lora.model_dump(mode="json"),
        "seed": config.seed,
        "rewriter": lesson.rewriter.fingerprint,
        "sets": sha256_json(sets),
        "start": None if start is None else _hash(start),
    }
    _check_same(place, made_of)
    if learning.weights(place, config.full).is_dir():
        return
    chat = learning.begin(config, rewriter, start, base)
    found = {kind: examples(kind, rows, rewriter, chat, config.pro.candidates) for kind, rows in sets.items()}
    counts = {
        SETS[kind]: {"rows": len(sets[kind]), "examples": len(one.used), "left_out": one.left_out}
        for kind, one in found.items()
    }
    place.mkdir(exist_ok=True)
    card.write_json(place / STAGE, made_of | {"learnt_from": counts})
    used = [example for one in found.values() for example in one.used]
    learning.learn(
        stage, config, chat, used, place, base, lambda step, steps: report(f"training ({stage})", step, steps)
    )
    learning.keep(config, rewriter, chat, place, base)


def _is_given(config: RaqoConfig, place: Path) -> bool:
    """Whether a stage has weights that were not made here: they are taken as they are."""
    return learning.weights(place, config.full).is_dir() and not (place / STAGE).is_file()


def _sets(config: RaqoConfig, folder: Path, stage: Stage) -> dict[Stage, list[dict[str, Any]]]:
    """The rows that a stage learns from, its own first."""
    sets = {stage: _rows(folder, stage)}
    if stage == "qre" and "ccd" in config.stages and config.qre.rehearsal:
        count = round(config.qre.rehearsal * len(sets[stage]))
        drawn = sorted(_rows(folder, "ccd"), key=lambda row: sha256(f"rehearsal {config.seed} {row['query_id']}"))
        sets["ccd"] = drawn[:count]
    return sets


def _check_examples(config: RaqoConfig, material: Material, folder: Path, wanted: Sequence[Stage]) -> None:
    """Raises UserError where one of the stages has nothing to learn from, before the first of them learns."""
    from grapebench.training.raqo.examples import examples

    places = [folder / stage for stage in wanted]
    waiting = [
        stage for stage, place in zip(wanted, places, strict=True) if not learning.weights(place, config.full).is_dir()
    ]
    if not waiting:
        return
    rewriter = policy.local(lesson_of(material).rewriter)
    chat = learning.begin(config, rewriter, None, _base(material))
    for stage in waiting:
        found = {
            kind: examples(kind, rows, rewriter, chat, config.pro.candidates)
            for kind, rows in _sets(config, folder, stage).items()
        }
        own, used = found[stage], sum(len(one.used) for one in found.values())
        rows = len(own.used) + sum(own.left_out.values())
        checks.short(
            stage, getattr(config, stage).batch, len(own.used) and used, rows, own.left_out, folder / DATA / SETS[stage]
        )


def _check_same(place: Path, made_of: dict[str, Any]) -> None:
    path = place / STAGE
    if not path.is_file():
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    differing = [key for key, value in made_of.items() if before.get(key) != value]
    if differing:
        what = f"the stage there was trained with another {', '.join(differing)}"
        raise UserError(
            what, file=place, fix="remove this folder and those of the stages after it, or choose another --out"
        )


def _start(config: RaqoConfig, folder: Path, stage: Stage) -> Path | None:
    """The weights that the stage before left; None for the first."""
    before = config.stages[: config.stages.index(stage)]
    if not before:
        return None
    found = learning.weights(folder / before[-1], config.full)
    if not found.is_dir():
        raise UserError(
            f"{stage} goes on from {before[-1]}, which is not finished",
            file=folder,
            fix=f"train {before[-1]} first, or leave it out of the setting `stages`",
        )
    return found


def _rows(folder: Path, stage: Stage) -> list[dict[str, Any]]:
    from datasets import load_from_disk

    path = folder / DATA / SETS[stage]
    if not path.is_dir():
        raise UserError(
            f"{stage} learns from data that are not there", file=path, fix="run: grapebench train raqo data"
        )
    try:
        rows: list[dict[str, Any]] = load_from_disk(str(path)).to_list()
    except Exception as error:  # pyarrow and datasets have errors of their own for a broken file
        raise UserError(f"cannot be read: {' '.join(str(error).split())}", file=path) from error
    return rows


def _hash(weights: Path) -> str:
    return sha256_json({path.name: sha256_file(path) for path in sorted(weights.glob("*.safetensors"))})


def _base(material: Material) -> str:
    """The name of the model that training starts from."""
    engine: Any = policy.local(material.rewriter).engine
    return str(engine.settings.model) if engine.model.commit else material.rewriter.name
