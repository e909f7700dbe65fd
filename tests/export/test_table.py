from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest

from grapebench.errors import UserError
from grapebench.export import table
from grapebench.leaderboard import store
from grapebench.leaderboard.results import BENCHMARK, Result


@pytest.fixture
def results(place: Path, make: Callable[..., Path]) -> list[Result]:
    return [store.load(make("cvlue", "test")), store.load(make("cirr", "test1"))]


def test_a_line_for_each_figure_with_all_that_it_depends_on(results: list[Result]) -> None:
    frame = table.tidy(results)
    assert list(frame) == list(table.COLUMNS)
    labelled = results[0]
    assert len(frame) == len(labelled.metrics), "none of the result without labels"
    assert set(frame.result) == {labelled.id} and set(frame.dataset) == {labelled.data.dataset}
    line = frame[(frame.figure == "R@5") & frame.part.isna()].iloc[0]
    assert line.value == labelled.metrics["R@5"] and line.raw == labelled.metrics_before["R@5"]
    assert (line.low, line.high) == (labelled.intervals["R@5"].low, labelled.intervals["R@5"].high)
    assert (line.delta, line.delta_low, line.delta_high) == tuple(labelled.deltas["R@5"].model_dump().values())
    median = frame[frame.figure == "median_rank"].iloc[0]
    assert median.value == labelled.metrics["median_rank"] and pandas.isna(median.low) and pandas.isna(median.delta)


def test_parts_stand_in_a_column_of_their_own(results: list[Result]) -> None:
    one = results[0].model_copy(update={"metrics": {"R@1": 0.5, "R@1/de": 0.25, "i2t_R@1/1-a/b": 0.125}})
    frame = table.tidy([one])
    assert frame.figure.tolist() == ["R@1", "R@1", "i2t_R@1"]
    assert frame.part.fillna("").tolist() == ["", "de", "1-a/b"]


def test_csv_and_parquet_read_back_the_same(results: list[Result]) -> None:
    odd = results[0].model_copy(update={"task": 'a "task",\nwith 引号', "limit": 3})
    lines = table.tidy([results[0], odd])
    read = pandas.read_parquet(io.BytesIO(table.parquet(lines)))
    pandas.testing.assert_frame_equal(read, lines)
    text = pandas.read_csv(io.BytesIO(table.csv(lines)), dtype={"benchmark": str, "part": str, "captioner": str})
    assert list(text) == list(table.COLUMNS)
    assert set(text.task) == {"cvlue", odd.task}
    assert text.value.tolist() == read.value.tolist(), "every digit"
    assert text.limit.dropna().unique().tolist() == [3] and set(text.benchmark) == {BENCHMARK}
    assert text.low.isna().tolist() == read.low.isna().tolist()


def test_no_results_are_a_table_of_none() -> None:
    assert len(table.tidy([])) == 0
    assert pandas.read_csv(io.BytesIO(table.csv(table.tidy([])))).empty


def test_without_pandas_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"grapebench\[tables\]"):
        table.tidy([])
