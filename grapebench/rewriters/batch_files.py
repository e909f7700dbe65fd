"""Batch files: the answers that are not stored yet, asked for in a file instead of one by one.

The format is that of OpenAI's Batch API, which `vllm run-batch` takes as well. Beside the file of requests stands a
manifest that says what they are; whoever reads the answers back needs nothing else: no task, no model, no retriever.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from grapebench.errors import UserError
from grapebench.files import explain_os_error, sha256_file, write_text
from grapebench.records import Query
from grapebench.rewriters import LoadedRewriter, output
from grapebench.rewriters.claims import Claims
from grapebench.rewriters.engines.spending import Prices
from grapebench.rewriters.prompted import Prompted
from grapebench.rewriters.prompted_settings import Form
from grapebench.rewriters.samples import expand
from grapebench.rewriters.store import RewriteStore, query_key

MOST_REQUESTS = 50_000
MOST_BYTES = 200_000_000
"""OpenAI's limits for one file; what is larger becomes several."""
URL = "/v1/chat/completions"
_AT_ONCE = 256
"""How many requests are made at a time: each may carry an image."""


class Part(BaseModel):
    """One file of requests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    requests: int
    sha256: str


class Manifest(BaseModel):
    """What the requests of an export are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    suite: str
    task: str
    split: str
    rewriter: str
    seed: int
    model: str
    """As the requests name it."""
    fingerprint: str
    """What the answers are stored under."""
    output_contract: int
    """The version of the rules that answers were read by when it was written; they are read by today's."""
    answer: Form
    """How an answer is read."""
    instructions: tuple[str, ...] = ()
    """The words that every request has: an answer that repeats them is none."""
    prices: dict[str, float | None]
    """Per million tokens, as the card has them."""
    parts: tuple[Part, ...]
    texts: dict[str, str]
    """By custom_id, the query's own text: it is searched where an answer is of no use."""

    @property
    def about(self) -> str:
        return f"{self.task} · {self.rewriter}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class _Written:
    path: Path
    requests: int


def unanswered(
    loaded: LoadedRewriter, queries: Sequence[Query], store: RewriteStore, seed: int
) -> tuple[dict[str, Query], int]:
    """The questions without a stored answer, by the key that the answer is stored under.

    Those that `grapebench.rewriters.store.all_answers` would ask: each query once for each of the rewriter's samples,
    equal questions once. Composed queries have their captions already. Left out, and counted, are those that another
    process is asking for at this moment.
    """
    beside = prompted(loaded).depends_on(queries)
    asked: dict[str, Query] = {}
    for query, shown in zip(queries, beside, strict=True):
        for one in expand(query, loaded.samples):
            asked.setdefault(query_key(loaded, one, seed, shown), one)
    asked = _not_stored(loaded, asked, store)
    with Claims(store.path) as claims:
        claimed = claims.of_others(loaded.asked_as, list(asked))
    # Looked up once more: what nobody claims any longer may have been answered just now.
    asked = _not_stored(loaded, asked, store)
    questions = {key: one for key, one in asked.items() if key not in claimed}
    return questions, len(asked) - len(questions)


def _not_stored(loaded: LoadedRewriter, asked: Mapping[str, Query], store: RewriteStore) -> dict[str, Query]:
    stored = store.lookup(loaded.asked_as, list(asked))
    return {key: one for key, one in asked.items() if key not in stored}


def export(
    loaded: LoadedRewriter, questions: Mapping[str, Query], out: Path, *, suite: str, task: str, split: str, seed: int
) -> Manifest:
    """Write the questions into `out`, or where they are too many into OUT-1, OUT-2, …, and the manifest beside.

    The manifest comes last, so that without it there is no export. Raises UserError where there is one under that name
    already (its answers may still be on their way), where the name does not end in .jsonl, for a rewriter that asks
    no chat model, and where a file cannot be written.
    """
    rewriter = prompted(loaded)
    check_free(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
        try:
            written = list(_write(_lines(rewriter, questions), temporary))
            names = [out.name] if len(written) == 1 else [f"{out.stem}-{n}.jsonl" for n in range(1, len(written) + 1)]
            parts = [
                Part(name=name, requests=one.requests, sha256=sha256_file(one.path))
                for name, one in zip(names, written, strict=True)
            ]
            for name, one in zip(names, written, strict=True):
                one.path.replace(out.parent / name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise explain_os_error(error, out) from error
    prices = getattr(rewriter.engine, "prices", Prices())
    manifest = Manifest(
        suite=suite,
        task=task,
        split=split,
        rewriter=loaded.name,
        seed=seed,
        model=_model(rewriter, questions),
        fingerprint=loaded.asked_as,
        output_contract=output.VERSION,
        answer=rewriter.settings.answer,
        instructions=rewriter.prompt.instructions,
        prices={"prompt": prices.prompt, "completion": prices.completion, "cached": prices.cached},
        parts=tuple(parts),
        texts={key: query.text for key, query in questions.items()},
    )
    write_text(manifest_path(out), manifest.model_dump_json(indent=1) + "\n")
    return manifest


def manifest_path(out: Path) -> Path:
    """FILE.manifest.json for FILE.jsonl."""
    return out.with_name(out.name.removesuffix(".jsonl") + ".manifest.json")


def load_manifest(path: Path) -> Manifest:
    """Raises UserError where it is none, was written by another version, or its requests were changed since."""
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise explain_os_error(error, path) from error
    except ValidationError as error:
        raise UserError("not the manifest of an export", file=path) from error
    for part in manifest.parts:
        requests = path.parent / part.name
        if requests.is_file() and sha256_file(requests) != part.sha256:
            raise UserError(
                "changed since it was exported, so nobody knows what was asked",
                file=requests,
                fix="restore it, or export again",
            )
    return manifest


def prompted(loaded: LoadedRewriter) -> Prompted:
    """The rewriter itself. Raises UserError for one that asks no chat model, or asks it twice."""
    if not isinstance(loaded.rewriter, Prompted):
        raise UserError(
            f"{loaded.name} asks no chat model, so there is nothing to export",
            fix="choose a rewriter of the mechanism lm, vllm or api",
        )
    if loaded.rewriter.detects:
        raise UserError(
            f"{loaded.name} asks for concepts first, and its second question depends on the answer",
            fix="take the prompt `detect` out of the card, and set answer = 'concepts': then one answer holds both",
        )
    return loaded.rewriter


def check_free(out: Path) -> None:
    """Raises UserError where no export can be written there."""
    if out.suffix != ".jsonl":
        raise UserError("the name of a batch file ends in .jsonl", file=out, fix=f"write --out {out.stem}.jsonl")
    for path in (manifest_path(out), out, out.with_name(f"{out.stem}-1.jsonl")):
        if path.exists():
            raise UserError(
                "there is an export already, and its answers may be on their way",
                file=path,
                fix="import them and remove it, or choose another name",
            )


def _lines(rewriter: Prompted, questions: Mapping[str, Query]) -> Iterator[bytes]:
    keys, queries = list(questions), list(questions.values())
    for start in range(0, len(keys), _AT_ONCE):
        requests = rewriter.requests(queries[start : start + _AT_ONCE])
        for key, request in zip(keys[start:], requests, strict=False):
            line = {"custom_id": key, "method": "POST", "url": URL, "body": rewriter.engine.body(request)}
            yield json.dumps(line).encode() + b"\n"


def _write(lines: Iterator[bytes], folder: Path) -> Iterator[_Written]:
    """Write the lines into as few files as the limits allow. Raises UserError for a line that is too long for any."""
    line = next(lines, None)
    number = 0
    while line is not None:
        number += 1
        path, requests, size = folder / str(number), 0, 0
        with path.open("wb") as file:
            while line is not None and requests < MOST_REQUESTS and size + len(line) <= MOST_BYTES:
                file.write(line)
                requests, size = requests + 1, size + len(line)
                line = next(lines, None)
        if line is not None and not requests:
            raise UserError(f"one request takes {len(line):,} bytes, and a batch file may have {MOST_BYTES:,}")
        yield _Written(path, requests)


def _model(rewriter: Prompted, questions: Mapping[str, Query]) -> str:
    one = next(iter(questions.values()))
    body: dict[str, Any] = rewriter.engine.body(rewriter.requests([one])[0])
    return str(body["model"])
