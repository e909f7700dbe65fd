"""Means, spreads and tests over seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from study.seeds import Row, p_of, spread, successes, with_p

from grapebench.evaluation.significance import holm, paired_p


def record(ranks: list[int], **more: Any) -> dict[str, Any]:
    run = {"geometry": "", "steps": 1}
    return {
        "run": run,
        "test": {"t": {"greedy": {"ranks": ranks, "R@10": float(np.mean(np.array(ranks) <= 10))}, **more}},
    }


RNG = np.random.default_rng(0)
CLUSTERS = [f"image {place // 2}" for place in range(40)]
FROZEN = record(RNG.integers(1, 40, 40).tolist(), clusters=CLUSTERS, weights=[])
SEEDS = [record(RNG.integers(1, 15, 40).tolist()) for _ in range(3)]
OTHERS = [record(RNG.integers(1, 60, 40).tolist()) for _ in range(2)]


def greedy(found: dict[str, Any]) -> dict[str, Any]:
    test: dict[str, Any] = found["test"]["t"]
    return test["greedy"]


def test_spread() -> None:
    found = spread([1.0, 2.0, 6.0])
    assert found is not None
    assert (found.mean, found.count) == (3.0, 3)
    assert found.sd == pytest.approx(np.sqrt(7))
    one = spread([2.0])
    assert one is not None and one.sd is None
    assert spread([]) is None


def test_successes_are_shares_of_the_seeds() -> None:
    tests = [{"ranks": [1, 10, 11]}, {"ranks": [11, 1, 12]}]
    assert successes(tests).tolist() == [0.5, 1.0, 0.0]
    assert successes(tests, k=1).tolist() == [0.5, 0.5, 0.0]


def test_p_is_of_images_and_not_of_seeds() -> None:
    pairing = FROZEN["test"]["t"]
    tests = [greedy(one) for one in SEEDS]
    differences = successes(tests) - successes([greedy(FROZEN)])
    assert p_of(tests, [greedy(FROZEN)], pairing) == paired_p(differences, CLUSTERS)
    # The same training three times is no more evidence than once.
    assert p_of(tests[:1] * 3, [greedy(FROZEN)], pairing) == p_of(tests[:1], [greedy(FROZEN)], pairing)


def test_weights_count() -> None:
    tests, frozen = [greedy(SEEDS[0])], [greedy(FROZEN)]
    weights = [0.0] * 20 + [2.0] * 20
    half = {"clusters": CLUSTERS[20:], "weights": []}
    cut = [{"ranks": one["ranks"][20:]} for one in (*tests, *frozen)]
    found = p_of(tests, frozen, {"clusters": CLUSTERS, "weights": weights})
    assert found == pytest.approx(p_of(cut[:1], cut[1:], half), abs=0.02)


def test_a_table_is_corrected_as_a_whole() -> None:
    rows = [Row("t", "a", tuple(SEEDS), "t"), Row("t", "b", tuple(OTHERS), "t")]
    found = with_p(rows, {("t", ""): FROZEN}, control="b")
    raw = [p_of(row.tests, [greedy(FROZEN)], FROZEN["test"]["t"]) for row in rows]
    assert [row.p for row in found] == holm(raw)
    assert found[0].p_control == p_of(rows[0].tests, rows[1].tests, FROZEN["test"]["t"])
    assert found[1].p_control is None


def test_without_the_frozen_model_there_is_no_p() -> None:
    assert with_p([Row("t", "a", tuple(SEEDS), "t")], {})[0].p is None


def test_a_control_is_of_the_same_geometry() -> None:
    def bent(some: list[Any]) -> tuple[Any, ...]:
        return tuple(one | {"run": one["run"] | {"geometry": "hot"}} for one in some)

    rows = [
        Row("t", "mini-clip, a", tuple(SEEDS), "t"), Row("t", "mini-clip, b", tuple(OTHERS), "t"),
        Row("t", "hot, a", bent(OTHERS), "t"), Row("t", "hot, b", bent(SEEDS), "t"),
    ]  # fmt: skip
    found = with_p(rows, {("t", ""): FROZEN, ("t", "hot"): FROZEN}, control="b")
    raw = [p_of(one.tests, other.tests, FROZEN["test"]["t"]) for one, other in (rows[:2], rows[2:])]
    assert [found[0].p_control, found[2].p_control] == holm(raw)
    assert found[1].p_control is found[3].p_control is None
