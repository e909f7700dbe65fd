from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench import catalog
from grapebench.datasets import load_task, training_set
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from grapebench.records import Dataset, Gallery, Query, Task

COLUMNS = {
    "query_id": "string",
    "text": "string",
    "positives": ["string"],
    "language": "string",
    "reference": "string",
    "reference_caption": "string",
    "excluded": ["string"],
    "subset": ["string"],
    "category": "string",
    "task": "string",
    "family": "string",
}


def task(*queries: Query, name: str = "t", family: str = "compose") -> Task:
    gallery = Gallery(("a", "b", "c"), Place.of(Path()).pictures({}))
    return Task(name, "mini", "train", family, "composed", 1, Dataset(queries, gallery), Path("/data"), name)


def kinds(rows: datasets.Dataset) -> dict[str, Any]:
    """The columns in order, a list's as a list of its type."""
    return {
        name: [kind.feature.dtype] if hasattr(kind, "feature") else kind.dtype for name, kind in rows.features.items()
    }


def test_a_query_is_a_row() -> None:
    composed = Query(
        "1", "redder", ("b", "c"), reference="a", reference_caption="a kite", excluded=("a",), subset=("b", "c")
    )
    plain = Query("2", "风筝", ("a",), language="zh", category="kite")
    rows = training_set(task(composed, plain))
    assert kinds(rows) == COLUMNS and list(kinds(rows)) == list(COLUMNS)
    assert rows[0] == {
        "query_id": "1",
        "text": "redder",
        "positives": ["b", "c"],
        "language": "en",
        "reference": "a",
        "reference_caption": "a kite",
        "excluded": ["a"],
        "subset": ["b", "c"],
        "category": "",
        "task": "t",
        "family": "compose",
    }
    assert rows[1] == {
        "query_id": "2",
        "text": "风筝",
        "positives": ["a"],
        "language": "zh",
        "reference": None,
        "reference_caption": None,
        "excluded": [],
        "subset": [],
        "category": "kite",
        "task": "t",
        "family": "compose",
    }


QUERIES = st.builds(
    Query,
    id=st.text(),
    text=st.text(),
    positives=st.lists(st.sampled_from("abc"), min_size=1).map(tuple),
    language=st.text(),
    reference=st.none() | st.text(),
    reference_caption=st.none() | st.text(),
    excluded=st.lists(st.text()).map(tuple),
    subset=st.lists(st.text()).map(tuple),
    category=st.text(),
)


@given(st.lists(QUERIES, min_size=1, max_size=5))
def test_rows_hold_what_queries_hold_whatever_it_is(queries: list[Query]) -> None:
    rows = training_set(task(*queries))
    assert kinds(rows) == COLUMNS, "columns keep their types, also where every value is null or every list empty"
    for row, query in zip(rows, queries, strict=True):
        assert (row["query_id"], row["text"]) == (query.id, query.text)
        for name in ("positives", "excluded", "subset"):
            assert tuple(row[name]) == getattr(query, name)
        for name in ("language", "reference", "reference_caption", "category"):
            assert row[name] == getattr(query, name)


def test_a_real_training_split_twice_is_the_same_and_goes_with_others() -> None:
    card = catalog.task_card("cvlue").card
    loaded = load_task(card, "mini", "val")
    rows, again = training_set(loaded), training_set(loaded)
    assert rows["query_id"] == [query.id for query in loaded.queries] == again["query_id"]
    assert rows._fingerprint == again._fingerprint, "what is cached under it is found again"
    assert set(rows["task"]) == {"cvlue"} and set(rows["family"]) == {"translate"}
    gallery = set(loaded.gallery.ids)
    assert all(gallery >= set(positives) for positives in rows["positives"])
    composed = training_set(task(Query("1", "redder", ("b",), reference="a")))
    both = datasets.concatenate_datasets([rows, composed])
    assert len(both) == len(rows) + 1 and both.features == rows.features


def test_a_split_without_public_answers_is_refused() -> None:
    query = Query("1", "redder", ("b",))
    with pytest.raises(
        UserError, match="/data: t train cannot be trained on: 1 of the 2 queries have no public answer"
    ):
        training_set(task(query, replace(query, id="2", positives=())))
    with pytest.raises(UserError, match="t train cannot be trained on: it has no queries"):
        training_set(task())


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        UserError, match=r"datasets is not installed; install it with: pip install 'grapebench\[train\]'"
    ):
        training_set(task(Query("1", "redder", ("b",))))
