"""The answers to a batch file, checked against its export and put into the rewrite store, all or none."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grapebench.errors import UserError
from grapebench.files import explain_os_error
from grapebench.records import Query, Rewrite
from grapebench.rewriters import output
from grapebench.rewriters.answers import failed
from grapebench.rewriters.batch_files import Manifest, manifest_path
from grapebench.rewriters.engines import Answer, replies
from grapebench.rewriters.engines.spending import Prices
from grapebench.rewriters.prompted import read
from grapebench.rewriters.store import RewriteStore
from grapebench.text import without_mark


@dataclass(frozen=True)
class Read:
    """What files of answers hold."""

    rewrites: Mapping[str, Rewrite]
    """By custom_id."""
    failures: Mapping[str, int]
    """How many requests failed, by reason; they are asked again."""
    broken: tuple[str, ...]
    """Where a line could not be read, and why: 'FILE:LINE: …'."""


@dataclass(frozen=True)
class Imported:
    """What became of the answers."""

    read: int
    new: int
    """Those that were not stored yet."""
    failures: Mapping[str, int]
    fallbacks: Mapping[str, int]
    """How many answers are of no use, by reason."""
    undetected: Mapping[str, int]
    """How many answers name no challenging concepts that can be read, where these were asked for, by reason."""
    cut: Mapping[str, int]
    """How many answers broke off at the token limit ('output')."""
    prompt_tokens: int
    completion_tokens: int
    money: float
    missing: int
    """How many requests of the export still have no stored answer."""


def find_manifest(answers: Path, export: Path | None) -> Path:
    """The manifest of the export that `answers` belong to.

    `export` is a file of requests or the manifest itself; without it the names say it: FILE.out.jsonl or
    FILE-2.out.jsonl belong to FILE.manifest.json. Raises UserError where there is none.
    """
    if export is not None and export.name.endswith(".manifest.json"):
        return export
    named = export or answers.with_name(answers.name.removesuffix(".jsonl").removesuffix(".out") + ".jsonl")
    whole = named.with_name(re.sub(r"-\d+(?=\.jsonl$)", "", named.name))
    for path in (manifest_path(named), manifest_path(whole)):
        if path.is_file():
            return path
    fix = "name the export: --export FILE.jsonl" if export is None else "the manifest stands beside the export"
    raise UserError("no manifest, so nobody knows what was asked", file=manifest_path(named), fix=fix)


def read_answers(paths: Sequence[Path], manifest: Manifest) -> Read:
    """The answers in files as OpenAI and `vllm run-batch` write them, read as an answer from a server is.

    A line that is no JSON (a file that broke off) is left out and named. Raises UserError for a line that answers what
    was not asked, or what an earlier one answers: then the file belongs to something else.
    """
    rewrites: dict[str, Rewrite] = {}
    failures: Counter[str] = Counter()
    broken: list[str] = []
    seen: dict[str, str] = {}
    prices = Prices(manifest.prices["prompt"] or 0.0, manifest.prices["completion"] or 0.0, manifest.prices["cached"])
    for path in paths:
        for number, line in _lines(path):
            record = _record(line)
            if record is None:
                broken.append(f"{path}:{number}: not an answer in JSON" + ("" if line.endswith(b"\n") else ", cut off"))
                continue
            key = record["custom_id"]
            if key not in manifest.texts:
                raise UserError(
                    f"custom_id {key!r} is not in the export {manifest.about}",
                    file=path,
                    line=number,
                    fix="nothing was stored; give the answers to this export",
                )
            if key in seen:
                raise UserError(
                    f"custom_id {key!r} is answered twice, first in {seen[key]}",
                    file=path,
                    line=number,
                    fix="nothing was stored; keep one of the two",
                )
            seen[key] = f"{path}:{number}"
            rewrite = read(
                Query("", manifest.texts[key]),
                _answer(record, manifest.model, prices),
                manifest.answer,
                manifest.instructions,
            )
            if failed(rewrite):
                failures[rewrite.fallback or ""] += 1
            else:
                rewrites[key] = rewrite
    return Read(rewrites, dict(failures.most_common()), tuple(broken))


def put(found: Read, manifest: Manifest, store: RewriteStore) -> Imported:
    """Store the answers that are not there yet, in one transaction; what is there stays as it is."""
    keys = list(manifest.texts)
    known = store.lookup(manifest.fingerprint, keys)
    new = {key: rewrite for key, rewrite in found.rewrites.items() if key not in known}
    store.put(manifest.fingerprint, new)
    tally = output.tally(found.rewrites.values())
    return Imported(
        read=len(found.rewrites),
        new=len(new),
        failures=found.failures,
        fallbacks=tally["fallbacks"],
        undetected=tally["undetected"],
        cut={place: count for place, count in tally["cut"].items() if count},
        prompt_tokens=sum(rewrite.prompt_tokens for rewrite in found.rewrites.values()),
        completion_tokens=sum(rewrite.completion_tokens for rewrite in found.rewrites.values()),
        money=sum(rewrite.money for rewrite in found.rewrites.values()),
        missing=len(keys) - len(known) - len(new),
    )


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                line = without_mark(line, path) if number == 1 else line
                if line.strip():
                    yield number, line
    except OSError as error:
        raise explain_os_error(error, path) from error


def _record(line: bytes) -> dict[str, Any] | None:
    """A line's JSON object with its custom_id; None where it is none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("custom_id"), str) else None


def _answer(record: Mapping[str, Any], model: str, prices: Prices) -> Answer:
    """OpenAI writes the error of a request into the response's body, `vllm run-batch` beside the response."""
    key, error = record["custom_id"], record.get("error")
    response = record.get("response")
    response = response if isinstance(response, Mapping) else {}
    status, body = response.get("status_code"), response.get("body")
    if status == 200 and error is None:
        return replies.read(key, body, model, prices)
    told = body if body is not None else error
    message = replies.error_message(told)
    return Answer(key, "", failure=_why(told, status), trace={"error": message} if message else {})


def _why(told: object, status: object) -> str:
    """Why a request failed, as the API engine counts it."""
    inner = told.get("error", told) if isinstance(told, Mapping) else None
    code = inner.get("code") if isinstance(inner, Mapping) else None
    if code == "content_filter":
        return "content filter"
    if isinstance(status, int) and status != 200:
        return f"error {status}"
    # Of the batch itself, such as 'batch_expired'.
    return code.replace("_", " ") if isinstance(code, str) and code else replies.NO_ANSWER
