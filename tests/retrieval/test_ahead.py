from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.retrieval.ahead import ahead, batched


@given(st.lists(st.integers(), max_size=30), st.integers(1, 40), st.integers(1, 4))
def test_results_come_in_order(items: list[int], window: int, workers: int) -> None:
    with ahead(lambda item: item * 2, items, window=window, workers=workers) as results:
        assert list(results) == [item * 2 for item in items]


def test_work_goes_on_meanwhile_and_not_beyond_the_window() -> None:
    begun: list[int] = []
    with ahead(lambda item: begun.append(item), range(100), window=7, workers=3) as results:
        assert begun == []
        next(results)
        deadline = time.monotonic() + 120
        while len(begun) < 8 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.05)
        assert sorted(begun) == list(range(8))


def test_several_at_once() -> None:
    together = threading.Barrier(3, timeout=120)
    with ahead(lambda _: together.wait(), range(6), window=6, workers=3) as results:
        assert len(list(results)) == 6


def test_an_error_comes_in_its_place() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    found: list[int] = []
    with pytest.raises(ValueError, match="three"), ahead(work, range(100), window=5, workers=2) as results:
        for result in results:
            found.append(result)
    assert found == [0, 1, 2]


def test_leaving_stops_the_work() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        time.sleep(0.01)
        return item

    with pytest.raises(KeyboardInterrupt), ahead(work, range(1000), window=500, workers=2) as results:
        next(results)
        raise KeyboardInterrupt
    count = len(begun)
    assert count < 50
    time.sleep(0.05)
    assert len(begun) == count
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_items_may_be_a_stream() -> None:
    def numbers() -> Iterator[int]:
        yield from range(5)

    with ahead(str, numbers(), window=2) as results:
        assert list(batched(results, 2)) == [["0", "1"], ["2", "3"], ["4"]]
