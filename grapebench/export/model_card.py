"""Results as the metadata of a model card on the Hugging Face hub (`model-index`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grapebench import catalog
from grapebench.errors import UserError
from grapebench.leaderboard.board import Row, Table, tables
from grapebench.leaderboard.render import figure_name
from grapebench.leaderboard.results import Result

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

TASK_TYPE = "text-to-image-retrieval"
_DIGITS = 6


def metadata(results: Sequence[Result], name: str | None = None) -> str:
    """The head of a README.md, between two lines of `---`: the shown figures as fractions, mean over seeds.

    `name` is the model's, by default the rewriter's. Raises UserError where the results are of several rewriters, have
    no figures, or measure in two ways what has one place in a card.
    """
    from huggingface_hub import ModelCardData

    for result in results:
        if not result.labelled:
            what = f"result {result.id} has no figures: the labels of {result.task} {result.split} are not public"
            raise UserError(what)
    rewriters = sorted({result.rewriter.name for result in results})
    if len(rewriters) != 1:
        raise UserError(f"a model card is of one model, these results are of: {', '.join(rewriters)}")
    together = [(table, row) for table in tables(results) for row in table.rows]
    _refuse_alike(together)
    found = [one for table, row in together for one in _evaluations(table, row)]
    data = ModelCardData(model_name=name or rewriters[0], eval_results=found)
    return f"---\n{data.to_yaml()}\n---\n"


def _refuse_alike(rows: Sequence[tuple[Table, Row]]) -> None:
    """A card knows figures by task, split, protocol, retriever and data: what else differs would be lost."""
    seen: dict[object, Result] = {}
    for table, row in rows:
        one, first = table.first, row.results[0]
        other = seen.setdefault((one.suite, one.task, _config(one), one.split, one.data.dataset), first)
        if other is not first:
            what = f"results {other.id} and {first.id} are of {one.task} {one.split}, and not seeds of one measurement"
            raise UserError(what, fix="name those of one")


def _config(result: Result) -> str:
    return f"{result.protocol}, {result.retriever.name}"


def _evaluations(table: Table, row: Row) -> list[EvalResult]:
    """One for each shown figure. What makes figures comparable is in the data set's arguments."""
    from huggingface_hub import EvalResult

    one = table.first
    arguments = {
        "suite": one.suite,
        "benchmark": one.benchmark,
        "revision": one.revision,
        "limit": one.limit,
        "retriever": one.retriever.name,
        "retriever_fingerprint": one.retriever.fingerprint,
        "queries": one.queries,
        "images": one.gallery,
        "rewriter_fingerprint": row.results[0].rewriter.fingerprint,
        "results": [result.id for result in row.results],
    }
    notes = {"oracle": row.oracle, "seen": row.seen}
    arguments |= {key: value for key, value in notes.items() if value}
    found = []
    for key in table.keys:
        if (figure := row.figures.get(key)) is None:
            continue
        numbers = {"low": figure.low, "high": figure.high, "deviation": figure.spread}
        found.append(
            EvalResult(
                task_type=TASK_TYPE,
                task_name="Text-to-image retrieval",
                dataset_type=f"grapebench/{one.suite}/{one.task}",
                dataset_name=_title(one),
                dataset_config=_config(one),
                dataset_split=one.split,
                dataset_revision=one.data.dataset,
                dataset_args={name: value for name, value in arguments.items() if value is not None},
                metric_type=key,
                metric_name=figure_name(key),
                metric_value=round(figure.value, _DIGITS),
                metric_args={name: round(value, _DIGITS) for name, value in numbers.items() if value is not None},
            )
        )
    return found


def _title(result: Result) -> str:
    """The card's title where there is such a card; the suite is said, because figures of two never compare."""
    known = result.task in catalog.task_names()
    title = catalog.task_card(result.task).card.title if known else result.task
    return f"{title} (grapebench, suite {result.suite})"
