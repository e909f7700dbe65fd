"""GRPO of a rewriter on where its rewrites find the right images: from settings to a card that runs."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench import files, paths
from grapebench.errors import UserError
from grapebench.files import sha256_json
from grapebench.rewriters import models
from grapebench.training import card, checkpoint, config, journal, policy
from grapebench.training.material import Lesson, Material, Part, changes
from grapebench.training.report import headroom_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from grapebench.evaluation.headroom import Headroom
    from grapebench.evaluation.measure import Report
    from grapebench.training.journal import Val

CONFIG, DATA, TRAINER = "config.toml", "data.json", "trainer"
LITTLE = 0.02
"""Where the best of several attempts finds no more than this above the mean one, ranks have little to teach."""


@dataclass(frozen=True)
class Trained:
    """How a training ended."""

    card: Path
    reason: str
    """'finished', or why it was stopped."""
    first: Val
    """The frozen model."""
    best: Val
    speaks: bool = True
    """False in all processes of a training but the first."""


def folder_of(material: Material) -> Path:
    """Where a training is kept by default: named by all that determines it."""
    name = sha256_json([material.config.determining, material.record])[:12]
    return paths.data_dir() / "training" / "grape" / material.name / name


def train(material: Material, folder: Path, report: Report) -> Trained:
    """Train in `folder`, from the last checkpoint there where there is one; at once done where the card is there.

    Raises UserError where the folder holds a training with other settings or data, and for a launch that cannot work.
    """
    from grapebench.training import launch, trainer

    policy.asks_once(material.rewriter)
    launch.check(material.config.trl)
    state = launch.state(material.config.trl)
    trainer.check(material.config, state.num_processes)
    if not material.config.full:
        policy.check_adapter(material.lessons[0].rewriter, material.config.lora)
    if state.num_processes > 1 and state.is_main_process:
        print(f"{state.num_processes} processes share each step", file=sys.stderr)
    if state.is_main_process:
        print(f"loss {material.config.loss}, learning rate {material.config.learning_rate:g}", file=sys.stderr)
    with files.alone(folder, "training") if state.is_main_process else contextlib.nullcontext():
        if state.is_main_process:
            _prepare(material, folder)
        state.wait_for_everyone()
        if not (folder / f"{card.name_of(material)}.toml").is_file():
            with trainer.quiet():
                _train(material, folder, report if state.is_main_process else _silent)
        state.wait_for_everyone()
        return dataclasses.replace(_read(material, folder), speaks=state.is_main_process)


def _train(material: Material, folder: Path, report: Report) -> None:
    from accelerate import PartialState

    from grapebench.rewards.pool import Pool
    from grapebench.rewards.reward import Judge, as_trl
    from grapebench.training import sft, trainer
    from grapebench.training.order import mixture, turns
    from grapebench.training.validation import Validation
    from grapebench.training.watching import Watcher

    settings, lessons, state = material.config, material.lessons, PartialState()
    with state.main_process_first():  # the others find captions and vectors stored
        trains, vals = zip(*(lesson.parts(material.retriever, report) for lesson in lessons), strict=True)
    device = "cuda" if state.device.type == "cuda" else "cpu"
    pools = [Pool(train.task.gallery, train.images, settings.pool, settings.seed, device) for train in trains]
    judges = [
        Judge(settings.reward, pool, material.retriever, policy.local(lesson.rewriter).prompt.instructions)
        for lesson, pool in zip(lessons, pools, strict=True)
    ]
    if state.is_main_process:
        _headroom(material, vals, folder, report)
    state.wait_for_everyone()

    engine: Any = policy.local(material.rewriter).engine
    room = engine.settings.max_new_tokens
    chat = policy.load(engine.model.folder, "float32" if settings.full else engine.settings.dtype)
    asked = [_asked(lesson, train, chat, room) for lesson, train in zip(lessons, trains, strict=True)]
    base = material.rewriter.name if not engine.model.commit else engine.settings.model
    adapter = None if settings.full else policy.lora_config(settings.lora, base)
    if settings.sft:
        known = [
            {f"{lesson.prefix}{one}": caption for one, caption in sft.captions(train.task).items()}
            for lesson, train in zip(lessons, trains, strict=True)
        ]
        model = sft.warm_start(settings, chat, asked, known, folder, base)
        chat, adapter = dataclasses.replace(chat, model=model), None

    start = next(reversed(checkpoint.steps(folder)), None)
    if state.is_main_process:
        journal.truncate(folder, -1 if start is None else start)
    state.wait_for_everyone()
    validations = tuple(
        Validation(lesson.label, val, material.retriever, policy.local(lesson.rewriter), chat)
        for lesson, val in zip(lessons, vals, strict=True)
    )
    turn = [lessons[number].label for number in turns(len(lessons), settings.steps, settings.seed)]
    watcher = Watcher(settings, folder, validations, judges, turn, base, report, start)
    reason = watcher.replay() if start is not None else None
    if reason is None:
        bf16 = state.device.type == "cuda" and str(chat.model.dtype) == "torch.bfloat16"
        told = trainer.arguments(settings, folder, room, state.num_processes, bf16)
        lengths = {
            lesson.label: [len(tokens) for tokens in chat.tokenise(list(prompts.values()))]
            for lesson, prompts in zip(lessons, asked, strict=True)
        }
        rows = mixture(lengths, settings.steps, settings.batch, settings.seed)
        rewards: dict[str, Callable[..., list[float]]] = {}
        for lesson, train, judge in zip(lessons, trains, judges, strict=True):
            queries = {f"{lesson.prefix}{query.id}": query for query in train.queries}
            rewards |= dict.fromkeys(queries, as_trl(judge, queries, chat.ends, trainer.scales_groups(settings)))
        prompts = {one: prompt for some in asked for one, prompt in some.items()}
        built = trainer.build(chat, told, adapter, prompts, rows, _reward(rewards), watcher, settings.seed)
        if start is not None and trainer.sharded(built.accelerator):
            raise UserError(
                "a training with a sharded optimiser cannot go on", file=folder, fix="begin anew in another --out"
            )
        built.train(resume_from_checkpoint=None if start is None else str(checkpoint.path_of(folder, start)))
        reason = watcher.stopped
    if state.is_main_process:
        _finish(material, folder, watcher, reason or "finished")
    state.wait_for_everyone()


def _asked(lesson: Lesson, train: Part, chat: models.Chat, room: int) -> dict[str, str]:
    """The prompts that are trained on, by the ids of their queries."""
    prompts = policy.prompts(chat, policy.local(lesson.rewriter).requests(train.queries), room)
    return {f"{lesson.prefix}{query.id}": prompt for query, prompt in zip(train.queries, prompts, strict=True)}


def _reward(by_query: Mapping[str, Callable[..., list[float]]]) -> Callable[..., list[float]]:
    """The reward of whichever task a step is of, by its queries; it knows no queries of other tasks."""

    def reward(*, query_id: list[str], **given: Any) -> list[float]:
        return by_query[query_id[0]](query_id=query_id, **given)

    return reward


def _prepare(material: Material, folder: Path) -> None:
    """A folder with the settings and the record of the data; the one that is there must be of the same."""
    told = material.record
    if (folder / DATA).is_file():
        before = json.loads((folder / DATA).read_text(encoding="utf-8"))
        if before.get(TRAINER) != told[TRAINER]:
            raise UserError(
                "the training there was begun by another version of the trainer, which learns otherwise from the same "
                "settings",
                file=folder,
                fix="choose another --out, or go on with the version that began it",
            )
        differing = [key for key in told if before.get(key) != told[key]]
        if differing:
            what = f"the training there was begun with another {', '.join(differing)}"
            raise UserError(what, file=folder, fix="choose another --out")
        stored = config.fill(config.read(folder / CONFIG), folder / CONFIG).determining
        others = [key for key, value in material.config.determining.items() if stored[key] != value]
        if others:
            what = f"the training there has other settings: {', '.join(others)}"
            raise UserError(what, file=folder, fix="choose another --out, or say --resume alone")
    elif folder.is_dir() and any(path.name != files.LOCK for path in folder.iterdir()):
        raise UserError("is not empty, and no training is in it", file=folder, fix="choose another --out")
    files.write_text(folder / CONFIG, config.dump(material.config))
    card.write_json(folder / DATA, told)
    checkpoint.sweep(folder)


def _headroom(material: Material, vals: Sequence[Part], folder: Path, report: Report) -> None:
    """Measure what there is to gain, once for each task, and say so."""
    from grapebench.evaluation.headroom import headroom
    from grapebench.rewriters import open_rewriter

    settings = material.config
    if not settings.headroom:
        return
    sampled = changes(settings) | {"sample": True, "temperature": settings.temperature}
    ks = [k for k in (1, 2, 4, 8, 16, 32, 64) if k < settings.headroom] + [settings.headroom]
    for lesson, val in zip(material.lessons, vals, strict=True):
        path = folder / headroom_file(lesson.label)
        if not path.is_file():
            opened = open_rewriter(settings.rewriter, lesson.setup, sampled)
            queries = val.queries[:: max(1, len(val.queries) // settings.headroom_queries)]
            queries = queries[: settings.headroom_queries]
            found = headroom(val.task, queries, opened, material.retriever, None, settings.seed, ks, report)
            card.write_json(path, dataclasses.asdict(found))
            _show_headroom(found, val.task.name, val.task.split)
    models.load.cache_clear()  # the frozen model is not asked again, and the one that learns needs the room


def _show_headroom(found: Headroom, task: str, split: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"Headroom on {task} {split}, {found.queries:,} queries")
    keys = [key for key in ("R@1", "R@10") if key in found.raw] or list(found.raw)[:2]
    table.add_column("Best of")
    for key in keys:
        table.add_column(key, justify="right")
    table.add_row("raw query", *(f"{found.raw[key]:.1%}" for key in keys))
    for point in found.points:
        name = "1 (the mean)" if point.k == 1 else str(point.k)
        table.add_row(name, *(f"{point.figures[key]:.1%}" for key in keys))
    console = Console(stderr=True)
    console.print(table)
    gain = found.points[-1].figures[keys[-1]] - found.points[0].figures[keys[-1]]
    if gain <= LITTLE:
        print(
            f"warning: the best of {found.samples} attempts finds hardly more than the mean one ({keys[-1]} + "
            f"{gain:.1%}): there is little that a reward by rank could teach",
            file=sys.stderr,
        )


def _finish(material: Material, folder: Path, watcher: Any, reason: str) -> None:
    """The best checkpoint's weights and, last of all, the card."""
    if not any(entry.kind == "stop" for entry in journal.read(folder)):
        watcher.stop(journal.read(folder)[-1].step, reason)
    best = checkpoint.path_of(folder, watcher.best.step)
    whole = material.config.full
    wanted = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model") if whole else ("adapter_*",)
    with files.atomic_folder(folder / (policy.MODEL if whole else policy.ADAPTER)) as temporary:
        for pattern in wanted:
            for source in best.glob(pattern):
                if source.name not in checkpoint.OWN:
                    shutil.copyfile(source, temporary / source.name)
        if not whole:
            engine: Any = policy.local(material.rewriter).engine
            models.write_base(temporary, engine.model)
    card.write(material, folder, watcher.best.step)


def _read(material: Material, folder: Path) -> Trained:
    entries = journal.read(folder)
    vals = [entry for entry in entries if isinstance(entry, journal.Val)]
    reason = next(entry.reason for entry in reversed(entries) if isinstance(entry, journal.Stop))
    best = max(vals, key=lambda val: (val.recall_10 or 0.0, -val.step))
    return Trained(folder / f"{card.name_of(material)}.toml", reason, vals[0], best)


def _silent(stage: str, done: int, total: int) -> None:
    """The progress of all processes but the first."""
