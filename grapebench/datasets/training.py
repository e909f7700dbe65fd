"""A loaded split as rows for a trainer, in the form that Hugging Face's `datasets` and TRL take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grapebench.errors import UserError, missing_extra

if TYPE_CHECKING:
    import datasets

    from grapebench.records import Task


def training_set(task: Task) -> datasets.Dataset:
    """One row for each query of a split with labels, in the task's order.

    Columns: query_id, text, positives (list), language, reference, reference_caption, excluded (list), subset (list),
    category, task, family. They are what `grapebench.records.Query` says of them, and the same for every task, so that
    the training sets of several tasks can be put together: `reference` and `reference_caption` are null, and lists
    empty, where a task has no such thing. Images are named by their ids in the task's gallery.

    Raises UserError where a query has no public answer, or where `datasets` is not installed.
    """
    queries = task.queries
    without = sum(not query.positives for query in queries)
    if without or not queries:
        what = f"{without:,} of the {len(queries):,} queries have no public answer" if queries else "it has no queries"
        fix = "take a split with labels, such as train"
        raise UserError(f"{task.name} {task.split} cannot be trained on: {what}", file=task.root, fix=fix)
    try:
        from datasets import Dataset, Features, Value
    except ImportError as error:
        raise missing_extra("datasets", "train") from error
    text = Value("string")
    columns = {
        "query_id": (text, [query.id for query in queries]),
        "text": (text, [query.text for query in queries]),
        "positives": ([text], [list(query.positives) for query in queries]),
        "language": (text, [query.language for query in queries]),
        "reference": (text, [query.reference for query in queries]),
        "reference_caption": (text, [query.reference_caption for query in queries]),
        "excluded": ([text], [list(query.excluded) for query in queries]),
        "subset": ([text], [list(query.subset) for query in queries]),
        "category": (text, [query.category for query in queries]),
        "task": (text, [task.name] * len(queries)),
        "family": (text, [task.family] * len(queries)),
    }
    features = Features({name: kind for name, (kind, _) in columns.items()})
    return Dataset.from_dict({name: values for name, (_, values) in columns.items()}, features=features)
