"""Whether a result is what it says it is: identity, place, files, versions. Nothing is computed here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grapebench
from grapebench import catalog, files
from grapebench.evaluation.environment import git
from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.leaderboard import attribution, results, store
from grapebench.leaderboard.bench import short
from grapebench.leaderboard.results import RESULT_FILE, Result
from grapebench.leaderboard.verification.findings import Findings

_VERSION = re.compile(r"\d+(\.\d+)*([.+-]?\w+)*")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def check(found: Findings, stores: Sequence[Path]) -> None:
    """Read the result and check what needs no data; `found.result` stays None where there is nothing to go on with."""
    with found.told():
        found.result = store.load(found.folder)
    if found.result is None:
        return
    _determinants(found, found.result)
    _place(found, found.result, stores)
    _files(found, found.result)
    _rules(found, found.result)
    _environment(found, found.result)


def _determinants(found: Findings, result: Result) -> None:
    due: dict[str, Any] = {
        "schema_version": result.schema_version,
        "benchmark": result.benchmark,
        "suite": result.suite,
        "task": result.task,
        "revision": result.revision,
        "protocol": result.protocol,
        "split": result.split,
        "limit": result.limit,
        "dataset": result.data.dataset,
        "sources": result.data.sources,
        "images": result.data.images,
        "retriever": [result.retriever.name, result.retriever.fingerprint],
        "rewriter": [result.rewriter.name, result.rewriter.fingerprint],
        "seed": result.seed,
    }
    if result.seen is not None:
        due["seen"] = result.seen.model_dump()
    said = dict(result.determinants)
    captioner = said.pop("captioner", None)
    for key in sorted({*said, *due}):
        if key not in due:
            found.wrong(RESULT_FILE, f"determinants has {key!r}, which no field of the result says")
        elif key not in said:
            found.wrong(RESULT_FILE, f"determinants lacks {key!r}")
        elif said[key] != due[key]:
            found.differs(f"determinants[{key!r}]", said[key], due[key], "the field that says the same is")
    _captioner(found, result, captioner)


def _captioner(found: Findings, result: Result, identity: Any) -> None:
    told = result.rewriter.description.get("captioner")
    if (identity is None) != (result.rewriter.captioner is None):
        found.differs("rewriter.captioner", result.rewriter.captioner, identity, "determinants['captioner'] is")
    elif identity is not None:
        known = told if isinstance(told, dict) else {}
        if not isinstance(identity, dict) or any(known.get(key) != value for key, value in identity.items()):
            found.differs("determinants['captioner']", identity, told, "rewriter.description['captioner'] is")


def _place(found: Findings, result: Result, stores: Sequence[Path]) -> None:
    folder = found.folder.resolve()
    root = next((root for root in stores if folder.is_relative_to(root.resolve())), None)
    due = store.folder_of(
        Path(), result.suite, result.task, result.retriever.name, result.rewriter.name, result.id
    )  # fmt: skip
    if root is None:
        if folder.name != result.id and re.fullmatch(r"[0-9a-f]{16}", folder.name):
            found.wrong(folder.name, f"the folder is named by another id than the result's, {result.id}")
    elif folder.relative_to(root.resolve()) != due:
        found.wrong(str(folder.relative_to(root.resolve())), f"the result belongs into {due.as_posix()}")


def _files(found: Findings, result: Result) -> None:
    protocol = PROTOCOLS[result.protocol]
    due = {results.QUERIES_FILE, results.REWRITES_FILE, results.RUN_FILE}
    if result.labelled:
        due |= {results.PER_QUERY_FILE, results.SIMILARITIES_FILE}
    if protocol.image_to_text:
        due |= {results.I2T_RUN_FILE} | ({results.PER_IMAGE_FILE} if result.labelled else set())
    # Whether the data have look-alikes only the data say.
    may = due | ({results.SUBSET_RUN_FILE} if result.family == "compose" or protocol.subset_ks else set())
    for name in sorted(due - set(result.files)):
        found.wrong(RESULT_FILE, f"files lacks {name!r}, which such a result has beside it")
    for name in sorted(set(result.files) - may):
        found.wrong(RESULT_FILE, f"files names {short(name)}, which such a result does not have")
    for path in sorted(found.folder.iterdir()):
        if path.name not in (RESULT_FILE, attribution.FILE, *result.files):
            found.wrong(path.name, "result.json does not name this file")
        elif path.is_symlink() or not path.is_file():
            found.wrong(path.name, "this is no plain file")
        elif path.name in result.files and files.sha256_file(path) != result.files[path.name]:
            found.wrong(path.name, "the file is not the one that result.json gives the hash of")
    with found.told():
        attribution.read(found.folder)


def _rules(found: Findings, result: Result) -> None:
    """Versions of rules and task; figures of other ones cannot be vouched for."""
    if result.benchmark != results.BENCHMARK:
        what = f"benchmark is {result.benchmark!r}, and this grapebench measures by {results.BENCHMARK!r}"
        found.wrong(RESULT_FILE, f"{what}: verify it with a release of that version")
    if result.task not in catalog.task_names():
        return
    card = catalog.task_card(result.task).card
    if result.revision != card.revision:
        found.differs("revision", result.revision, card.revision, "the task's card has")
    if result.family != card.family:
        found.differs("family", result.family, card.family, "the task's card has")
    if result.protocol not in (card.protocol, *card.protocols):
        found.wrong(RESULT_FILE, f"protocol is {result.protocol!r}, which {card.name} does not offer")
    suite = {"mini": card.mini, "full": card.full}[result.suite]
    if suite is None or result.split not in suite.splits:
        found.wrong(RESULT_FILE, f"{card.name} has no split {short(result.split)} in the suite {result.suite}")


def _environment(found: Findings, result: Result) -> None:
    said = result.environment
    named = {"grapebench": said.grapebench, "python": said.python} | {
        f"packages.{k}": v for k, v in said.packages.items()
    }
    for name, version in named.items():
        if not _VERSION.fullmatch(version):
            found.wrong(RESULT_FILE, f"environment.{name} is {short(version)}, which is no version")
    if _numbers(said.grapebench) > _numbers(grapebench.__version__):
        found.wrong(
            RESULT_FILE,
            f"environment.grapebench is {said.grapebench!r}, newer than this one, {grapebench.__version__}: "
            "verify it with that",
        )
    try:
        created = datetime.fromisoformat(result.created)
    except ValueError:
        created = None
    if created is None or created.tzinfo is None:
        found.wrong(RESULT_FILE, f"created is {short(result.created)}, which is no time with its zone")
    elif created > datetime.now(UTC) + timedelta(days=1):
        found.wrong(RESULT_FILE, f"created is {result.created}, which is in the future")
    if said.dirty:
        found.remarks.append("made in a checkout with changes that its commit does not hold")
    if said.commit is None:
        found.remarks.append("made outside of a checkout: the version alone says by which code")
    elif not _COMMIT.fullmatch(said.commit):
        found.wrong(RESULT_FILE, f"environment.commit is {short(said.commit)}, which is no commit's name")
    else:
        _commit(found, said.commit)


def _commit(found: Findings, commit: str) -> None:
    folder = Path(grapebench.__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        found.unchecked.append("its commit: this is no checkout")
    elif git(folder, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        found.unchecked.append(f"its commit: {commit[:10]} is not in the history of this checkout")


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()
