"""A result run once more from nothing: rewriting too, with empty stores, and every figure compared."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from grapebench.evaluation import runner
from grapebench.evaluation.measure import Report
from grapebench.evaluation.protocols import protocol_named
from grapebench.leaderboard import artifacts, results, store
from grapebench.leaderboard.bench import Bench, NotAtHand, short
from grapebench.leaderboard.results import Result
from grapebench.leaderboard.verification.findings import Findings
from grapebench.paths import cache_dir, config_dir
from grapebench.records import Task
from grapebench.rewriters.setup import Setup

FIGURE = 0.005
"""How far a figure may lie from the published one, half a point, in either direction. On the machine that made the
result nothing differs; elsewhere a model's answers do, here and there, where two tokens are nearly as likely."""
ROWS = 2
"""So many queries may come out otherwise in a part (a language, a category), where half a point is less than one."""
RANK = 0.05
"""The same for the median rank, as a share of it; one rank is always allowed."""


def check(found: Findings, result: Result, task: Task, bench: Bench, report: Report) -> None:
    """Run and compare. Raises NotAtHand where the rewriter, its captioner or the retriever is not here."""
    try:
        retriever, rewriter = bench.retriever(result), bench.rewriter(result)
    except NotAtHand as reason:
        raise NotAtHand(f"running again: {str(reason).partition(': ')[2]}") from None
    captioner = result.rewriter.captioner
    if captioner != rewriter.captioner and captioner is not None:
        from grapebench import catalog

        if captioner not in catalog.captioner_names():
            raise NotAtHand(f"running again: there is no card of the captioner {short(captioner)} here")
        rewriter = replace(rewriter, captioner=captioner)
    setup = Setup(result.suite, result.family, result.seed, task.root, task=result.task)
    with _fresh_home() as home:
        folder = runner.run(
            task, rewriter, retriever, retriever_name=result.retriever.name, setup=setup, into=home / "results",
            command=result.command, limit=result.limit, allow_seen=True, report=report,
        )  # fmt: skip
        again = store.load(folder)
        if again.id != result.id:
            unlike = [key for key in again.determinants if again.determinants[key] != result.determinants.get(key)]
            raise NotAtHand(f"running again: what determines the result differs here ({', '.join(sorted(unlike))})")
        same = again.files == result.files
        _compare(found, result, again, _sizes(folder, again), same)


@contextlib.contextmanager
def _fresh_home() -> Iterator[Path]:
    """An empty home for rewrites and vectors, in which what was generated or said by the user is still known."""
    kept = {"cache/world": cache_dir() / "world", "config": config_dir()}
    before = os.environ.get("GRAPEBENCH_HOME")
    with tempfile.TemporaryDirectory(prefix="grapebench-") as temporary:
        home = Path(temporary)
        for name, folder in kept.items():
            if folder.is_dir():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                (home / name).symlink_to(folder.resolve(), target_is_directory=True)
        os.environ["GRAPEBENCH_HOME"] = temporary
        try:
            yield home
        finally:
            if before is None:
                del os.environ["GRAPEBENCH_HOME"]
            else:
                os.environ["GRAPEBENCH_HOME"] = before


def _sizes(folder: Path, result: Result) -> dict[str, int]:
    """How many rows each part of the figures has, the smaller of both ways."""
    if not result.labelled:
        return {}
    table = artifacts.read_table(folder / results.PER_QUERY_FILE)
    column = {"language": "language", "category": "category"}.get(protocol_named(result.protocol).by or "")
    sizes = Counter(table[column]) if column else Counter()
    for category, group in result.groups.items():
        sizes[group] += sizes[category]
    if (folder / results.PER_IMAGE_FILE).is_file():
        images = Counter(artifacts.read_table(folder / results.PER_IMAGE_FILE).get("language", ()))
        sizes |= Counter({name: min(sizes[name] or count, count) for name, count in images.items()})
    return dict(sizes)


def _compare(found: Findings, result: Result, again: Result, sizes: Mapping[str, int], same: bool) -> None:
    wrongs, largest = len(found.problems), 0.0
    for name in ("metrics", "metrics_before"):
        said, due = getattr(result, name), getattr(again, name)
        for key in sorted({*said, *due}):
            if key not in said or key not in due:
                found.wrong(results.RESULT_FILE, f"{name} and the figures of a run from nothing differ in {key!r}")
                continue
            apart = abs(said[key] - due[key])
            if key == "median_rank":
                most = max(1.0, RANK * due[key])
            else:
                most = max(FIGURE, ROWS / sizes.get(key.partition("/")[2], math.inf))
                largest = max(largest, apart)
            if apart > most:
                better = "better" if (due[key] > said[key]) != (key == "median_rank") else "worse"
                what = f"a run from nothing gives {due[key]:.4f}: {better} by {apart:.4f}, more than {most:.4f}"
                found.wrong(results.RESULT_FILE, f"{name}[{key!r}] is {said[key]:.4f}, and {what}")
    if len(found.problems) == wrongs:
        exact = all(getattr(result, name) == getattr(again, name) for name in ("metrics", "metrics_before"))
        how = "bit for bit" if same else "the same figures" if exact else f"figures within {largest:.2g}"
        found.checked.append(f"run again from nothing: {how}")
