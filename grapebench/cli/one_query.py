"""One query of a result for a terminal: its texts, its ranks and what was found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from grapebench.leaderboard.results import Result
    from grapebench.leaderboard.runs import Found
    from grapebench.leaderboard.store import Stored

_SHOWN = 400
"""Characters of a query's own text in the list of queries."""
_DEPTH = 10
"""How many of the best images of a query are listed."""
COSINES = {"positive": "right image", "top_others": "ten nearest", "others": "all others", "margin": "margin"}
"""The similarities that are measured, and what they are called."""


_Images = list[dict[str, Any]] | None


def find(stored: Stored, row: dict[str, Any]) -> dict[str, Any]:
    """What a row of a result does not hold: the best images of the query before and after rewriting, from runs at hand.

    Where the task's data come with the package, also its text, the reference image, and the best images by searching
    again, unless that puts the right image elsewhere than the result does. `best_before` and `best` are None where
    nothing says them.
    """
    told: dict[str, Any] = _from_runs(stored, row["query_id"])
    if "text" in row and None not in told.values():
        return told
    return told | _from_data(stored, row, told)


def _from_data(stored: Stored, row: dict[str, Any], known: dict[str, _Images]) -> dict[str, Any]:
    from grapebench.leaderboard import artifacts, at_hand
    from grapebench.leaderboard.bench import Bench
    from grapebench.leaderboard.results import REWRITES_FILE

    hand = at_hand.find(stored.result, False, Bench())
    place = next((p for p, query in enumerate(hand.queries) if query.id == row["query_id"]), None) if hand else None
    if hand is None or place is None:
        return {}
    query = hand.queries[place]
    told: dict[str, Any] = {"text": query.text} | ({"reference": query.reference} if query.reference else {})
    alone = replace(hand, queries=(query,))
    path = stored.folder / REWRITES_FILE
    ways: dict[str, Any] = {"best_before": None}
    ways |= {"best": [artifacts.read_rewrites(path, hand.queries)[place]]} if path.is_file() else {}
    for name, rewrites in ways.items():
        if known[name] is None and (found := alone.best(rewrites, _DEPTH)) is not None:
            rank = row.get("rank_before" if name == "best_before" else "rank")
            places = [number for number, (image, _) in enumerate(found[query.id], 1) if image in query.positives]
            if rank is None or min([*places, _DEPTH + 1]) == min(rank, _DEPTH + 1) or row.get("equal"):
                told[name] = _listed(found[query.id])
    return told


def _listed(found: Found) -> _Images:
    return [{"image": image, "score": score} for image, score in found]


def _from_runs(stored: Stored, query: str) -> dict[str, _Images]:
    from grapebench.evaluation import trec
    from grapebench.leaderboard import runs, store
    from grapebench.paths import results_dir

    home = results_dir()
    after = runs.locate(stored, home)
    before = runs.locate_raw(stored, query, store.find([home])[0], home)
    # Of one file where the query was searched as it came.
    known = {path: runs.best(trec.read_run(path), _DEPTH).get(query, ()) for path in {before, after} if path}

    return {
        "best_before": None if before is None else _listed(known[before]),
        "best": None if after is None else _listed(known[after]),
    }


def summary(found: Result, row: dict[str, Any], in_full: bool) -> Group:
    """What became of it; `in_full` with all that the rewriter left behind."""
    from grapebench.rewriters.recot import CONCEPTS

    lines = {}
    mapped = "average_precision" in row
    if "rank" in row:
        lines["Rank"] = f"{_from_to(row, 'rank')} of {row['candidates']:,}"
        lines["Rank"] += "" if mapped else _moved(row["rank_before"] - row["rank"])
    if mapped:
        before, after = row["average_precision_before"], row["average_precision"]
        lines["Average precision"] = f"{100 * before:.1f} → {100 * after:.1f}{_moved(after - before)}"
    if row.get("subset_rank") is not None:
        lines["Subset rank"] = _from_to(row, "subset_rank")
    for name in row:
        kind, _, grade = name.partition("_grade_")
        if grade and not grade.endswith("_before") and row[name] is not None:
            lines[f"{kind.replace('_', ' ').capitalize()}, grade ≥ {grade}"] = _from_to(row, name)
    if "text" in row:
        text = row["text"]
        lines["Query"] = text if in_full or len(text) <= _SHOWN else text[:_SHOWN] + " …"
    elif in_full:
        lines["Query"] = "the text is not published with this result; the result's command makes the whole"
    told = row.get("trace", {})
    if CONCEPTS in told:
        lines["Concepts"] = told[CONCEPTS]
    lines["Rewrite"] = _rewrite(row, in_full)
    if row.get("fallback"):
        lines["Fallback"] = row["fallback"]
    if in_full:
        lines |= {name: str(value) for name, value in told.items() if name != CONCEPTS}
        if row.get("raw"):
            lines["Output"] = row["raw"]
        if found.family == "compose":
            unknown = "not kept in a result; the task's data say which image the query changes"
            lines["Reference"] = row.get("reference", unknown)
        if row.get("positive"):
            lines["Right image"] = row["positive"]
    about = ", ".join(row[name] for name in ("language", "category") if row.get(name))
    return grid(f"Query {row['query_id']}" + (f" ({about})" if about else ""), lines)


def _moved(gain: float) -> str:
    return "  ▲ won" if gain > 0 else "  ▼ lost" if gain < 0 else "  = tied"


def _rewrite(row: dict[str, Any], in_full: bool) -> str:
    """What was searched; in full with each part of several on a line of its own."""
    if "rewrite" not in row or row["rewrite"] == row.get("text", ()):
        return "none: searched as it came"
    if row["rewrite"] is None:
        return "not published with this result" + "; the result's command makes it" * in_full
    parts = [*row.get("texts", ()), *(f"<image {image}>" for image in row.get("images", ()))]
    parts += ["<vector>"] * len(row.get("vectors", ()))
    if not in_full or len(parts) < 2:
        return str(row["rewrite"])
    return "\n".join(f"{number}. {part}" for number, part in enumerate(parts, 1))


def cosines(found: Result, row: dict[str, Any]) -> Group | Text:
    """How similar it was to what, before and after; nothing without labels."""
    from rich.text import Text

    if not found.labelled:
        return Text()

    def shown(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    names = {name: title for name, title in COSINES.items() if f"similarity_{name}" in row}
    if not names:
        return Text("Cosines: not published with this result; the result's command makes them.\n")
    both = {name: [row.get(f"similarity_{name}{suffix}") for suffix in ("_before", "")] for name in names}
    lines = {f"Cosine: {names[name]}": " → ".join(map(shown, values)) for name, values in both.items()}
    return grid("Similarity of this query", lines)


def images(found: Result, row: dict[str, Any]) -> Group:
    """The best images before and after, the right one marked, and why one of the lists is not there."""
    from rich.console import Group
    from rich.text import Text

    columns = {"Before": row["best_before"], "After": row["best"]}
    known = {name: [(one["image"], one["score"]) for one in some] for name, some in columns.items() if some is not None}
    parts: list[Any] = []
    if known:
        parts += [Text("The best images", style="bold"), _table(known, row.get("positive"))]
        if found.labelled:
            also = "; others of its category are right as well" if "average_precision" in row else ""
            parts.append(Text(f"✓ is the right image{also}.", style="dim italic"))
    if row["best_before"] is None:
        what = "The best images before: no run of the raw query text is at hand; the result's command with "
        parts.append(Text(what + "--rewriter identity makes one."))
    if row["best"] is None:
        parts.append(Text("The best images after: no run is at hand; the result's command makes one."))
    return Group(*parts)


def _table(known: dict[str, list[tuple[str, float]]], right: str | None) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("#", justify="right", no_wrap=True)
    for name in known:
        table.add_column("", no_wrap=True)
        table.add_column(name, overflow="fold")
        table.add_column("score", justify="right", no_wrap=True)
    for place in range(max(map(len, known.values()))):
        cells = [Text(str(place + 1))]
        for some in known.values():
            image, score = some[place] if place < len(some) else ("", None)
            hit = image == right and score is not None
            shown = ("✓" if hit else "", image, "" if score is None else f"{score:.4f}")
            cells += [Text(text, style="bold" if hit else "") for text in shown]
        table.add_row(*cells)
    return table


def _from_to(row: dict[str, Any], name: str) -> str:
    return f"{row[f'{name}_before']:,} → {row[name]:,}"


def grid(title: str, lines: dict[str, str]) -> Group:
    """Lines of a name and a value under a title; text of a result is shown as it is, never read as markup."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in lines.items():
        table.add_row(Text(name), Text(value))
    return Group(Text(title, style="bold"), table, "")
