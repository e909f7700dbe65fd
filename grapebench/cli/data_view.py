"""What `grapebench data` prints: tables for people, plain values for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grapebench import catalog
from grapebench.datasets import first_ten
from grapebench.datasets.places import add_command

if TYPE_CHECKING:
    from grapebench.cards import TaskCard
    from grapebench.datasets.place import Place
    from grapebench.datasets.survey import Count, SplitSurvey
    from grapebench.datasets.verify import SplitVerification


def task_values(card: TaskCard, place: Place | None, problem: str | None) -> dict[str, Any]:
    where = None if place is None else {"annotations": str(place.annotations), "images": str(place.images)}
    return {
        "task": card.name,
        "title": card.title,
        "annotations": getattr(card.full, "annotations", ""),
        "images": getattr(card.full, "images", ""),
        "source": card.source,
        "licence": card.licence,
        "place": where,
        "problem": problem,
    }


def split_values(found: SplitSurvey) -> dict[str, Any]:
    return {
        "split": found.split,
        "there": found.there,
        "complete": found.complete,
        **{noun: {"found": count.found, "expected": count.expected} for noun, count in found.counts.items()},
        "missing_images": {"count": len(found.missing), "first": list(found.missing[:10])},
        "problem": found.problem or found.images_problem,
        "notes": list(found.notes),
    }


def verified_values(one: SplitVerification) -> dict[str, Any]:
    return split_values(one.survey) | {
        "decoded": one.decoded,
        "broken_images": {"count": len(one.broken), "first": dict(list(one.broken.items())[:10])},
        "duplicates": {"count": sum(map(len, one.duplicates)), "first": [list(group) for group in one.duplicates[:10]]},
    }


def print_json(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)


def print_task(card: TaskCard, place: Place | None, problem: str | None, found: Sequence[SplitSurvey]) -> None:
    grid = _grid()
    values = task_values(card, place, problem)
    for name in ("annotations", "images", "source", "licence"):
        if values[name]:
            grid.add_row(name, Text(values[name]))
    if place is None:
        grid.add_row("place", Text(f"not said yet: {add_command(catalog.spec_of(card))}" if problem is None else ""))
    for name, line in zip(("place", ""), _place_lines(place), strict=False):
        grid.add_row(name, Text(line))
    if problem is not None:
        grid.add_row("problem", Text(problem))
    console = Console()
    console.print(Text(f"{card.name}: {card.title}", style="bold"))
    console.print(grid)
    _print_splits(console, found, [_state(split) for split in found], {})
    _print_remarks(console, [(split.split, remark) for split in found for remark in _remarks(split)])


def print_verified(card: TaskCard, place: Place, verified: Sequence[SplitVerification]) -> None:
    console = Console()
    console.print(Text(f"{card.name}: {card.title}", style="bold"))
    for line in _place_lines(place):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    surveys = [one.survey for one in verified]
    more = {
        "decoded": [f"{one.decoded:,}" if one.survey.dataset else "–" for one in verified],
        "duplicates": [f"{sum(map(len, one.duplicates)):,}" if one.survey.dataset else "–" for one in verified],
    }
    states = ["broken" if one.broken and one.survey.complete else _state(one.survey) for one in verified]
    _print_splits(console, surveys, states, more)
    remarks = []
    for one in verified:
        found = [*_remarks(one.survey), *one.survey.notes]
        if one.broken:
            named = [f"{image} ({fault})" for image, fault in list(one.broken.items())[:11]]
            found.append(f"{_images(len(one.broken))} broken: {first_ten(named)}")
        if one.duplicates:
            groups = [" = ".join(group) for group in one.duplicates[:11]]
            found.append(f"{_images(sum(map(len, one.duplicates)))} the same file as another: {first_ten(groups)}")
        remarks += [(one.survey.split, remark) for remark in found]
    _print_remarks(console, remarks)


def _place_lines(place: Place | None) -> list[str]:
    if place is None:
        return []
    if place.annotations == place.images:
        return [str(place.annotations)]
    return [f"{place.annotations} (annotations)", f"{place.images} (images)"]


def _print_splits(
    console: Console, found: Sequence[SplitSurvey], states: Sequence[str], more: Mapping[str, Sequence[str]]
) -> None:
    """One line a split: found/expected of each noun, further columns, and what there is to say of it."""
    # Captions are shown where they are not the queries: elsewhere the column would say everything twice.
    own = any(split.counts["captions"] != split.counts["queries"] for split in found)
    nouns = ["queries", "captions", "images"] if own else ["queries", "images"]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("split", no_wrap=True)
    for noun in (*nouns, *more):
        table.add_column(noun, justify="right", no_wrap=True)
    table.add_column("")
    for row, (split, state) in enumerate(zip(found, states, strict=True)):
        counts = (_shown(split.counts[noun], len(split.missing) if noun == "images" else 0) for noun in nouns)
        table.add_row(split.split, *counts, *(column[row] for column in more.values()), state)
    console.print()
    console.print(table)


def _shown(count: Count, missing: int = 0) -> str:
    """found/expected; of images those that are there, not those that are named."""
    found = "–" if count.found is None else f"{count.found - missing:,}"
    return f"{found}/{'?' if count.expected is None else f'{count.expected:,}'}"


def _state(found: SplitSurvey) -> str:
    if not found.there:
        return "not there"
    if found.dataset is None:
        return "unreadable"
    if found.differences:
        return "other counts"
    if found.images_problem is not None:
        return "images unreadable"
    if found.lacks_all_images:
        return "no images"
    return f"{_images(len(found.missing))} missing" if found.missing else "complete"


def _remarks(found: SplitSurvey) -> list[str]:
    """What a line of the table has no room for."""
    remarks = [found.problem] if found.there and found.problem is not None else []
    if found.images_problem is not None:
        remarks.append(found.images_problem)
    if found.dataset is not None and found.missing:
        how_many = f"{len(found.missing):,} of {_images(len(found.dataset.gallery))} missing"
        remarks.append(f"{how_many}: {first_ten(list(found.missing))}")
    return remarks


def _images(number: int) -> str:
    return "1 image" if number == 1 else f"{number:,} images"


def _print_remarks(console: Console, remarks: Sequence[tuple[str, str]]) -> None:
    if remarks:
        console.print()
        grid = _grid()
        for split, remark in remarks:
            grid.add_row(Text(f"{split}:"), Text(remark))
        console.print(grid)
    console.print()


def _grid() -> Table:
    """Names and what there is to say of them, in lines that are as long as the terminal is wide."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid
