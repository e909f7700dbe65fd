"""What moved between two frozen boards, and why, as far as what was frozen tells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from grapebench.leaderboard.frozen import FrozenRow, FrozenTable, Release
from grapebench.leaderboard.results import NEW_RULES

NO_REASON = "no reason can be told from what was frozen"

Kind = Literal["added", "removed", "changed", "measured again", "rank"]


@dataclass(frozen=True)
class Place:
    """A row where it stands."""

    table: FrozenTable
    row: FrozenRow

    @property
    def value(self) -> float:
        """Of the figure that ranks; below all where the row lacks it."""
        figure = self.row.figures.get(self.table.main)
        return float("-inf") if figure is None else figure.value


@dataclass(frozen=True)
class Move:
    """One row that is not what it was."""

    kind: Kind
    """'changed': its figures; 'measured again': its results and not its figures; 'rank': nothing but its rank."""
    old: Place | None
    new: Place | None
    reasons: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """Where it stands now, or stood last."""
        found = self.new or self.old
        assert found is not None
        return found


def moved(old: Release, new: Release) -> list[Move]:
    """All rows that differ, in the order of the tables of the new board, then those that are gone."""
    pairs = _paired(list(_places(old)), list(_places(new)))
    moves = {id(pair): _move(*pair) for pair in pairs}
    around = [move for move in moves.values() if move and move.kind != "rank"]
    found = []
    for pair in pairs:
        move = moves[id(pair)]
        if move and move.kind == "rank":
            move = Move("rank", move.old, move.new, _why_rank(move, around))
        if move:
            found.append(move)
    return found


def _places(release: Release) -> Iterator[Place]:
    return (Place(table, row) for table in release.tables for row in table.rows)


Pair = tuple[Place | None, Place | None]


def _paired(old: list[Place], new: list[Place]) -> list[Pair]:
    """Each row of the new board with what it was before.

    First by all that makes a row; then what is left over by its name in a table of the same task, where there is one of
    it on both sides, or one of the same label: its retriever, data or rewriter changed.
    """
    before: dict[int, Place] = {}
    for key in (_identity, _label, _name):
        theirs, ours = _by(key, old), _by(key, [place for place in new if id(place) not in before])
        for same, places in ours.items():
            if len(places) == len(theirs.get(same, ())) == 1:
                before[id(places[0])] = theirs[same][0]
        taken = {id(place) for place in before.values()}
        old = [place for place in old if id(place) not in taken]
    found: list[Pair] = [(before.get(id(place)), place) for place in new]
    return found + [(place, None) for place in old]


def _by(key: Callable[[Place], Hashable], places: Sequence[Place]) -> dict[Hashable, list[Place]]:
    found: dict[Hashable, list[Place]] = defaultdict(list)
    for place in places:
        found[key(place)].append(place)
    return found


def _name(place: Place) -> tuple[Hashable, ...]:
    table, row = place.table, place.row
    return (table.suite, table.task, table.split, table.protocol, table.limit, table.retriever, row.rewriter, row.group)


def _label(place: Place) -> tuple[Hashable, ...]:
    return (*_name(place), place.row.label)


def _identity(place: Place) -> tuple[Hashable, ...]:
    table, row = place.table, place.row
    measured = (table.benchmark, table.revision, table.retriever_fingerprint, table.dataset, table.images)
    return (*_name(place), *measured, row.fingerprint, row.parts.get("captioner"))


def _move(old: Place | None, new: Place | None) -> Move | None:
    """None where nothing moved."""
    if old is None or new is None:
        return Move("added" if old is None else "removed", old, new)
    shared = old.row.figures.keys() & new.row.figures.keys()
    if any(old.row.figures[key] != new.row.figures[key] for key in shared):
        return Move("changed", old, new, tuple(_why(old, new)) or (NO_REASON,))
    if _ids(old.row) != _ids(new.row) or _identity(old) != _identity(new):
        return Move("measured again", old, new, tuple(_why(old, new)) or (NO_REASON,))
    return Move("rank", old, new) if old.row.rank != new.row.rank else None


def _ids(row: FrozenRow) -> dict[int, str]:
    return {result.seed: result.id for result in row.results}


def _why(old: Place, new: Place) -> Iterator[str]:
    """What differs of all that figures depend on."""
    then, now = old.table, new.table
    if then.benchmark != now.benchmark:
        told = f" ({NEW_RULES[now.benchmark]})" if now.benchmark in NEW_RULES else ""
        yield f"the rules: version {then.benchmark} → {now.benchmark}{told}"
    if then.revision != now.revision:
        yield f"the task: revision {then.revision} → {now.revision}"
    if then.dataset != now.dataset:
        yield "other queries or labels (another hash)"
    if then.images != now.images:
        yield "other pixels (another hash)"
    if then.retriever_fingerprint != now.retriever_fingerprint:
        yield f"the retriever: {_parts(then.retriever_parts, now.retriever_parts)}"
    if old.row.fingerprint != new.row.fingerprint:
        yield f"the rewriter: {_parts(old.row.parts, new.row.parts)}"
    elif old.row.parts.get("captioner") != new.row.parts.get("captioner"):
        yield "the captioner"
    before, after = _ids(old.row), _ids(new.row)
    for what, seeds in (("new seeds", after.keys() - before.keys()), ("seeds left out", before.keys() - after.keys())):
        if seeds:
            yield f"{what}: {', '.join(map(str, sorted(seeds)))}"
    yield from _made_elsewhere(old.row, new.row)


def _parts(old: dict[str, str], new: dict[str, str]) -> str:
    changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return ", ".join(changed) or "its fingerprint"


def _made_elsewhere(old: FrozenRow, new: FrozenRow) -> Iterator[str]:
    """Versions that differ, of grapebench and of libraries, over the seeds that both have."""
    before = {result.seed: result for result in old.results}
    pairs = [(before[result.seed], result) for result in new.results if result.seed in before]
    commits = {(then.commit, now.commit) for then, now in pairs if then.commit != now.commit}
    for then, now in sorted(commits, key=str):
        yield f"grapebench: commit {(then or 'unknown')[:10]} → {(now or 'unknown')[:10]}"
    versions = {
        (name, then.packages.get(name, "none"), now.packages.get(name, "none"))
        for then, now in pairs
        for name in {*then.packages, *now.packages}
    }
    for name, was, is_now in sorted(versions):
        if was != is_now:
            yield f"{name} {was} → {is_now}"


def _why_rank(move: Move, around: Sequence[Move]) -> tuple[str, ...]:
    """Which rows of the same table came, left or changed, and stand or stood above; else how many there are to test."""
    assert move.old is not None and move.new is not None
    told: dict[str, list[str]] = defaultdict(list)
    for other in around:
        above = (other.new and _same(other.new, move.new) and other.new.value > move.new.value) or (
            other.old and _same(other.old, move.old) and other.old.value > move.old.value
        )
        if above and other.place.row.group == "ranked":
            told[{"added": "came", "removed": "left"}.get(other.kind, other.kind)].append(other.place.row.label)
    reasons = [f"{what}: {', '.join(labels)}" for what, labels in told.items()]
    was, now = _tested(move.old), _tested(move.new)
    if not reasons and was != now:
        reasons.append(f"the tests are corrected for {now} rows, before for {was}")
    return tuple(reasons) or (NO_REASON,)


def _same(one: Place, other: Place) -> bool:
    return one.table is other.table


def _tested(place: Place) -> int:
    return sum(row.rank is not None for row in place.table.rows)
