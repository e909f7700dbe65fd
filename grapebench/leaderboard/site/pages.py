"""The pages: templates filled with what results say. All of it is escaped, and no address comes from a result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grapebench.evaluation.figures import part_weights
from grapebench.evaluation.protocols import protocol_named
from grapebench.leaderboard import render
from grapebench.leaderboard.board import Row, Table
from grapebench.leaderboard.results import Result
from grapebench.leaderboard.site import grids, particulars, plots
from grapebench.leaderboard.site.material import Rows
from grapebench.leaderboard.store import Stored

if TYPE_CHECKING:
    from jinja2 import Environment

    from grapebench.leaderboard.building import Board


@dataclass(frozen=True)
class Suite:
    name: str
    short: str
    title: str
    about: str


SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "mini",
            "Miniature",
            "The generated miniature",
            "Small generated pictures and a small retriever that ship with grapebench and run anywhere. The tasks bear "
            "the names of the real benchmarks and shift the queries in the same way, but no figure here says anything "
            "of the real ones.",
        ),
        Suite(
            "full", "Real benchmarks", "The real benchmarks", "Official annotation files, real images, real weights."
        ),
    )
}


@dataclass(frozen=True)
class Measured:
    """What plots need of a result's queries, `(queries,)` each."""

    rank: np.ndarray
    before: np.ndarray
    weights: np.ndarray | None
    """As in the headline figure; None where all queries count the same."""
    cosines: dict[str, np.ndarray] | None


def measured(rows: Rows) -> Measured | None:
    """None without ranks."""
    if "rank" not in rows[0]:
        return None

    def column(name: str) -> np.ndarray:
        return np.array([row.get(name) for row in rows], dtype=np.float64)

    names = [f"{name}{suffix}" for name in ("positive", "top_others") for suffix in ("", "_before")]
    known = all(f"similarity_{name}" in rows[0] for name in names)
    cosines = {name: column(f"similarity_{name}") for name in names} if known else None
    languages = [row.get("language") or "" for row in rows]
    return Measured(column("rank"), column("rank_before"), part_weights(languages), cosines)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def _write(path: Path, template: str, **told: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _templates().get_template(template).render(root="../" * (len(path.parent.name) > 0), **told)
    path.write_bytes(text.encode("utf-8", "replace"))


def _title(table: Table, board: Board) -> tuple[str, str]:
    """A task's name with its title, and what the card says of it."""
    one = table.first
    card = board.cards.get(one.task)
    title = f"{one.task}: {card.title}" if card else one.task
    if card and one.protocol != card.protocol:
        title += f", protocol {one.protocol}"
    return title, card.about if card else ""


def write_index(site: Path, board: Board, shown: Sequence[tuple[str, Table]]) -> None:
    """The board: every table that is shown, with the name of its page."""
    suites, made = [], []
    for suite in SUITES.values():
        boards = []
        for slug, table in shown:
            if table.first.suite != suite.name:
                continue
            title, about = _title(table, board)
            grid = grids.board_grid(table)
            made.append(grid)
            boards.append(
                {
                    "slug": slug, "name": table.first.task, "title": title, "about": about, "grid": grid,
                    "headline": render.headline(table), "parts": bool(table.parts),
                }
            )  # fmt: skip
        if not boards:
            continue
        chosen = [one for one in board.overall if one.tables[0].first.suite == suite.name]
        overall = [{"grid": grids.overall_grid(one), "label": one.tables[0].first.retriever.name} for one in chosen]
        suites.append({**vars(suite), "boards": boards, "overall": overall})
    _render_index(site, suites, grids.mechanisms(made), board)


def _render_index(site: Path, suites: Sequence[Mapping[str, Any]], mechanisms: Sequence[str], board: Board) -> None:
    unlabelled = [one.result for one in board.stored if not one.result.labelled]
    text = (
        _templates()
        .get_template("index.html")
        .render(
            root="",
            suites=suites,
            mechanisms=mechanisms,
            published=grids.published_grid(board.cards),
            unlabelled=unlabelled,
        )
    )
    (site / "index.html").write_bytes(text.encode("utf-8", "replace"))


def write_task(site: Path, board: Board, slug: str, table: Table, known: Mapping[str, Measured | None]) -> None:
    """A table's page, with its plots. `known` is by result id."""
    title, about = _title(table, board)
    percent = [(row, 100 * row.figures[table.main].value) for row in table.rows]
    by_tokens = [
        (row.label, grids.result_href(row.results[0]), row.spent.read + row.spent.written, value, row.oracle)
        for row, value in percent
    ]
    by_time = [
        (row.label, grids.result_href(row.results[0]), row.spent.ms, value, row.oracle)
        for row, value in percent
        if row.spent.ms is not None
    ]
    curves, weighted = _curves(table, known)
    pairs = _pairs(table)
    told = {
        "slug": slug, "name": table.first.task, "title": title, "about": about, "main": table.main,
        "headline": render.headline(table), "grid": grids.board_grid(table), "parts": grids.parts_grid(table),
        "scatters": [
            plots.against_cost(by_tokens, "tokens a query", table.main, "{:,.0f}"),
            plots.against_cost(by_time, "milliseconds a query", table.main, "{:,.1f}"),
        ],
        "costs": [[row.label, f"{value:.1f}", *_spent(row)] for row, value in percent],
        "curves": curves,
        "curve_note": " The mean over languages, each counting the same." if weighted else "",
        "curve_head": [] if curves is None else ["Rewriter", *(f"{k:,}" for k in curves.shown)],
        "curve_rows": [] if curves is None else [[c.label, *(f"{v:.1f}" for v in c.values)] for c in curves.curves],
        "pairs": pairs,
        "pair_rows": []
        if pairs is None
        else [[p.label, *(f"{v:.3f}" for v in p.values), p.main] for p in pairs.pairs],
    }  # fmt: skip
    _write(site / "tasks" / f"{slug}.html", "task.html", board=told, suite=SUITES[table.first.suite])


def _spent(row: Row) -> tuple[str, str]:
    return f"{row.spent.read + row.spent.written:,.0f}", "–" if row.spent.ms is None else f"{row.spent.ms:,.1f}"


def _curves(table: Table, known: Mapping[str, Measured | None]) -> tuple[plots.Curves | None, bool]:
    """The curves of rows whose ranks are known, and whether queries count differently."""
    entries, first = [], None
    for row in table.rows:
        found = [one for result in row.results if (one := known.get(result.id)) is not None]
        if found and all(len(one.rank) == len(found[0].rank) for one in found):
            first = first or found[0]
            if len(found[0].rank) == len(first.rank):
                entries.append((row.label, [one.rank for one in found], row.oracle))
    if first is None:
        return None, False
    macro = protocol_named(table.first.protocol).by == "language"
    weights = first.weights if macro else None
    return plots.recall_curves(entries, first.before, table.first.gallery, weights), macro


def _pairs(table: Table) -> plots.Pairs | None:
    """Mean cosines of each row, after those of the raw query text."""
    main = table.main
    entries: list[tuple[str, float, float, float, str, bool]] = []
    for row in table.rows:
        sides = [result.inflation.after for result in row.results if result.inflation is not None]
        values = _means(sides)
        if values is not None:
            entries.append((row.label, *values, f"{100 * row.figures[main].value:.1f}", False))
    first = next((result.inflation for row in table.rows for result in row.results if result.inflation), None)
    before = _means([first.before]) if first is not None else None
    if before is None or not entries:
        return None
    raw = table.first.metrics_before.get(main)
    return plots.cosine_pairs([("raw query text", *before, "–" if raw is None else f"{100 * raw:.1f}", True), *entries])


def _means(sides: Iterable[Any]) -> tuple[float, float, float] | None:
    found = [(side.positive, side.top_others, side.margin) for side in sides]
    if not found or any(value is None for values in found for value in values):
        return None
    positive, others, margin = (float(np.mean(values)) for values in zip(*found, strict=True))
    return positive, others, margin


def write_result(
    site: Path,
    slug: str,
    table: Table | None,
    stored: Stored,
    known: Measured | None,
    remarks: Sequence[str],
    queries: bool,
) -> None:
    """A result's page; `queries` says whether its data are beside it."""
    result = stored.result
    histograms = None if known is None or known.cosines is None else plots.histograms(known.cosines)
    _write(
        site / "results" / f"{result.id}.html",
        "result.html",
        result=result,
        suite=SUITES[result.suite],
        slug=slug,
        board=None if table is None else {"slug": slug, "name": result.task},
        seeds=_seeds(table, result),
        facts=particulars.facts(result),
        figures=grids.figures_grid(result, of_parts=False),
        parts=grids.figures_grid(result, of_parts=True),
        inflation=particulars.inflation_lines(result),
        heat=None if known is None else plots.rank_heat(known.before, known.rank, result.gallery),
        histograms=histograms,
        queries=queries,
        remarks=remarks,
        without="This result came without its ranks and rewrites; its command makes the whole.",
        cost=particulars.cost(result),
        environment=particulars.environment(result) + ([("Submitted by", stored.by)] if stored.by else []),
        hashes=particulars.hashes(result, (path.name for path in stored.folder.iterdir())),
        rewriter_json=particulars.as_json(result.rewriter.model_dump(mode="json")),
        retriever_json=particulars.as_json(result.retriever.model_dump(mode="json")),
        determinants_json=particulars.as_json(result.determinants),
    )


def _seeds(table: Table | None, result: Result) -> list[Result]:
    """The other results of its row."""
    for row in table.rows if table is not None else ():
        if any(one.id == result.id for one in row.results):
            return [one for one in row.results if one.id != result.id]
    return []
