"""From a task, a rewriter and a retriever to a result folder.

The folder's name is a hash of all that determines what is in it: the same call again finds it there and computes
nothing. What was under way when a run was killed lies in the stores of rewrites and embeddings.
"""

from __future__ import annotations

import inspect
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grapebench import files
from grapebench.errors import UserError
from grapebench.evaluation.protocols import Protocol, metrics_from_ranks, per_query_values, protocol_named
from grapebench.leaderboard import results, store
from grapebench.records import Query, Retriever, Task
from grapebench.retrieval.encode import Lookup
from grapebench.rewriters import LoadedRewriter
from grapebench.rewriters.setup import Setup

if TYPE_CHECKING:
    from grapebench.evaluation.measure import Measured, Report, Side
    from grapebench.rewriters.captioners import Captioner


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
    report: Report | None = None,
) -> Path:
    """The folder of the result in the store `into`, made unless it is there already.

    `retriever_name` is what the retriever is called in results, `setup` what the rewriter was opened with; its seed is
    the result's. With `limit` only the first so many
    queries are asked, of the whole gallery. Raises UserError where the split has no public labels, or where
    rewriting, encoding or writing fails.
    """
    if limit is not None and limit >= len(task.queries):
        limit = None
    queries = task.queries[:limit]
    require_labels(task, queries)
    protocol = protocol_named(task.protocol)
    captioner = None
    if rewriter.captioner is not None:
        from grapebench.rewriters.captioners import open_captioner

        captioner = open_captioner(rewriter.captioner, setup)
    # Vectors that were brought along need no pictures; what they are is in the retriever's fingerprint.
    hashes = None if _brings_vectors(retriever, task) else task.gallery.images.sha256(task.gallery.ids)
    determinants = {
        "schema_version": results.SCHEMA_VERSION,
        "suite": task.suite,
        "task": task.name,
        "revision": task.revision,
        "protocol": task.protocol,
        "split": task.split,
        "limit": limit,
        "dataset": task.dataset.fingerprint,
        "images": None if hashes is None else files.sha256_json(hashes),
        "retriever": [retriever_name, retriever.fingerprint],
        "rewriter": [rewriter.name, rewriter.fingerprint],
        "captioner": None if captioner is None else _captioner_identity(captioner),
        "seed": setup.seed,
    }
    name = results.result_id(determinants)
    folder = store.folder_of(into, task.suite, task.name, retriever_name, rewriter.name, name)
    if _is_whole(folder):
        return folder

    from grapebench.evaluation.measure import measure

    measured = measure(task, queries, rewriter, retriever, captioner, setup.seed, report or (lambda *_: None))
    with files.atomic_folder(folder) as temporary:
        _write_beside(temporary, task, queries, measured)
        beside = {path.name: files.sha256_file(path) for path in sorted(temporary.iterdir())}
        result = results.Result(
            id=name,
            determinants=determinants,
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
            retriever=_retriever_record(retriever_name, retriever),
            rewriter=_rewriter_record(rewriter, captioner),
            **_figures(protocol, queries, measured),
            duplicates=None if hashes is None else sum(count for count in Counter(hashes).values() if count > 1),
            cost=_cost(measured),
            environment=_environment(),
            command=command,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            data=_data(task, determinants),
            files=beside,
        )
        (temporary / results.RESULT_FILE).write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return folder


def _brings_vectors(retriever: Retriever, task: Task) -> bool:
    return isinstance(retriever, Lookup) and retriever.look_up_images(task.gallery.ids[:1]) is not None


def require_labels(task: Task, queries: Sequence[Query]) -> None:
    """Raises UserError where there is nothing to measure: no queries, or some without a public answer."""
    if not queries:
        raise UserError(f"{task.name} {task.split} holds no queries", file=task.root)
    without = [query.id for query in queries if not query.positives]
    if without:
        raise UserError(
            f"the labels of {task.name} {task.split} are not public ({len(without):,} of {len(queries):,} queries have "
            f"none, the first is {without[0]!r}), so nothing can be measured on it here",
            file=task.root,
            fix="choose a labelled split with --split, or send the run to the benchmark's own server",
        )


def _is_whole(folder: Path) -> bool:
    """Whether the result is there; a damaged one is named, removed, and made again."""
    if not folder.exists():
        return False
    try:
        for name in store.load(folder, hashes=True).files:
            if not (folder / name).is_file():
                raise UserError("a file of the result is missing", file=folder / name)
    except UserError as error:
        print(f"warning: {error}; the result is made again", file=sys.stderr)
        try:
            shutil.rmtree(folder)
        except OSError as refused:
            raise files.explain_os_error(refused, folder) from refused
        return False
    return True


def _captioner_identity(captioner: Captioner) -> Any:
    """What determines its captions: its own word, or the file of its class."""
    told = getattr(captioner, "description", None)
    return told if told is not None else files.sha256_file(Path(inspect.getfile(type(captioner))))


def _write_beside(folder: Path, task: Task, queries: Sequence[Query], measured: Measured) -> None:
    from grapebench.evaluation import trec
    from grapebench.leaderboard import artifacts

    artifacts.write_queries(folder / results.QUERIES_FILE, queries)
    artifacts.write_rewrites(folder / results.REWRITES_FILE, queries, measured.rewrites)
    artifacts.write_per_query(folder / results.PER_QUERY_FILE, _per_query(queries, measured))
    ids = [query.id for query in queries]
    trec.write_run(folder / results.RUN_FILE, ids, task.gallery.ids, *measured.top)


def cluster(query: Query) -> str:
    """Queries with the same first positive are not independent: the bootstrap draws them together."""
    return query.positives[0]


def _per_query(queries: Sequence[Query], measured: Measured) -> dict[str, Any]:
    after, before = measured.after.examined.ranking, measured.before.examined.ranking
    columns: dict[str, Any] = {
        "query_id": [query.id for query in queries],
        "language": [query.language for query in queries],
        "cluster": [cluster(query) for query in queries],
        "rank": after.rank.astype(np.int32),
        "rank_before": before.rank.astype(np.int32),
        "above": after.above.astype(np.int32),
        "equal": after.equal.astype(np.int32),
        "candidates": after.candidates.astype(np.int32),
    }
    for name, side in (("subset_rank", measured.after), ("subset_rank_before", measured.before)):
        if side.subset_rank is not None:
            columns[name] = side.subset_rank.astype(np.int32)
    for suffix, side in (("", measured.after), ("_before", measured.before)):
        columns |= {f"similarity_{name}{suffix}": values for name, values in _similarities(side).items()}
    return columns | {"fallback": [rewrite.fallback for rewrite in measured.rewrites]}


def _similarities(side: Side) -> dict[str, np.ndarray]:
    from grapebench.evaluation import inflation

    return inflation.figures(side.examined)


def _figures(protocol: Protocol, queries: Sequence[Query], measured: Measured) -> dict[str, Any]:
    """All that is computed from ranks and similarities, by field of the result."""
    from grapebench.evaluation import inflation
    from grapebench.evaluation.intervals import intervals, share_intervals

    languages = [query.language for query in queries]
    groups = languages if protocol.per_language else None
    clusters = [cluster(query) for query in queries]
    metrics, values = [], []
    for side in (measured.before, measured.after):
        rank = side.examined.ranking.rank
        metrics.append(metrics_from_ranks(protocol, rank, side.subset_rank, languages))
        values.append(per_query_values(protocol, rank, side.subset_rank))
    before, after = metrics
    changes = {key: values[1][key] - values[0][key] for key in values[1]}
    deltas = intervals(changes, clusters, groups=groups)
    return {
        "metrics": after,
        "metrics_before": before,
        "intervals": {
            key: results.Interval(low=low, high=high)
            for key, (low, high) in share_intervals(values[1], clusters, groups=groups).items()
        },
        "deltas": {
            key: results.Delta(value=after[key] - before[key], low=low, high=high)
            for key, (low, high) in deltas.items()
        },
        "ties": float(np.count_nonzero(measured.after.examined.ranking.equal)) / len(queries),
        "fallbacks": dict(sorted(Counter(r.fallback for r in measured.rewrites if r.fallback).items())),
        "inflation": results.Inflation(
            before=inflation.summary(_similarities(measured.before)),
            after=inflation.summary(_similarities(measured.after)),
        ),
    }


def _cost(measured: Measured) -> results.Cost:
    seconds, asked = measured.rewrite_seconds, measured.rewritten
    return results.Cost(
        prompt_tokens=sum(rewrite.prompt_tokens for rewrite in measured.rewrites),
        completion_tokens=sum(rewrite.completion_tokens for rewrite in measured.rewrites),
        rewrite_seconds=round(seconds, 3),
        encode_seconds=round(measured.encode_seconds, 3),
        rewritten=asked,
        ms_per_query=round(1000 * seconds / asked, 3) if asked else None,
    )


def _environment() -> results.Environment:
    from grapebench.evaluation.environment import environment

    return environment()


def _retriever_record(name: str, retriever: Retriever) -> results.RetrieverRecord:
    return results.RetrieverRecord(name=name, fingerprint=retriever.fingerprint, description=retriever.description)


def _rewriter_record(rewriter: LoadedRewriter, captioner: Captioner | None) -> results.RewriterRecord:
    card = rewriter.card
    return results.RewriterRecord(
        name=rewriter.name,
        title=card.title if card else rewriter.name,
        mechanism=card.mechanism if card else type(rewriter.rewriter).__name__,
        fingerprint=rewriter.fingerprint,
        oracle=rewriter.oracle,
        captioner=rewriter.captioner,
        description=rewriter.description | ({"captioner": _captioner_identity(captioner)} if captioner else {}),
    )


def _data(task: Task, determinants: dict[str, Any]) -> results.Data:
    def name(path: Path) -> str:
        return path.relative_to(task.root).as_posix() if path.is_relative_to(task.root) else path.name

    return results.Data(
        dataset=determinants["dataset"],
        images=determinants["images"],
        files={name(path): files.sha256_file(path) for path in task.dataset.files},
        notes=list(task.dataset.notes),
    )
