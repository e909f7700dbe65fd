"""How much of what a picture shows is still said: its caption's facts in `oracle.jsonl`, found again in rewrites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grapebench.records import Query, Rewrite, Task
from grapebench.world.content import Fact
from grapebench.world.parse import parse


def shown(task: Task, queries: Sequence[Query]) -> dict[str, frozenset[Fact]] | None:
    """By query id, the facts of the first right image; None outside the miniature, where nothing says them.

    Raises UserError where the captions cannot be read.
    """
    from grapebench.rewriters.oracle import FILE, read_captions

    path = task.root / FILE
    if task.suite != "mini" or not path.is_file():
        return None
    captions = read_captions(path)
    return {query.id: parse(captions[query.positives[0]]).facts() for query in queries}


def survival(facts: Mapping[str, frozenset[Fact]], rewrites: Sequence[Rewrite]) -> float:
    """Share of the facts that the rewrites say, all texts of a rewrite counting."""
    wanted = sum(len(facts[rewrite.query_id]) * len(rewrite.texts) for rewrite in rewrites)
    kept = sum(len(facts[rewrite.query_id] & parse(text).facts()) for rewrite in rewrites for text in rewrite.texts)
    return kept / max(1, wanted)
