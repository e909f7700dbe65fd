from __future__ import annotations

from pathlib import Path

import pytest

from grapebench.errors import UserError
from grapebench.leaderboard import store
from grapebench.leaderboard.site import material
from grapebench.leaderboard.store import Stored
from tests.leaderboard.site.made import Add


def row(number: int, **more: object) -> dict[str, object]:
    return {"query_id": f"q{number}", "positive": f"i{number}", "language": "de", "rank": 1, "rank_before": 2, **more}


@pytest.fixture
def stored(tmp_path: Path, add: Add) -> Stored:
    folder = add(tmp_path / "store")
    return Stored(store.load(folder), folder)


def test_what_was_searched_is_told_in_each_of_its_forms(stored: Stored) -> None:
    found = [
        row(0, text="own"),
        row(1, text="own", rewrite="own"),
        row(2, text="own", rewrite="new"),
        row(3, text="own", rewrite="a + b", texts=["a", "b"]),
        row(4, text="own", rewrite="<image i1>", texts=[], images=["i1"]),
        row(5, text="own", rewrite="own + <vector>", texts=["own"], vectors=[[1.0, 0.0]]),
        row(6, text="own", fallback="empty", raw="…", trace={"concepts": "a kite", "round": "2"}),
    ]
    own = material.own(material.of_rows(found, []), found, None, stored)
    assert own["rewrites"] == [None, None, "new", ["a", "b"], "<image i1>", ["own", "<vector>"], None]
    told = {"Fallback": "empty", "Concepts": "a kite", "round": "2", "The model wrote": "…"}
    assert own["notes"] == {6: told}
    assert material.as_came(found[:2]) and not material.as_came(found[:3])


def test_rewrites_that_are_not_published_are_not_taken_for_none(stored: Stored) -> None:
    found = [row(0, text="own", rewrite=None), row(1, text="own", rewrite=None)]
    assert material.own(material.of_rows(found, []), found, None, stored)["rewrites"] is None
    assert not material.as_came(found)


def test_rows_are_put_in_the_order_of_the_queries_that_are_shared(stored: Stored) -> None:
    found = [row(number, rewrite=f"r{number}") for number in range(4)]
    one = material.of_rows(found, [])
    own = material.own(one, found[::-1], {"q2": ("i3", "i0"), "q0": ("i1",)}, stored)
    assert own["rewrites"] == ["r0", "r1", "r2", "r3"]
    assert own["tops"] == {"depth": 2, "of": [1, -1, -1, -1, 3, 0, -1, -1]}


@pytest.mark.parametrize("numbers", [[0, 1], [0, 1, 2, 3], [0, 1, 1], [0, 1, 9]])
def test_other_queries_are_refused(stored: Stored, numbers: list[int]) -> None:
    one = material.of_rows([row(0), row(1), row(2)], [])
    with pytest.raises(UserError, match="not those of the other results"):
        material.own(one, [row(number) for number in numbers], None, stored)


def test_names_that_repeat_are_written_once() -> None:
    found = [row(0), row(1, language="zh"), row(2)]
    shared = material.shared(material.of_rows(found, []), None)
    assert shared["language"] == {"names": ["de", "zh"], "of": [0, 1, 0]}
    assert shared["category"] is None and shared["reference"] is None and shared["texts"] is None
    assert material.shared(material.of_rows([row(0), row(1)], []), None)["language"] == {"names": ["de"], "of": None}
