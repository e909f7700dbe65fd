"""`grapebench data add | status | verify`: the official files of the full suite, which are the user's to bring."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grapebench.cards import TaskCard
    from grapebench.datasets.place import Place
    from grapebench.datasets.survey import SplitSurvey

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Say where the official files of a benchmark are, and see what is there of them.",
)

Task = Annotated[str, typer.Argument(help="A task card's name or path.", show_default=False)]


@app.command()
def add(
    task: Task,
    images: Annotated[
        Path | None, typer.Option(help="Folder or archive of the images.", show_default="where the annotations are")
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="Folder or file of the annotations.", show_default="where the images are")
    ] = None,
) -> None:
    """Remember where the files of a task are, once they could be read. One of the two may hold both."""
    from grapebench import catalog
    from grapebench.cli import data_view as view
    from grapebench.datasets import places
    from grapebench.datasets.place import Place
    from grapebench.datasets.survey import survey
    from grapebench.errors import UserError

    card = catalog.task_card(task).card
    place = Place.named(annotations, images)
    found = survey(card, place)
    _require_one(card, place, found)
    loaded = [split for split in found if split.dataset is not None]
    for split in loaded:
        if split.images_problem is not None:
            raise UserError(split.images_problem)
    without = all(split.lacks_all_images for split in loaded)
    if without and images is not None:
        named = f"the first that is looked for is {loaded[0].missing[0]!r}"
        what = f"none of the images of {card.name} is here ({named})"
        raise UserError(what, file=place.images, fix=_needed(card, "images"))
    path = places.remember(card.name, place)
    view.print_task(card, place, None, found)
    if without:
        what = f"there are no images of {card.name}: enough for `grapebench score`, not for `grapebench run`"
        print(f"warning: {what}; name them with --images", file=sys.stderr)
    print(f"remembered in {path}", file=sys.stderr)


@app.command()
def status(
    tasks: Annotated[list[str] | None, typer.Argument(help="Task cards' names or paths.", show_default="all")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a task instead.")] = False,
) -> None:
    """Show what each task needs, and what is there of it. Images are looked for, not opened."""
    from grapebench import catalog
    from grapebench.cli import data_view as view
    from grapebench.datasets import full_suite
    from grapebench.datasets.places import remembered
    from grapebench.datasets.survey import survey
    from grapebench.errors import UserError

    cards = [catalog.task_card(name).card for name in tasks or catalog.task_names()]
    for card in [card for card in cards if tasks or card.full is not None]:
        full_suite(card)
        place, problem = None, None
        try:
            place = remembered(card.name)
            if place is not None:
                place.check()
        except UserError as error:
            problem = str(error)
        found = survey(card, place if place is not None and place.annotations.exists() else None)
        if json:
            view.print_json(
                view.task_values(card, place, problem) | {"splits": [view.split_values(split) for split in found]}
            )
        else:
            view.print_task(card, place, problem, found)


@app.command()
def verify(
    task: Task,
    split: Annotated[str | None, typer.Option(help="One split.", show_default="all that are there")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
) -> None:
    """Count everything and decode every image. Exit code 2 if something is wrong."""
    from grapebench import catalog
    from grapebench.cli import data_view as view
    from grapebench.cli import progress
    from grapebench.datasets import remembered_place
    from grapebench.datasets.survey import survey, survey_split
    from grapebench.datasets.verify import verify as look_into
    from grapebench.errors import UserError

    card = catalog.task_card(task).card
    place = remembered_place(card)
    surveys = survey(card, place) if split is None else [survey_split(card, place, split)]
    if not any(found.there for found in surveys):
        raise _nothing_there(card, place, surveys)
    verified = []
    for found in surveys:
        with progress.staged(f"{card.name} {found.split}") as report:
            verified.append(look_into(found, partial(report, "decoding")))
    faults = [f"{one.survey.split}: {', '.join(one.faults)}" for one in verified if one.faults]
    if json:
        values = view.task_values(card, place, None) | {"sound": not faults}
        view.print_json(values | {"splits": [view.verified_values(one) for one in verified]})
    else:
        view.print_verified(card, place, verified)
    if faults:
        raise UserError(f"{card.name} is not as it should be: {'; '.join(faults)}")


def _require_one(card: TaskCard, place: Place, found: Sequence[SplitSurvey]) -> None:
    """Raises UserError unless some split can be used."""
    from grapebench.errors import UserError

    if any(split.readable for split in found):
        return
    first = next((split for split in found if split.there), None)
    if first is None:
        raise _nothing_there(card, place, found)
    if first.problem is not None:
        raise UserError(first.problem)
    what = f"{card.name} {first.split} is not what its card promises: {', '.join(first.differences)}"
    raise UserError(what, file=place.annotations, fix="fetch the official files again")


def _nothing_there(card: TaskCard, place: Place, found: Sequence[SplitSurvey]) -> Exception:
    from grapebench.errors import UserError

    what = f"nothing of {card.name} {' or '.join(split.split for split in found)} is there"
    return UserError(f"{what} ({found[0].problem})", file=place.annotations, fix=_needed(card, "annotations"))


def _needed(card: TaskCard, noun: str) -> str:
    """What a card says of the 'annotations' or the 'images' that are needed."""
    return f"needed are {getattr(card.full, noun) or f'the official {noun}'} ({card.source})"
