"""Which results are meant by the names of rewriters: the newest that can be compared with each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from grapebench.errors import UserError
from grapebench.leaderboard import store
from grapebench.leaderboard.board import comparable
from grapebench.leaderboard.results import PER_QUERY_FILE
from grapebench.leaderboard.store import Stored


def newest_together(rewriters: Sequence[str], task: str, suite: str, stores: Sequence[Path]) -> list[Path]:
    """One folder for each rewriter, in their order: results of one task that are comparable with each other.

    Of several such groups it is the one with the newest result, and in it the newest of each rewriter; of equally
    old ones that of the lowest seed. Results without labels or ranks do not count. Raises UserError where a rewriter
    has no result of the task, or none that is comparable with one of each of the others.
    """
    known = [
        one
        for one in store.find(stores)[0]
        if (one.result.task, one.result.suite) == (task, suite) and (one.folder / PER_QUERY_FILE).is_file()
    ]
    names = sorted({one.result.rewriter.name for one in known})
    options = f"--task {task}" + ("" if suite == "mini" else f" --suite {suite}")
    for name in rewriters:
        if name not in names:
            only = ", ".join(names) or "none"
            raise UserError(
                f"there is no result of rewriter {name!r} on {task} (suite {suite}), only of: {only}",
                fix=f"make one: grapebench run {options} --rewriter {name}",
            )
    groups: dict[tuple[object, ...], list[Stored]] = defaultdict(list)
    for one in known:
        groups[comparable(one.result)].append(one)
    whole = [group for group in groups.values() if set(rewriters) <= {one.result.rewriter.name for one in group}]
    if not whole:
        asked = " ".join(f"--rewriter {name}" for name in rewriters)
        raise UserError(
            f"no results of {' and '.join(rewriters)} on {task} can be compared: each was made with another split, "
            "limit, protocol or retriever",
            fix=f"run them together: grapebench run {options} {asked}",
        )
    group = max(whole, key=lambda group: max(_age(one) for one in group if one.result.rewriter.name in rewriters))
    return [max((one for one in group if one.result.rewriter.name == name), key=_age).folder for name in rewriters]


def _age(one: Stored) -> tuple[str, int, str]:
    return one.result.created, -one.result.seed, one.result.id
