from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grapebench.evaluation.compare import read_queries
from grapebench.evaluation.figures import difference_intervals
from grapebench.evaluation.significance import paired_p
from grapebench.leaderboard import artifacts, board
from grapebench.leaderboard.results import Seen
from grapebench.leaderboard.standings import stand


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
    (table,), problems = stand(board.tables(saved.results), saved.folders, references)
    assert not problems
    return table, {row.label: row for row in table.rows}


def test_the_difference_is_paired_and_its_interval_that_of_a_comparison(saved: Any) -> None:
    base, other = saved("plain", 0.5), saved("better", 0.7)
    table, rows = rows_of(saved, "plain")
    assert table.references == ("plain",)
    found = rows["better"].against[0]
    sheets = [read_queries(saved.folders[result.id], result).sheet for result in (base, other)]
    expected = difference_intervals(sheets[:1], sheets[1:])["R@10"]
    assert (found.delta.low, found.delta.high) == expected
    assert found.delta.value == pytest.approx(0.2) and found.delta.spread is None
    paired = sheets[1].values["R@10"] - sheets[0].values["R@10"]
    assert found.delta.value == pytest.approx(paired.mean())
    assert rows["plain"].against == (None,), "to itself there is nothing to tell"


def test_where_languages_count_alike_so_do_their_differences(saved: Any) -> None:
    base = saved("plain", 0.5, protocol="multilingual")
    other = saved("better", 0.7, protocol="multilingual")
    found = rows_of(saved, "plain")[1]["better"].against[0]
    sheets = [read_queries(saved.folders[result.id], result).sheet for result in (base, other)]
    assert sheets[0].macro
    assert (found.delta.low, found.delta.high) == difference_intervals(sheets[:1], sheets[1:])["R@10"]


def test_seeds_are_compared_with_the_mean_over_the_references_seeds(saved: Any) -> None:
    for seed, (plain, better) in enumerate([(0.4, 0.6), (0.5, 0.8)]):
        saved("plain", plain, seed=seed)
        saved("better", better, seed=seed)
    found = rows_of(saved, "plain")[1]["better"].against[0].delta
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
    assert [round(one.delta.value, 6) for one in rows["best"].against if one] == [0.2, 0.4]


def test_the_fair_reference_is_the_best_row_without_a_language_model(saved: Any) -> None:
    for name, value, model in (
        ("trained", 0.9, True),
        ("unknown", 0.8, None),
        ("sum", 0.7, False),
        ("image", 0.6, False),
        ("llm", 0.5, True),
    ):
        saved(name, value, language_model=model)
    saved("oracle", 0.95, language_model=False, oracle=True)
    saved("trainer", 0.97, language_model=False, seen=Seen(images=1, gallery=2, sources=["cirr train"]))
    table, rows = rows_of(saved, "llm")
    assert table.fair == "sum", "an oracle, what had seen the images, and what is not known are no reference"
    assert table.references == ("sum", "llm"), "the fair one first"
    for label, gain in (("trained", 0.2), ("image", -0.1), ("llm", -0.2), ("oracle", 0.25)):
        assert table.fairly(rows[label]) is rows[label].against[0]
        assert rows[label].against[0].delta.value == pytest.approx(gain)
    assert table.fairly(rows["sum"]) is None


def test_a_fair_reference_counts_by_the_mean_over_its_seeds(saved: Any) -> None:
    for seed, (low, high) in enumerate([(0.5, 0.6), (0.7, 0.62)]):
        saved("spread", low, seed=seed, language_model=False)
        saved("steady", high, seed=seed, language_model=False)
    saved("trained", 0.9)
    table, rows = rows_of(saved)
    assert table.fair == "steady" and table.references == ("steady",), "0.61 against 0.60, though 0.7 is the best seed"
    assert rows["trained"].against[0].delta.value == pytest.approx(0.29)


def test_where_nothing_without_a_language_model_beats_the_raw_text_that_is_the_reference(saved: Any) -> None:
    saved("trained", 0.9)
    saved("worse", 0.3, language_model=False, metrics_before={"R@10": 0.3})
    table, rows = rows_of(saved)
    assert table.fair == "" and table.references == () and table.fairly(rows["trained"]) is rows["trained"].raw


def test_a_table_without_ranks_has_no_fair_reference(saved: Any) -> None:
    saved("sum", 0.7, ranks=False, language_model=False)
    table, rows = rows_of(saved)
    assert table.fair is None and table.fairly(rows["sum"]) is None


def test_ranks_that_cannot_be_used_are_named(saved: Any, write_ranks: Any) -> None:
    saved("plain", 0.5)
    saved("better", 0.7)
    names = ("broken", "other", "bare", "words", "changed")
    broken, other, bare, words, changed = (saved(name, 0.6) for name in names)
    (saved.folders[broken.id] / "per_query.parquet").write_bytes(b"ranks")
    write_ranks(saved.folders[other.id], 0.7, query_id=[f"p{number}" for number in range(100)])
    artifacts.write_table(saved.folders[bare.id] / "per_query.parquet", {"query_id": ["q0"], "cluster": ["i0"]})
    write_ranks(saved.folders[words.id], 0.6, rank=["first"] * 100)
    saved.results[-1] = changed.model_copy(update={"files": {"per_query.parquet": "0" * 64}})
    (table,), problems = stand(board.tables(saved.results), saved.folders, {"plain"})
    assert {row.label: row.rank for row in table.rows if row.rank} == {"better": 1, "plain": 2}
    said = {str(problem).partition("/per_query.parquet: ")[::2] for problem in problems}
    assert {Path(folder).name: what.partition(":")[0].partition(" (")[0] for folder, what in said} == {
        broken.id: "not readable",
        other.id: "its queries are not those of the other results of its table",
        bare.id: "not the ranks of protocol composed",
        words.id: "not the ranks of protocol composed",
        changed.id: "the file is not the one the result was written with",
    }


def test_what_was_tested_is_what_a_comparison_tests(saved: Any) -> None:
    """p and counts of one against the other, and against the raw text, as `paired_p` and plain counting have them."""
    base, other = saved("plain", 0.5), saved("better", 0.62)
    _, rows = rows_of(saved, "plain")
    table = artifacts.read_table(saved.folders[other.id] / "per_query.parquet")
    raw, plain = np.array(table["rank_before"]), ranks_in(saved.folders[base.id])
    found = rows["better"]
    for versus, before, corrections in ((found.raw, raw, 2), (found.against[0], plain, 1)):
        after = np.array(table["rank"])
        p = paired_p((after <= 10).astype(float) - (before <= 10), table["cluster"])
        lower, upper = (corrections * (p + sign * 4 * np.sqrt(2 * p / 9999)) for sign in (-1, 1))
        assert lower <= versus.p <= upper and 0.001 < versus.p < 0.5
        counts = [int(np.count_nonzero(np.sign(before - after) == sign)) for sign in (1, 0, -1)]
        assert [versus.wins, versus.ties, versus.losses] == counts and sum(counts) == 100
    assert found.raw.delta == board.Figure(*(pytest.approx(v) for v in (0.22, 0.19, 0.25)), spread=None), (
        "that of the result itself"
    )


def ranks_in(folder: Path) -> np.ndarray:
    return np.array(artifacts.read_table(folder / "per_query.parquet")["rank"])


def test_over_seeds_the_mean_rank_wins(saved: Any, write_ranks: Any) -> None:
    ranks = {"plain": [(3, 8), (5, 5), (30, 2)], "better": [(1, 9), (5, 5), (15, 17)]}
    for name, queries in ranks.items():
        for seed, column in enumerate(zip(*queries, strict=True)):
            result = saved(name, 0.5, seed=seed)
            write_ranks(saved.folders[result.id], 0.5, rank=np.array([*column, *[1] * 97], np.int32))
    _, rows = rows_of(saved, "plain")
    found = rows["better"].against[0]
    # 5.5 against 5, 5 against 5, 16 against 16
    assert (found.wins, found.ties, found.losses) == (1, 99, 0)


def test_where_a_category_is_right_the_average_precision_wins(saved: Any, write_ranks: Any) -> None:
    for name, value in (("plain", 0.3), ("better", 0.6)):
        for seed in range(3):
            result = saved(name, value, protocol="category-map", seed=seed)
            precision = {
                "average_precision": np.linspace(0.1, value, 100),
                "average_precision_before": np.full(100, 0.1),
            }
            write_ranks(saved.folders[result.id], 0.5, **precision)
    _, rows = rows_of(saved, "plain")
    versus = rows["better"].against[0]
    assert (versus.wins, versus.ties, versus.losses) == (99, 1, 0)
    assert (rows["plain"].raw.wins, rows["plain"].raw.ties) == (99, 1), "a mean of three is not always what was put in"


def test_rows_that_nothing_tells_apart_share_a_rank(saved: Any) -> None:
    for name, value in (("best", 0.9), ("good", 0.89), ("plain", 0.6), ("bad", 0.2)):
        saved(name, value)
    saved("without", 0.95, ranks=False)
    saved("oracle", 1.0, oracle=True)
    table, rows = rows_of(saved, "plain")
    assert [(row.label, row.rank) for row in table.ranked] == [
        ("without", None), ("best", 1), ("good", 1), ("plain", 3), ("bad", 4),
    ]  # fmt: skip
    assert rows["oracle"].rank is None and rows["oracle"].against[0].p < 0.001
    assert rows["without"].against == (None,) and rows["without"].raw.p is None


def test_a_rank_is_of_the_mean_over_languages(saved: Any, write_ranks: Any) -> None:
    """Of 90 German and 10 Chinese queries `first` finds more, but `second` more of the mean over the two languages."""
    german = np.arange(100) < 90
    ranks = {
        "first": np.where(german, 3, 40),
        "second": np.where(german & (np.arange(100) >= 12), 3, np.where(german, 40, 3)),
    }
    for name, column in ranks.items():
        found = (column <= 10).astype(float)
        macro = (found[german].mean() + found[~german].mean()) / 2
        result = saved(name, macro, protocol="multilingual")
        columns = {"rank": column.astype(np.int32), "language": ["de" if one else "zh" for one in german]}
        clusters = [f"i{number}" for number in range(100)]
        write_ranks(saved.folders[result.id], 0.5, **columns, cluster=clusters)
    table, rows = rows_of(saved, "first")
    weights = np.where(german, 100 / 180, 100 / 20)
    difference = (ranks["second"] <= 10).astype(float) - (ranks["first"] <= 10)
    p = paired_p(difference, np.arange(100), weights)
    assert [row.label for row in table.ranked] == ["second", "first"]
    assert rows["second"].against[0].p == pytest.approx(p, rel=0.2)
    assert (p < 0.05) == (rows["first"].rank == 2)
    assert paired_p(difference, np.arange(100)) != pytest.approx(p, rel=0.5), "each query alike is another question"


def test_order_of_the_rows_is_not_touched(saved: Any) -> None:
    for name, value in (("a", 0.5), ("b", 0.9), ("c", 0.7)):
        saved(name, value)
    before = board.tables(saved.results)
    after, _ = stand(before, saved.folders, {"a"})
    assert [row.label for row in before[0].rows] == [row.label for row in after[0].rows]
    assert all(one.figures == other.figures for one, other in zip(before[0].rows, after[0].rows, strict=True))
