"""Runs for trec_eval: read back by others, they come to the figures of the result."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.export import trec
from grapebench.export.source import open_source
from grapebench.leaderboard import artifacts, store

Make = Callable[..., Path]
KS = (1, 2, 3, 5, 10, 50)


def by_pytrec_eval(run: Path, qrels: Path) -> dict[str, float]:
    with qrels.open() as right, run.open() as found:
        judged, listed = pytrec_eval.parse_qrel(right), pytrec_eval.parse_run(found)
    evaluator = pytrec_eval.RelevanceEvaluator(judged, {f"success.{','.join(map(str, KS))}", "recip_rank"})
    queries = evaluator.evaluate(listed)
    assert set(queries) == set(judged), "every query is counted"
    names = {**{f"R@{k}": f"success_{k}" for k in KS}, "MRR": "recip_rank"}
    return {key: float(np.mean([one[name] for one in queries.values()])) for key, name in names.items()}


def by_ir_measures(run: Path, qrels: Path) -> dict[str, float]:
    measures = {**{f"R@{k}": ir_measures.Success @ k for k in KS}, "MRR": ir_measures.RR}
    judged, listed = ir_measures.read_trec_qrels(str(qrels)), ir_measures.read_trec_run(str(run))
    found = ir_measures.calc_aggregate(list(measures.values()), judged, listed)
    return {key: found[measure] for key, measure in measures.items()}


def twins(place: Path) -> None:
    """Every second picture of CVLUE becomes that of its neighbour: scores tie, often with the right image's."""
    pictures = sorted((place / "cvlue").rglob("*.png"), key=lambda path: int(path.stem.partition("-")[2]))
    for first, second in zip(pictures[::2], pictures[1::2], strict=True):
        second.write_text(first.read_text(encoding="utf-8"), encoding="utf-8")


def test_others_count_the_same(place: Path, make: Make) -> None:
    twins(place)
    folder = make("cvlue", "test")
    result = store.load(folder)
    paths, deeper = trec.write(open_source(str(folder), None, place / "cvlue"), place / "out")
    assert [path.name for path in paths] == ["run.trec", "qrels.trec"] and deeper == 0
    assert result.ties > 0.9 and 0.1 < result.metrics["R@5"] < 0.9
    for read in (by_pytrec_eval, by_ir_measures):
        found = read(*paths)
        for key in ("R@1", "R@5", "R@10", "MRR"):
            assert found[key] == pytest.approx(result.metrics[key], abs=1e-12), (read.__name__, key)


def test_a_result_of_the_first_queries_and_another_depth(
    place: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins(place)
    monkeypatch.setattr("grapebench.evaluation.search.RUN_DEPTH", 7)
    folder = make("cvlue", "test", limit=40)
    result, ranks = store.load(folder), artifacts.read_table(folder / "per_query.parquet")["rank"]
    paths, deeper = trec.write(open_source(folder.name, None, place / "cvlue"), place / "out")
    found = by_pytrec_eval(*paths)
    assert found["R@1"] == pytest.approx(result.metrics["R@1"], abs=1e-12)
    assert found["R@5"] == pytest.approx(result.metrics["R@5"], abs=1e-12)
    # A tie that goes on beyond the end of the run takes the right image with it.
    assert sum(rank > 7 for rank in ranks) <= deeper < 40
    assert found["MRR"] <= result.metrics["MRR"] <= found["MRR"] + deeper / 40 / 7


def labelled_cirr(place: Path) -> None:
    """The next of the six is the right one."""
    path = place / "cirr" / "captions" / "cap.rc2.val.json"
    records = json.loads(path.read_text())
    for record in records:
        members = sorted(record["img_set"]["members"])
        target = members[(members.index(record["reference"]) + 1) % 6]
        record |= {"target_hard": target, "target_soft": {target: 1.0}}
    path.write_text(json.dumps(records))


def test_look_alikes_have_a_run_of_their_own(place: Path, make: Make) -> None:
    labelled_cirr(place)
    folder = make("cirr", "val")
    result = store.load(folder)
    paths, _ = trec.write(open_source(str(folder), None, place / "cirr"), place / "out")
    run, subset, qrels = paths
    assert [path.name for path in paths] == ["run.trec", "subset.trec", "qrels.trec"]
    for read in (by_pytrec_eval, by_ir_measures):
        whole, alike = read(run, qrels), read(subset, qrels)
        for k in (1, 5, 10, 50):
            assert whole[f"R@{k}"] == pytest.approx(result.metrics[f"R@{k}"], abs=1e-12)
        for k in (1, 2, 3):
            assert alike[f"R@{k}"] == pytest.approx(result.metrics[f"R_subset@{k}"], abs=1e-12)


# One query ------------------------------------------------------------------------------------------------------------

CASES = st.tuples(
    st.lists(st.integers(0, 5), min_size=1, max_size=12),
    st.sets(st.integers(0, 11), min_size=1, max_size=3),
    st.integers(1, 12),
)


@given(CASES)
def test_the_rank_of_a_list_is_pessimistic(case: tuple[list[int], set[int], int]) -> None:
    scores, places, depth = case
    names = [f"i{number}" for number in range(len(scores))]
    positives = {f"i{number}" for number in places if number < len(scores)}
    best = max((score for name, score in zip(names, scores, strict=True) if name in positives), default=-1)
    wrong = [score for name, score in zip(names, scores, strict=True) if name not in positives]
    # As in retrieval/ranking.py; without a right image the rank is beyond every candidate.
    rank = 1 + sum(score >= best for score in wrong) if positives else len(names) + 1
    order = sorted(range(len(names)), key=lambda place: -scores[place])[:depth]
    listed, untied = trec.in_rank_order(
        [names[place] for place in order], np.array([scores[place] for place in order], float), positives, rank
    )
    assert len(set(listed)) == len(listed) and (np.diff(untied) <= 0).all()
    places_of = [place for place, name in enumerate(listed, 1) if name in positives]
    assert places_of[:1] == ([rank] if places_of else [])
    assert places_of or rank > len(listed)
    if depth >= len(names):
        assert set(listed) == set(names) or not positives


def evaluated(scores: np.ndarray, right: int) -> float:
    """The reciprocal rank by trec_eval, whose ties go by the ids."""
    run = {"q": {f"i{place}": float(score) for place, score in enumerate(scores)}}
    return float(
        pytrec_eval.RelevanceEvaluator({"q": {f"i{right}": 1}}, {"recip_rank"}).evaluate(run)["q"]["recip_rank"]
    )


@given(st.lists(st.sampled_from([-1.0, -1e-45, 0.0, 0.25, 0.25 + 1e-12, 1.0]), min_size=1, max_size=9), st.data())
def test_untied_scores_keep_their_order_in_other_tools(values: list[float], data: Any) -> None:
    scores = np.array(sorted(values, reverse=True))
    untied = trec.untied(scores[None])[0]
    assert untied.dtype == np.float32 and (np.diff(untied) < 0).all()
    assert np.allclose(untied, scores, atol=1e-6)
    right = data.draw(st.integers(0, len(values) - 1))
    assert evaluated(untied, right) == pytest.approx(1 / (right + 1))


def test_scores_without_ties_stay_as_they_are() -> None:
    scores = np.array([[0.9, 0.5, -0.2, -np.inf]], np.float32)
    assert (trec.untied(scores) == scores).all()


# What is refused ------------------------------------------------------------------------------------------------------


def test_what_trec_eval_cannot_count_is_refused(place: Path, make: Make) -> None:
    labelled_cirr(place)
    unlabelled = open_source(str(make("cirr", "test1")), None, place / "cirr")
    with pytest.raises(UserError, match="labels of cirr test1 are not public: there are no qrels; its run alone is"):
        trec.write(unlabelled, place / "out")
    source = open_source(str(make("cirr", "val")), None, place / "cirr")
    graded = dataclasses.replace(source, result=source.result.model_copy(update={"protocol": "graded"}))
    with pytest.raises(UserError, match="protocol graded are none that trec_eval has; export a result of: retrieval, "):
        trec.write(graded, place / "out")
    assert not (place / "out").exists()


def test_a_published_result_says_how_to_get_its_run(place: Path, make: Make) -> None:
    published = store.publish(make("cvlue", "test"), place / "board")
    with pytest.raises(UserError, match="this published result lacks the file; its command makes the whole result"):
        trec.write(open_source(str(published), None, place / "cvlue"), place / "out")
    assert not (place / "out").exists()


def test_a_run_that_is_not_that_of_the_ranks(
    place: Path, make: Make, tamper: Callable[[Path, str, Callable[[Any], Any]], None]
) -> None:
    folder = make("cvlue", "test")
    best = store.load(folder).files["run.trec.gz"]

    def swapped(rows: list[list[str]]) -> list[list[str]]:
        return [[row[0], row[1], row[2], row[3], str(-float(row[4])), row[5]] for row in rows]

    tamper(folder, "run.trec.gz", swapped)
    assert store.load(folder).files["run.trec.gz"] != best
    with pytest.raises(UserError, match="run.trec.gz and per_query.parquet do not agree: a right image at place"):
        trec.write(open_source(str(folder), None, place / "cvlue"), place / "out")
    assert not (place / "out").exists(), "nothing half written"


def test_lists_of_other_lengths(place: Path) -> None:
    lists: Sequence[trec.Listed] = [(["a", "b"], np.array([0.5, 0.5])), (["b"], np.array([0.1]))]
    columns, scores = trec._table(lists, {"a": 0, "b": 1})
    assert columns.tolist() == [[0, 1], [1, -1]]
    assert scores[0, 1] < scores[0, 0] and scores[1, 1] == -np.inf
