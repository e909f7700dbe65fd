from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grapebench.evaluation.compare import read_queries
from grapebench.evaluation.figures import difference_intervals
from grapebench.leaderboard import board
from grapebench.leaderboard.references import compared


@pytest.fixture
def saved(tmp_path: Path, make_result: Any, write_ranks: Any) -> Any:
    """Makes results with ranks of their figure and keeps where they lie."""

    def save(name: str, r10: float, *, ranks: bool = True, **more: Any) -> Any:
        result = make_result(name, r10, **more)
        save.folders[result.id] = tmp_path / result.id
        save.results.append(result)
        if ranks:
            write_ranks(tmp_path / result.id, r10, seed=len(save.results))
        return result

    save.folders, save.results = {}, []
    return save


def rows_of(saved: Any, *references: str) -> tuple[board.Table, dict[str, board.Row]]:
    (table,), problems = compared(board.tables(saved.results), saved.folders, references)
    assert not problems
    return table, {row.label: row for row in table.rows}


def test_the_difference_is_paired_and_its_interval_that_of_a_comparison(saved: Any) -> None:
    base, other = saved("plain", 0.5), saved("better", 0.7)
    table, rows = rows_of(saved, "plain")
    assert table.references == ("plain",)
    found = rows["better"].against[0]
    sheets = [read_queries(saved.folders[result.id], result).sheet for result in (base, other)]
    expected = difference_intervals(sheets[:1], sheets[1:])["R@10"]
    assert (found.low, found.high) == expected
    assert found.value == pytest.approx(0.2) and found.spread is None
    paired = sheets[1].values["R@10"] - sheets[0].values["R@10"]
    assert found.value == pytest.approx(paired.mean())
    assert rows["plain"].against == (None,), "to itself there is nothing to tell"


def test_where_languages_count_alike_so_do_their_differences(saved: Any) -> None:
    base = saved("plain", 0.5, protocol="multilingual")
    other = saved("better", 0.7, protocol="multilingual")
    found = rows_of(saved, "plain")[1]["better"].against[0]
    sheets = [read_queries(saved.folders[result.id], result).sheet for result in (base, other)]
    assert sheets[0].macro
    assert (found.low, found.high) == difference_intervals(sheets[:1], sheets[1:])["R@10"]


def test_seeds_are_compared_with_the_mean_over_the_references_seeds(saved: Any) -> None:
    for seed, (plain, better) in enumerate([(0.4, 0.6), (0.5, 0.8)]):
        saved("plain", plain, seed=seed)
        saved("better", better, seed=seed)
    found = rows_of(saved, "plain")[1]["better"].against[0]
    assert found.value == pytest.approx(0.25), "0.7 less 0.45"
    assert found.spread == pytest.approx(np.std([0.15, 0.35], ddof=1))
    assert found.low is not None and found.high is not None and found.low < 0.25 < found.high


def test_rows_without_ranks_have_no_difference(saved: Any) -> None:
    saved("plain", 0.5)
    saved("better", 0.7)
    saved("better", 0.6, seed=1, ranks=False)
    saved("third", 0.3)
    table, rows = rows_of(saved, "plain")
    assert rows["better"].against == (None,), "a mean over some of the seeds would be another row's"
    assert rows["third"].against[0] is not None
    assert table.references == ("plain",)


def test_without_a_reference_or_its_ranks_there_is_no_column(saved: Any) -> None:
    saved("plain", 0.5, ranks=False)
    saved("better", 0.7)
    for names in (("plain",), ("nobody",), ()):
        table, rows = rows_of(saved, *names)
        assert table.references == () and not any(row.against for row in rows.values())


def test_only_ranked_rows_are_references(saved: Any) -> None:
    saved("plain", 0.5, oracle=True)
    saved("better", 0.7)
    assert rows_of(saved, "plain")[0].references == ()


def test_two_references_are_two_columns(saved: Any) -> None:
    for name, value in (("plain", 0.5), ("better", 0.7), ("best", 0.9)):
        saved(name, value)
    table, rows = rows_of(saved, "plain", "better")
    assert table.references == ("better", "plain"), "in the order of the rows"
    assert [round(figure.value, 6) for figure in rows["best"].against if figure] == [0.2, 0.4]


def test_ranks_that_cannot_be_used_are_named(saved: Any, write_ranks: Any) -> None:
    saved("plain", 0.5)
    broken, other = saved("broken", 0.6), saved("other", 0.7)
    (saved.folders[broken.id] / "per_query.parquet").write_bytes(b"ranks")
    write_ranks(saved.folders[other.id], 0.7, query_id=[f"p{number}" for number in range(100)])
    (table,), problems = compared(board.tables(saved.results), saved.folders, {"plain"})
    assert table.references == ()
    unreadable, others = sorted(map(str, problems), key=lambda said: "not readable" not in said)
    assert unreadable.startswith(f"{saved.folders[broken.id]}/per_query.parquet: not readable")
    assert others == f"{saved.folders[other.id]}/per_query.parquet: its queries are not those of plain"
