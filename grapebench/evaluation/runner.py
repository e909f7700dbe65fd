"""From a task, a rewriter and a retriever to a result folder.

The folder's name is a hash of all that determines what is in it: the same call again finds it there and computes
nothing, unless queries are without an answer: then these are asked again. What was under way when a run was killed
lies in the stores of rewrites and embeddings.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench import activity, files
from grapebench.datasets.seen import overlap
from grapebench.errors import UserError
from grapebench.evaluation.protocols import protocol_named, require_categories
from grapebench.leaderboard import results, store
from grapebench.records import Retriever, Task
from grapebench.retrieval.encode import Lookup
from grapebench.rewriters import LoadedRewriter
from grapebench.rewriters.setup import Setup
from grapebench.source_code import own_word

if TYPE_CHECKING:
    from grapebench.evaluation.measure import Measured, Report
    from grapebench.rewriters.captioners import LoadedCaptioner


def run(
    task: Task,
    rewriter: LoadedRewriter,
    retriever: Retriever,
    *,
    retriever_name: str,
    setup: Setup,
    into: Path,
    command: str,
    limit: int | None = None,
    allow_seen: bool = False,
    notes: Sequence[str] = (),
    report: Report | None = None,
) -> Path:
    """The folder of the result in the store `into`, made unless it is there already.

    `retriever_name` is what the retriever is called in results, `setup` what the rewriter was opened with; its seed is
    the result's. With `limit` only the first so many queries are asked, of the whole gallery. `notes` are added to
    what the result says of its data. Raises UserError for what `check_task` and `check_seen` refuse, or where
    rewriting, encoding or writing fails.
    """
    if limit is not None and limit >= len(task.queries):
        limit = None
    queries = task.queries[:limit]
    labelled = check_task(task)
    seen = check_seen(task, rewriter, allow_seen)
    protocol = protocol_named(task.protocol)
    captioner = None
    if rewriter.captioner is not None:
        from grapebench.rewriters.captioners import open_captioner

        captioner = open_captioner(rewriter.captioner, setup)
    # Vectors that were brought along need no pictures; what they are is in the retriever's fingerprint.
    with activity.during("hashing the images"):
        hashes = None if _brings_vectors(retriever, task) else task.gallery.images.sha256(task.gallery.ids)
    determinants = {
        "schema_version": results.SCHEMA_VERSION,
        "benchmark": results.BENCHMARK,
        "suite": task.suite,
        "task": task.name,
        "revision": task.revision,
        "protocol": task.protocol,
        "split": task.split,
        "limit": limit,
        "dataset": task.dataset.fingerprint,
        "sources": task.dataset.sources_fingerprint,
        "images": None if hashes is None else files.sha256_json(hashes),
        "retriever": [retriever_name, retriever.fingerprint],
        "rewriter": [rewriter.name, rewriter.fingerprint],
        "captioner": None if captioner is None else _captioner_identity(captioner),
        "seed": setup.seed,
    }
    if seen is not None:
        determinants["seen"] = seen.model_dump()
    name = results.result_id(determinants)
    folder = store.folder_of(into, task.suite, task.name, retriever_name, rewriter.name, name)
    stored = _stored(folder)
    if stored is not None and not stored.unanswered:
        return folder

    from grapebench.evaluation.beside import result_fields, write_files
    from grapebench.evaluation.measure import measure

    measured = measure(task, queries, rewriter, retriever, captioner, setup.seed, labelled, report or (lambda *_: None))
    groups = dict(task.dataset.groups) if protocol.by == "category" else {}
    with files.atomic_folder(folder) as temporary:
        write_files(temporary, protocol, task.gallery, queries, measured)
        beside = {path.name: files.sha256_file(path) for path in sorted(temporary.iterdir())}
        result = results.Result(
            id=name,
            determinants=determinants,
            benchmark=results.BENCHMARK,
            suite=task.suite,  # type: ignore[arg-type]
            task=task.name,
            family=task.family,  # type: ignore[arg-type]
            revision=task.revision,
            protocol=task.protocol,
            split=task.split,
            limit=limit,
            seed=setup.seed,
            queries=len(queries),
            gallery=len(task.gallery),
            labelled=labelled,
            seen=seen,
            groups=groups,
            retriever=_retriever_record(retriever_name, retriever),
            rewriter=_rewriter_record(rewriter, captioner, measured),
            **result_fields(protocol, queries, groups, measured),
            duplicates=None if hashes is None else sum(count for count in Counter(hashes).values() if count > 1),
            cost=_cost(measured),
            environment=_environment(),
            command=command,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            data=_data(task, determinants, notes),
            files=beside,
        )
        (temporary / results.RESULT_FILE).write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if stored is not None:
            _remove(folder)
    return folder


def _brings_vectors(retriever: Retriever, task: Task) -> bool:
    return isinstance(retriever, Lookup) and retriever.look_up_images(task.gallery.ids[:1]) is not None


def check_task(task: Task) -> bool:
    """Whether the split's labels are public, for all of its queries or for none.

    Raises UserError where there is nothing to search for, where labels are missing in part, or where the protocol
    needs what the data do not have.
    """
    if not task.queries:
        raise UserError(f"{task.name} {task.split} holds no queries", file=task.root)
    require_categories(protocol_named(task.protocol), task)
    without = [query.id for query in task.queries if not query.positives]
    if without and len(without) < len(task.queries):
        raise UserError(
            f"{len(without):,} of the {len(task.queries):,} queries of {task.name} {task.split} have no label, the "
            f"first is {without[0]!r}, so nothing can be measured on it",
            file=task.root,
            fix="label all of them, or none where the labels are not public",
        )
    return not without


def check_seen(task: Task, rewriter: LoadedRewriter, allowed: bool) -> results.Seen | None:
    """Which images of the gallery the rewriter has seen, in training or beside it; None where there are none.

    Raises UserError where there are some and that is not allowed.
    """
    images = overlap(task, rewriter)
    if not images or rewriter.seen is None:
        return None
    if not allowed:
        raise UserError(
            f"{rewriter.name} has seen {rewriter.seen}, which holds {len(images):,} of the "
            f"{len(task.gallery):,} images of {task.name} {task.split}, the first is {images[0]!r}",
            fix="choose another split, or say --allow-seen: the result is then marked",
        )
    sources = [str(source) for source in rewriter.seen.sources]
    return results.Seen(images=len(images), gallery=len(task.gallery), sources=sources)


def _stored(folder: Path) -> results.Result | None:
    """The result if it is there; a damaged one is named, removed, and made again."""
    if not folder.exists():
        return None
    try:
        result = store.load(folder, hashes=True)
        for name in result.files:
            if not (folder / name).is_file():
                raise UserError("a file of the result is missing", file=folder / name)
    except UserError as error:
        print(f"warning: {error}; the result is made again", file=sys.stderr)
        _remove(folder)
        return None
    return result


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as refused:
        raise files.explain_os_error(refused, folder) from refused


def _captioner_identity(captioner: LoadedCaptioner) -> Any:
    """What determines its captions, beside the retriever: its own word where it has one, or its fingerprint."""
    told = getattr(captioner.mechanism, "identity", None)
    if told is not None and own_word(captioner.mechanism, "identity"):
        return told
    return {"name": captioner.name, "fingerprint": captioner.fingerprint}


def _cost(measured: Measured) -> results.Cost:
    spent = sum(rewrite.seconds for rewrite in measured.rewrites)
    return results.Cost(
        prompt_tokens=sum(rewrite.prompt_tokens for rewrite in measured.rewrites),
        completion_tokens=sum(rewrite.completion_tokens for rewrite in measured.rewrites),
        rewrite_seconds=round(measured.rewrite_seconds, 3),
        encode_seconds=round(measured.encode_seconds, 3),
        rewritten=measured.rewritten,
        ms_per_query=round(1000 * spent / len(measured.rewrites), 3),
        money=round(math.fsum(rewrite.money for rewrite in measured.rewrites), 9),
        captions=None if measured.caption_cost is None else results.CaptionCost.model_validate(measured.caption_cost),
    )


def _environment() -> results.Environment:
    from grapebench.evaluation.environment import environment

    return environment()


def _retriever_record(name: str, retriever: Retriever) -> results.RetrieverRecord:
    return results.RetrieverRecord(name=name, fingerprint=retriever.fingerprint, description=retriever.description)


def _rewriter_record(
    rewriter: LoadedRewriter, captioner: LoadedCaptioner | None, measured: Measured
) -> results.RewriterRecord:
    card = rewriter.card
    told = rewriter.description | ({"captioner": captioner.description} if captioner else {})
    if measured.rendered_sha256 is not None:
        told |= {"rendered_sha256": measured.rendered_sha256}
    return results.RewriterRecord(
        name=rewriter.name,
        title=card.title if card else rewriter.name,
        mechanism=card.mechanism if card else type(rewriter.rewriter).__name__,
        fingerprint=rewriter.fingerprint,
        across_seeds=rewriter.across_seeds,
        oracle=rewriter.oracle,
        language_model=_language_model(rewriter, captioner),
        captioner=captioner.name if captioner else None,
        description=told,
    )


def _language_model(rewriter: LoadedRewriter, captioner: LoadedCaptioner | None) -> bool | None:
    """Whether a generative model wrote anything that led to what was searched, captions included; None: not known."""
    told = [rewriter.language_model, *([captioner.language_model] if captioner else [])]
    return True if True in told else None if None in told else False


def _data(task: Task, determinants: dict[str, Any], notes: Sequence[str]) -> results.Data:
    def name(path: Path) -> str:
        return path.relative_to(task.root).as_posix() if path.is_relative_to(task.root) else path.name

    return results.Data(
        dataset=determinants["dataset"],
        sources=determinants["sources"],
        images=determinants["images"],
        files={name(path): files.sha256_file(path) for path in task.dataset.files},
        notes=[*task.dataset.notes, *notes],
    )
