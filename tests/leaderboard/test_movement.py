from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grapebench.leaderboard import board, frozen
from grapebench.leaderboard.frozen import Release
from grapebench.leaderboard.movement import NO_REASON, Move, moved
from grapebench.leaderboard.results import BENCHMARK, Environment, Result

Make = Callable[..., Result]
ENVIRONMENT = Environment(
    grapebench="0.1.0", commit=None, dirty=None, python="", packages={}, platform="", cpu="", gpu=None
)


def freeze(*results: Result, ranks: dict[str, int] | None = None) -> Release:
    tables = [
        replace(table, ranked=tuple(replace(row, rank=(ranks or {}).get(row.label)) for row in table.ranked))
        for table in board.tables(results)
    ]
    return frozen.freeze("1.0", tables, {}, "1.0", ENVIRONMENT, "2026-01-02")


def told(moves: list[Move]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(move.kind, move.place.row.label, move.reasons) for move in moves]


def described(result: Result, **parts: str) -> Result:
    """The same result of a rewriter whose fingerprint is of these parts."""
    record = result.rewriter.model_copy(update={"description": parts})
    return result.model_copy(update={"rewriter": record})


def changed(result: Result, part: str, **values: Any) -> Result:
    return result.model_copy(update={part: getattr(result, part).model_copy(update=values)})


def test_nothing_moves_by_itself(make_result: Make) -> None:
    results = [make_result("llm"), make_result("grape", 0.7), make_result("grape", 0.8, task="cvlue")]
    assert moved(freeze(*results), freeze(*results[::-1])) == []


def test_rows_come_and_go(make_result: Make) -> None:
    llm, grape, gone = make_result("llm"), make_result("grape", 0.7), make_result("gone", 0.2)
    assert told(moved(freeze(llm, gone), freeze(llm, grape))) == [("added", "grape", ()), ("removed", "gone", ())]


def test_a_new_seed_is_told(make_result: Make) -> None:
    first, second = make_result("llm", 0.5), make_result("llm", 0.6, seed=1)
    assert told(moved(freeze(first), freeze(first, second))) == [("changed", "llm", ("new seeds: 1",))]
    assert told(moved(freeze(first, second), freeze(first))) == [("changed", "llm", ("seeds left out: 1",))]


def test_another_rewriter_of_the_same_name(make_result: Make) -> None:
    old = described(make_result("llm", 0.5), prompt="a", model="m", card="c")
    new = described(make_result("llm", 0.6, fingerprint="0" * 64), prompt="b", model="m", card="d")
    assert told(moved(freeze(old), freeze(new))) == [("changed", "llm", ("the rewriter: card, prompt",))]
    unknown = described(make_result("llm", 0.6, fingerprint="0" * 64), prompt="a", model="m", card="c")
    assert told(moved(freeze(old), freeze(unknown))) == [("changed", "llm", ("the rewriter: its fingerprint",))]
    same = described(make_result("llm", 0.5, fingerprint="0" * 64), prompt="b", model="m", card="d")
    assert told(moved(freeze(old), freeze(same))) == [("measured again", "llm", ("the rewriter: card, prompt",))]
    # Where both stand on the board now, the old one did not move, however it is labelled.
    (both,) = moved(freeze(old), freeze(old, new))
    assert (both.kind, both.place.row.label) == ("added", "llm (00000000)")


def test_another_captioner_is_told(make_result: Make) -> None:
    old, new = make_result("llm", 0.5), make_result("llm", 0.6)
    old = described(old, captioner="bank")
    new = described(new, captioner="blip")
    assert told(moved(freeze(old), freeze(new))) == [("changed", "llm", ("the captioner",))]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: one.model_copy(update={"benchmark": "9.9"}), f"the rules: version {BENCHMARK} → 9.9"),
        (lambda one: one.model_copy(update={"revision": 2}), "the task: revision 1 → 2"),
        (lambda one: changed(one, "data", dataset="0" * 64), "other queries or labels (another hash)"),
        (lambda one: changed(one, "data", images="0" * 64), "other pixels (another hash)"),
        (
            lambda one: changed(one, "retriever", fingerprint="0", description={"weights_sha256": "0"}),
            "the retriever: weights_sha256",
        ),
        (
            lambda one: changed(one, "environment", commit="f" * 40),
            "grapebench: commit 0123456789 → ffffffffff",
        ),
        (lambda one: changed(one, "environment", packages={"torch": "2.16.0"}), "torch 2.15.0 → 2.16.0"),
    ],
)
def test_what_figures_depend_on_is_told(change: Callable[[Result], Result], reason: str, make_result: Make) -> None:
    old, new = make_result("llm", 0.5), change(make_result("llm", 0.6))
    assert told(moved(freeze(old), freeze(new))) == [("changed", "llm", (reason,))]


def test_of_known_rules_it_is_told_what_they_changed(make_result: Make) -> None:
    old = make_result("llm", 0.5).model_copy(update={"benchmark": "1.0"})
    (move,) = moved(freeze(old), freeze(make_result("llm", 0.6).model_copy(update={"benchmark": "1.1"})))
    (reason,) = move.reasons
    assert reason.startswith(
        "the rules: version 1.0 → 1.1 (queries that share a positive, a reference image, look-alikes"
    )


def test_without_a_reason_that_is_said(make_result: Make) -> None:
    (move,) = moved(freeze(make_result("llm", 0.5)), freeze(make_result("llm", 0.6)))
    assert move.reasons == (NO_REASON,)


def test_several_reasons_are_all_told(make_result: Make) -> None:
    new = [changed(make_result("llm", 0.6, seed=seed), "environment", commit=None) for seed in (0, 1)]
    (move,) = moved(freeze(make_result("llm", 0.5)), freeze(*new))
    assert move.reasons == ("new seeds: 1", "grapebench: commit 0123456789 → unknown")


def test_a_rank_moves_because_of_others(make_result: Make) -> None:
    llm, grape, prf = make_result("llm", 0.5), make_result("grape", 0.7), make_result("prf", 0.1)
    before = freeze(llm, prf, ranks={"llm": 1, "prf": 2})
    after = freeze(llm, prf, grape, ranks={"grape": 1, "llm": 2, "prf": 3})
    assert told(moved(before, after)) == [
        ("added", "grape", ()),
        ("rank", "llm", ("came: grape",)),
        ("rank", "prf", ("came: grape",)),
    ]
    assert ("rank", "llm", ("left: grape",)) in told(moved(after, before))
    better = make_result("prf", 0.9, seed=0, fingerprint="0" * 64)
    moves = told(moved(before, freeze(llm, better, ranks={"prf": 1, "llm": 2})))
    assert [(kind, label) for kind, label, _ in moves] == [("changed", "prf"), ("rank", "llm")]
    assert moves[1][2] == ("changed: prf",)


def test_a_rank_moves_because_more_rows_are_tested(make_result: Make) -> None:
    llm, grape, prf = make_result("llm", 0.5), make_result("grape", 0.7), make_result("prf", 0.1)
    before = freeze(llm, grape, ranks={"grape": 1, "llm": 2})
    after = freeze(llm, grape, prf, ranks={"grape": 1, "llm": 1, "prf": 3})
    assert told(moved(before, after)) == [
        ("rank", "llm", ("the tests are corrected for 3 rows, before for 2",)),
        ("added", "prf", ()),
    ]
    alone = freeze(llm, grape, ranks={"grape": 1, "llm": 1})
    assert told(moved(before, alone)) == [("rank", "llm", (NO_REASON,))]


def test_an_oracle_above_is_no_reason(make_result: Make) -> None:
    llm, best = make_result("llm", 0.5), make_result("best", 0.9, oracle=True)
    moves = moved(freeze(llm, ranks={"llm": 1}), freeze(llm, best, ranks={"llm": 2}))
    assert told(moves) == [("rank", "llm", (NO_REASON,)), ("added", "best", ())]


NAMES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["0" * 64, "1" * 64]), st.integers(0, 2)), unique=True
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the fixture is a function without a state
@given(old=NAMES, new=NAMES)
def test_every_row_is_accounted_for(old: Any, new: Any, make_result: Make) -> None:
    """Each row of either board is in at most one move, and what came less what left is how much the board grew."""

    def board_of(names: Any) -> Release:
        return freeze(*(make_result(name, 0.5, fingerprint=mark, seed=seed) for name, mark, seed in names))

    before, after = board_of(old), board_of(new)
    moves = moved(before, after)
    rows = [id(place) for move in moves for place in (move.old, move.new) if place]
    assert len(set(rows)) == len(rows)
    kinds = [move.kind for move in moves]
    sizes = [sum(len(table.rows) for table in one.tables) for one in (before, after)]
    assert kinds.count("added") - kinds.count("removed") == sizes[1] - sizes[0]
    assert moved(before, before) == []
