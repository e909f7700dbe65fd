"""What lists tell of ranks, against rankings that are known whole."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.leaderboard.verification import lists
from grapebench.leaderboard.verification.lists import Ranked
from grapebench.leaderboard.verification.recount import Bounds, precision_bounds, rank_bounds

SCORES = st.lists(st.integers(0, 6), min_size=1, max_size=14)


def whole(scores: list[int]) -> list[tuple[str, int]]:
    return sorted(((f"i{n}", score) for n, score in enumerate(scores)), key=lambda pair: -pair[1])


def plain_rank(scores: list[int], right: set[str], miss: float) -> float:
    """By the definition: 1 + all wrong ones that score at least as much as the best right one."""
    good = [score for name, score in whole(scores) if name in right]
    if not good:
        return max(len(scores) + 1, miss)
    return 1 + sum(score >= max(good) for name, score in whole(scores) if name not in right)


def plain_precision(scores: list[int], right: set[str]) -> float:
    """The same: each right one stands behind all wrong ones that score as much."""
    order = sorted(((-score, name in right) for name, score in whole(scores)))
    found = [place for place, (_, good) in enumerate(order, 1) if good]
    return sum(number / place for number, place in enumerate(found, 1)) / len(found) if found else 0.0


@given(SCORES, st.sets(st.integers(0, 13)), st.integers(1, 14))
def test_a_list_that_is_cut_off_tells_no_wrong_rank(scores: list[int], places: set[int], depth: int) -> None:
    right = {f"i{place}" for place in places if place < len(scores)}
    kept = whole(scores)[:depth]
    listed = Ranked("q", [name for name, _ in kept], [float(score) for _, score in kept])
    rank = rank_bounds(listed, right, len(scores), 4)
    assert rank.low <= plain_rank(scores, right, 4) <= rank.high
    precision = precision_bounds(listed, right, len(scores))
    assert precision.low - 1e-12 <= plain_precision(scores, right) <= precision.high + 1e-12
    if depth >= len(scores):
        assert rank.low == rank.high and precision.high - precision.low < 1e-12
    if right & set(listed.names) and min(listed.scores) < max(score for name, score in kept if name in right):
        assert rank.low == rank.high, "a right one above the end of the list is known for sure"


def test_a_tie_at_the_end_of_the_list_is_not_settled() -> None:
    listed = Ranked("q", ["a", "b"], [1.0, 0.5])
    assert rank_bounds(listed, {"b"}, 9, 11) == Bounds(2, 9)
    assert rank_bounds(listed, {"c"}, 9, 11) == Bounds(3, 9)
    assert rank_bounds(listed, {"a"}, 9, 11) == Bounds(1, 1)
    assert rank_bounds(listed, set(), 9, 11) == Bounds(11, 11)
    assert rank_bounds(listed, set(), 20, 11) == Bounds(21, 21)


LINE = "q0 Q0 i1 1 0.5 grapebench\n"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (LINE.replace(" Q0", ""), 1, "expected six columns"),
        (LINE.replace("Q0", "Q1"), 1, "expected six columns"),
        (LINE[:-1], 1, "expected six columns"),
        (LINE + LINE.replace("i1 1", "i2 3"), 2, "the rank is '3' where 2 comes next"),
        (LINE + LINE.replace("i1 1 0.5", "i2 2 0.6"), 2, "higher than that of the line before"),
        (LINE + LINE.replace("i1 1", "i1 2"), 2, "'i1' is listed a second time"),
        (LINE.replace("0.5", "nan"), 1, "no finite number"),
        (LINE.replace("0.5", "-inf"), 1, "no finite number"),
        (LINE.replace("0.5", "five"), 1, "no finite number"),
        (LINE + LINE.replace("q0", "q1") + LINE, 3, "query 'q0' comes a second time"),
    ],
)
def test_lists_are_read_strictly(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "run.trec.gz"
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(UserError, match=f"run.trec.gz:{line}: .*{said}"):
        list(lists.read(path))


def test_lists_are_read(tmp_path: Path) -> None:
    path = tmp_path / "run.trec.gz"
    path.write_bytes(gzip.compress((LINE + LINE.replace("i1 1", "i0 2") + LINE.replace("q0", "q1")).encode()))
    assert list(lists.read(path)) == [Ranked("q0", ["i1", "i0"], [0.5, 0.5]), Ranked("q1", ["i1"], [0.5])]
    path.write_bytes(gzip.compress(LINE.encode())[:-9])
    with pytest.raises(UserError, match="damaged or broken off"):
        list(lists.read(path))
