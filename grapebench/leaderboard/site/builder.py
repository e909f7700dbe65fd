"""Results to pages: reads a board, writes a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grapebench import files
from grapebench.errors import UserError
from grapebench.leaderboard import artifacts, at_hand, board, building
from grapebench.leaderboard.at_hand import AtHand
from grapebench.leaderboard.bench import Bench
from grapebench.leaderboard.board import Table
from grapebench.leaderboard.results import REWRITES_FILE, Result
from grapebench.leaderboard.site import folder, material, pages, pictures, script
from grapebench.leaderboard.site.material import Material, Rows
from grapebench.leaderboard.site.tops import Tops, require_agreement, require_known, searched, tops
from grapebench.leaderboard.store import Stored

if TYPE_CHECKING:
    from grapebench.leaderboard.building import Board

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Built:
    """What was written."""

    folder: Path
    results: int
    files: int
    size: int
    """Bytes."""
    problems: tuple[str, ...]
    """What is broken, and left out."""
    private: tuple[str, ...]
    """Tasks of which it holds texts or pictures that are not ours."""


def build(
    results: Sequence[Path], out: Path, store: Path, *, pictures: bool = False, report: Report = lambda *_: None
) -> Built:
    """Write the site of all results in some folders, and return what it came to.

    Runs that are not beside a result are looked for in `store`, the user's own. With `pictures` the data of tasks that
    are not generated are read too, as far as it is known where they are. `out` is replaced as a whole. Raises
    UserError where it is something else than a site, or a folder of results is not there.
    """
    folder.check(out)
    found = building.read(*results)
    problems, private = list(found.problems), []
    with folder.replaced(out) as site:
        shutil.copytree(_HERE / "static", site / "assets", copy_function=shutil.copyfile)
        tables = {board.comparable(table.first): table for table in found.tables}
        groups = _groups(found.stored, tables)
        shown, bench = [], Bench()
        for number, (key, members) in enumerate(groups.items()):
            report(f"pages of {members[0].result.task}", number, len(groups))
            group = _Group(slug(key, members[0].result), tables.get(key), members)
            held = _write_group(site, found, group, store, pictures, bench, report, problems)
            private += [members[0].result.task] if held and members[0].result.suite not in at_hand.GENERATED else []
            shown.append(group)
        report("pages", len(groups), len(groups))
        pages.write_index(site, found, [(group.slug, group.table) for group in shown if group.table])
        told = {"about": "a site made by grapebench leaderboard site", "results": len(found.stored)}
        (site / folder.MARK).write_text(script.dump(told) + "\n", encoding="utf-8")
        written = [path for path in site.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in written)
    return Built(out, len(found.stored), len(written), size, tuple(problems), tuple(dict.fromkeys(private)))


@dataclass(frozen=True)
class _Group:
    """Results that are comparable with each other."""

    slug: str
    table: Table | None
    """None without public labels."""
    members: Sequence[Stored]


def slug(key: tuple[object, ...], result: Result) -> str:
    """The name of a group's page: the same whatever else is on the board."""
    name = "".join(letter if letter.isalnum() or letter == "-" else "-" for letter in result.task.lower())
    return f"{result.suite}-{name}-{files.sha256_json(key)[:8]}"


def _groups(stored: Sequence[Stored], tables: Iterable[tuple[object, ...]]) -> dict[tuple[object, ...], list[Stored]]:
    """Results by what they have in common: in the order of the tables, then those without one; within by id."""
    groups: dict[tuple[object, ...], list[Stored]] = {key: [] for key in tables}
    for one in sorted(stored, key=lambda one: one.result.id):
        groups.setdefault(board.comparable(one.result), []).append(one)
    return groups


def _write_group(
    site: Path,
    found: Board,
    group: _Group,
    store: Path,
    asked: bool,
    bench: Bench,
    report: Report,
    problems: list[str],
) -> bool:
    """All pages of a group; whether the queries' own texts or pictures are among them."""
    first = group.members[0].result
    try:
        hand = at_hand.find(first, asked, bench)
        names = _pictures(site, hand, report)
    except UserError as error:
        problems.append(f"{first.task}: without pictures: {error}")
        hand, names = None, None
    rows = _rows(group.members, problems)
    best = _tops(group.members, rows, hand, store, report, problems)
    before = _before(group.members, rows, best, hand)
    known = [one for one in (*best.values(), before) if one is not None]
    shared: Material | None = None
    if hand is not None:
        shared = material.of_task(hand.task, first.limit, names)
    elif rows:
        # Those that say most: the queries' own texts are beside some results alone.
        shared = material.of_rows(max(rows.values(), key=lambda one: (len(one[0]), len(one))), known)
    listed: set[str] = set()
    if shared is not None:
        script.write(site / "data" / f"{group.slug}.js", "task", material.shared(shared, before))
        for stored in group.members:
            name = stored.result.id
            if name not in rows:
                continue
            try:
                own = material.own(shared, rows[name], best.get(name), stored)
            except UserError as error:
                problems.append(f"without its queries: {error}")
                continue
            script.write(site / "data" / f"{name}.js", "result", own)
            listed.add(name)
    plots = {name: pages.measured(one) for name, one in rows.items()}
    if group.table is not None:
        pages.write_task(site, found, group.slug, group.table, plots)
    for number, stored in enumerate(group.members):
        report(f"results of {first.task}", number, len(group.members))
        name = stored.result.id
        told = _remarks(shared, best.get(name), before) if name in listed else []
        pages.write_result(site, group.slug, group.table, stored, plots.get(name), told, name in listed)
    report(f"results of {first.task}", len(group.members), len(group.members))
    return shared is not None and (shared.texts is not None or shared.pictures is not None)


def _pictures(site: Path, hand: AtHand | None, report: Report) -> tuple[str, ...] | None:
    if hand is None:
        return None
    told = f"pictures of {hand.task.name}"
    return pictures.write(hand.task.gallery, site / "pictures", lambda done, total: report(told, done, total))


def _rows(members: Sequence[Stored], problems: list[str]) -> dict[str, Rows]:
    """What each result says of its queries, by id; those that say nothing are left out."""
    found = {}
    for stored in members:
        try:
            rows = material.read(stored)
        except UserError as error:
            problems.append(f"without its queries: {error}")
            continue
        if rows is not None:
            found[stored.result.id] = rows
    return found


def _tops(
    members: Sequence[Stored],
    rows: Mapping[str, Rows],
    hand: AtHand | None,
    store: Path,
    report: Report,
    problems: list[str],
) -> dict[str, Tops]:
    """The best images of each result's queries, by result id."""
    found = {}
    for number, stored in enumerate(members):
        report(f"best images of {stored.result.task}", number, len(members))
        name = stored.result.id
        try:
            best = tops(stored, store)
            if best is None and hand is not None and name in rows and (stored.folder / REWRITES_FILE).is_file():
                rewrites = artifacts.read_rewrites(stored.folder / REWRITES_FILE, hand.queries)
                best = searched(hand, rewrites)
                if best is not None:
                    require_agreement(best, hand.queries, rows[name], stored.folder)
            elif best is not None and hand is not None:
                require_known(best, frozenset(hand.task.gallery.ids), stored.folder)
        except UserError as error:
            problems.append(f"without its best images: {error}")
            continue
        if best is not None:
            found[name] = best
    report(f"best images of {members[0].result.task}", len(members), len(members))
    return found


def _before(
    members: Sequence[Stored], rows: Mapping[str, Rows], best: Mapping[str, Tops], hand: AtHand | None
) -> Tops | None:
    """What the raw query texts found: by a result that searched every query as it came, or by searching again."""
    for stored in members:
        name = stored.result.id
        if name in best and name in rows and material.as_came(rows[name]):
            return best[name]
    return None if hand is None else searched(hand, None)


def _remarks(shared: Material | None, after: Tops | None, before: Tops | None) -> list[str]:
    """What is not shown, and why."""
    if shared is None:
        return []
    told = []
    if shared.texts is None:
        told.append("The queries' own texts are not published, as their licences seldom allow it.")
    if shared.pictures is None:
        told.append("The pictures are not published; images are named by their ids.")
    if before is None:
        told.append("What the raw query texts found is left out: no run of them is at hand.")
    if after is None:
        told.append("What the rewrites found is left out: neither a run nor the rewrites are at hand.")
    return told
