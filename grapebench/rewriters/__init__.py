"""Rewriters: what is asked, and what is searched instead."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from glob import escape, glob
from pathlib import Path
from typing import Any

from grapebench import source_code
from grapebench.cards import SEED, WEIGHTS, RewriterCard
from grapebench.datasets.seen import Seen, seen_of, together
from grapebench.errors import UserError
from grapebench.files import sha256_json
from grapebench.records import Query, Rewrite, Rewriter
from grapebench.rewriters.prompts import Prompt
from grapebench.rewriters.prompts import load as load_prompt
from grapebench.rewriters.setup import Setup
from grapebench.settings import fill_settings
from grapebench.source_code import source_sha256


@dataclass(frozen=True)
class LoadedRewriter:
    """A rewriter ready to be asked, with all that a result says of it. Nothing heavy is loaded yet."""

    name: str
    rewriter: Rewriter
    card: RewriterCard | None
    """None for a class from a file."""
    fingerprint: str
    """Hash of everything but the query and the seed that determines a rewrite."""
    description: dict[str, Any]
    """For the result file: mechanism, settings, model and weights, prompt hash, versions."""
    captioner: str | None = None
    """What puts the reference image of composed queries into words; None where nothing needs it."""
    oracle: bool = False
    across_seeds: str | None = None
    """Where each seed has weights of its own: a hash of the card that the seeds share. None where `fingerprint` is the
    same whatever the seed."""
    language_model: bool | None = None
    """Whether a generative model writes any of what is searched; None where its class does not say."""
    sampled: bool = True
    """Whether answers depend on the seed and the query's id; where nothing is known they may."""
    stored: bool = True
    """False where asking is as quick as looking up."""
    seen: Seen | None = None
    """What it was trained on or looks at, where that is known. Not in the fingerprint: it changes no answer."""
    samples: int = 1
    """How many answers are asked for each query."""
    combine: Callable[[Query, Sequence[Rewrite]], Rewrite] | None = None
    """Makes one rewrite of a query's answers; None: the only answer is the rewrite."""
    asked_as: str = ""
    """The fingerprint that single answers are stored under, so that rewriters which only combine them differently share
    them; empty where it is `fingerprint`."""
    read_again: Callable[[Query, Rewrite], Rewrite] | None = None
    """Reads a stored answer as it would be read today; None: it stays as it was stored."""


def open_rewriter(spec: str, setup: Setup, changes: Mapping[str, Any] | None = None) -> LoadedRewriter:
    """The rewriter that `spec` names: a card's name, the path of a card (.toml), or 'path/to/file.py:Class'.

    A mechanism's constructor is given those of `settings` (an instance of its `Settings`, checked against the card),
    `setup` and `prompt` that it has parameters for. `changes` are settings that stand instead of the card's. Raises
    UserError where the card does not fit the task, a setting or prompt is wrong, or the user's code fails.
    """
    from grapebench import catalog, registry

    if registry.is_file_spec(spec):
        mechanism = registry.resolve("rewriters", spec)
        source = Path(spec.rpartition(":")[0]).expanduser()
        file = registry.source_file(spec)
        made = _construct(mechanism, fill_settings(mechanism, {}, source), setup, None, source)
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", mechanism.__name__).lower()
        told = {"class": mechanism.__name__, "source_sha256": source_sha256(mechanism, file)}
        return _loaded(name, made, None, told, setup, None, file)
    found = catalog.rewriter_card(spec)
    card, path = found.card, found.path
    _check_fit(card, path, setup)
    card = card.in_suite(setup.suite)
    if card.tasks:
        card = card.for_task(_task_name(setup))
    of_all_seeds = card
    if card.by_seed:
        _check_seed(card, path, setup)
        card = card.for_seed(setup.seed)
    setup = replace(setup, base=path.parent)
    mechanism = registry.resolve("rewriters", card.mechanism, path.parent)
    values = {**card.settings, **(changes or {})}
    settings = fill_settings(mechanism, values, path)
    seen = seen_of(replace(found, card=card))
    prompt = load_prompt(card.prompts, setup.family, path.parent, path, sees=bool(getattr(settings, "image", False)))
    made = _construct(mechanism, settings, setup, prompt, path)
    told = {"mechanism": card.mechanism, "card_sha256": found.sha256, "settings": values}
    file = registry.source_file(card.mechanism, path.parent)
    loaded = _loaded(card.name, made, card, told, setup, prompt, file)
    across_seeds = None
    if of_all_seeds.by_seed:
        shared = {key: value for key, value in loaded.description.items() if key in ("generation", "answers")}
        given = [card.mechanism, of_all_seeds.settings, dict(changes or {}), prompt.sha256 if prompt else None, shared]
        across_seeds = sha256_json(given)
    return replace(loaded, seen=together(seen, loaded.seen), across_seeds=across_seeds)


def _loaded(
    name: str,
    made: Any,
    card: RewriterCard | None,
    told: dict[str, Any],
    setup: Setup,
    prompt: Prompt | None,
    file: Path | None = None,
) -> LoadedRewriter:
    given = [told.get("settings", {}), prompt.sha256 if prompt else None, setup.suite, setup.family]
    fingerprint = source_code.fingerprint(made, name, given, file)
    asked_as = getattr(made, "asked_as", "")
    if asked_as and not source_code.own_word(made, "asked_as"):
        # A class of the user's that inherits from one here: what it changes is in its source.
        asked_as = source_code.of_source(type(made), given, file, asked_as)
    model = getattr(made, "language_model", None)
    if model is not None and not isinstance(model, bool):
        raise UserError(f"{name}: language_model must be True or False, not {model!r}")
    description = {"name": name, **told, **getattr(made, "description", {}), "fingerprint": fingerprint}
    return LoadedRewriter(
        name=name,
        rewriter=made,
        card=card,
        fingerprint=fingerprint,
        description=description,
        captioner=_captioner(card, setup),
        oracle=(card is not None and card.oracle) or bool(getattr(made, "oracle", False)),
        language_model=model,
        sampled=bool(getattr(made, "sampled", True)),
        stored=bool(getattr(made, "stored", True)),
        seen=getattr(made, "seen", None),
        samples=getattr(made, "samples", 1),
        combine=getattr(made, "combine", None),
        asked_as=asked_as,
        read_again=getattr(made, "read_again", None),
    )


def _captioner(card: RewriterCard | None, setup: Setup) -> str | None:
    """The captioner that a card names, a path in it seen from the working directory."""
    from grapebench.registry import is_file_spec

    if card is None or card.captioner is None or setup.family != "compose":
        return None
    named = card.captioner
    is_path = named.endswith(".toml") or is_file_spec(named)
    return str((setup.base or Path()) / Path(named).expanduser()) if is_path else named


def _check_fit(card: RewriterCard, path: Path, setup: Setup) -> None:
    if setup.family not in card.families:
        raise UserError(
            f"rewriter {card.name!r} is for tasks of the family {' or '.join(card.families)}, not {setup.family}",
            file=path,
        )
    if setup.suite not in card.suites:
        raise UserError(
            f"rewriter {card.name!r} is for the suite {' or '.join(card.suites)}, not {setup.suite}", file=path
        )
    if card.tasks and (task := _task_name(setup)) not in card.tasks:
        told = f"not {task}" if task else "and was not told which task"
        raise UserError(f"rewriter {card.name!r} is for the tasks {', '.join(card.tasks)}, {told}", file=path)


def _check_seed(card: RewriterCard, path: Path, setup: Setup) -> None:
    """UserError where the card has no weights of the run's seed."""
    for key in WEIGHTS:
        named = str(card.settings.get(key, ""))
        before, found, after = str(path.parent / Path(named).expanduser()).partition(SEED)
        if not found:
            continue
        places = [place[len(before) : len(place) - len(after)] for place in glob(f"{escape(before)}*{escape(after)}")]
        seeds = sorted(int(place) for place in places if place.isdecimal())
        if setup.seed not in seeds:
            for_task = f" for {_task_name(setup)}" if setup.task else ""
            raise UserError(
                f"rewriter {card.name!r} has no weights of seed {setup.seed}{for_task}, only of: "
                + (", ".join(map(str, seeds)) or "none"),
                file=path,
                fix=f"say --seed {seeds[0]}" if seeds else f"put them where {key!r} says: {named}",
            )


def _task_name(setup: Setup) -> str:
    from grapebench import catalog

    return catalog.task_card(setup.task).card.name if setup.task else ""


def _construct(mechanism: Any, settings: Any, setup: Setup, prompt: Prompt | None, path: Path) -> Any:
    if not (inspect.isclass(mechanism) and callable(getattr(mechanism, "rewrite", None))):
        name = getattr(mechanism, "__name__", repr(mechanism))
        raise UserError(f"{name} is no rewriter", file=path, fix="give a class with a method rewrite(self, queries)")
    offered = {"settings": settings, "setup": setup, "prompt": prompt}
    wanted = inspect.signature(mechanism).parameters
    try:
        return mechanism(**{name: value for name, value in offered.items() if name in wanted})
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{mechanism.__name__} cannot be made: {type(error).__name__}: {error}", file=path) from error
