from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from grapebench.errors import UserError
from grapebench.evaluation.figures import (
    ImagePlaces,
    Places,
    Sheet,
    difference_intervals,
    figures,
    image_sheet,
    query_sheet,
    share_intervals,
)
from grapebench.evaluation.intervals import intervals
from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.records import Query


def asked(ranks: Sequence[int], **fields: Sequence[str]) -> tuple[list[Query], Places]:
    """A query of its own image for each rank; `fields` are those of the queries, one value a query."""
    queries = [
        Query(f"q{n}", "t", (f"i{n}",), **{name: values[n] for name, values in fields.items()})
        for n in range(len(ranks))
    ]
    return queries, Places(np.array(ranks))


def found(protocol: str, queries: Sequence[Query], places: Places, back: ImagePlaces | None = None) -> dict[str, float]:
    sheets = [query_sheet(PROTOCOLS[protocol], queries, places, {})]
    sheets += [image_sheet(PROTOCOLS[protocol], back, back.images)] if back else []
    return figures(PROTOCOLS[protocol], sheets, places)


def test_retrieval_both_ways() -> None:
    back = ImagePlaces(("i0", "i1", "i2"), ("", "", ""), rank=np.array([1, 2, 6]))
    assert found("retrieval", *asked([1, 4, 6, 100]), back) == {
        "R@1": 0.25, "R@5": 0.5, "R@10": 0.75, "MRR": pytest.approx((1 + 1 / 4 + 1 / 6 + 0.01) / 4),
        "i2t_R@1": pytest.approx(1 / 3), "i2t_R@5": pytest.approx(2 / 3), "i2t_R@10": 1, "median_rank": 5,
    }  # fmt: skip


def test_composed_reports_the_subset_and_fifty() -> None:
    queries, _ = asked([1, 1, 1])
    rank = np.array([1, 50, 51])
    whole = found("composed", queries, Places(rank, subset_rank=np.array([1, 2, 4])))
    assert whole["R@50"] == pytest.approx(2 / 3)
    assert [whole[f"R_subset@{k}"] for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert "R_subset@1" not in found("composed", queries, Places(rank))


def test_graded_takes_the_highest_grade_within_k() -> None:
    inf = np.inf
    grades = np.array([0.2, 0.5, 1.0])
    # The first query has all three grades, the second only 0.5, the third nothing that is right.
    rank = np.array([[1, inf, inf], [4, 6, inf], [12, inf, inf]])
    queries, places = asked([12, 6, 99])
    got = found("graded", queries, Places(places.rank, grades=grades, grade_rank=rank))
    assert {key: pytest.approx(value) for key, value in got.items()} == {
        "R@1": 0.2 / 3, "R@5": 0.5 / 3, "R@10": (0.5 + 0.5) / 3, "R@50": (1 + 0.5) / 3,
    }  # fmt: skip
    inside = Places(places.rank, grades=grades, grade_rank=rank, grade_subset_rank=np.minimum(rank, 3))
    assert found("graded", queries, inside)["R_subset@3"] == pytest.approx(3 * 1 / 3), "made up: every level within 3"


def test_category_map_reports_nothing_else() -> None:
    queries, places = asked([3, 9])
    back = ImagePlaces(("i0", "i1"), ("", ""), precision=np.array([0.5, 0.25]))
    assert found("category-map", queries, Places(places.rank, precision=np.array([0.1, 0.3])), back) == {
        "mAP": pytest.approx(0.2), "i2t_mAP": 0.375,
    }  # fmt: skip


def test_multilingual_counts_each_language_the_same() -> None:
    queries, places = asked([1, 1, 1, 20], language=["de", "de", "de", "zh"])
    back = ImagePlaces(("i0", "i1", "i0"), ("de", "de", "zh"), rank=np.array([1, 30, 2]))
    got = found("multilingual", queries, places, back)
    assert got["R@1/de"] == 1 and got["R@1/zh"] == 0
    assert got["R@1"] == 0.5, "the mean over languages, not over queries (0.75)"
    assert got["MRR"] == pytest.approx((1 + 0.05) / 2) and got["median_rank"] == 1
    assert (got["i2t_R@1/de"], got["i2t_R@1/zh"], got["i2t_R@1"]) == (0.5, 0, 0.25)
    assert (got["i2t_R@5/zh"], got["i2t_R@5"]) == (1, 0.75)


def test_categories_and_their_groups_stand_beside_a_headline_over_all_queries() -> None:
    queries, places = asked([1, 9, 9, 9, 1, 2], category=["panda", "panda", "tea", "tea", "soup", ""])
    sheet = query_sheet(PROTOCOLS["categories"], queries, places, {"panda": "animals", "tea": "food", "soup": "food"})
    got = figures(PROTOCOLS["categories"], [sheet], places)
    assert got["R@1"] == pytest.approx(2 / 6)
    assert {key: value for key, value in got.items() if key.startswith("R@1/")} == {
        "R@1/panda": 0.5, "R@1/soup": 1, "R@1/tea": 0, "R@1/animals": 0.5, "R@1/food": pytest.approx(1 / 3),
    }  # fmt: skip
    assert got["R@10/food"] == got["R@10"] == 1
    bounds, whole = share_intervals([sheet]), share_intervals([Sheet(sheet.values, sheet.clusters)])
    assert set(bounds) == set(got) - {"median_rank"}
    assert {key: bounds[key] for key in whole} == whole, "the headline's interval is over all queries too"
    nothing = Sheet({key: 0 * column for key, column in sheet.values.items()}, sheet.clusters, sheet.parts)
    changes = difference_intervals([nothing], [sheet])
    assert {key: changes[key] for key in whole} == intervals(sheet.values, sheet.clusters)
    with pytest.raises(UserError, match="'tea' is the name of a category and of a group"):
        query_sheet(PROTOCOLS["categories"], queries, places, {"panda": "tea"})


def test_the_headline_is_what_the_protocol_promises() -> None:
    queries, _ = asked([1, 2], language=["de", "zh"])
    rank, ones = np.array([1, 2]), np.ones((1, 2))
    places = Places(rank, rank, np.array([1.0]), ones, ones, np.array([0.5, 1.0]))
    for name, protocol in PROTOCOLS.items():
        precise = {"precision": rank / 2} if protocol.relevance == "category" else {"rank": rank}
        back = ImagePlaces(("i0", "i1"), ("de", "zh"), **precise) if protocol.image_to_text else None
        got = found(name, queries, places, back)
        assert [key for key in got if "/" not in key and key != "median_rank"] == list(protocol.keys)


def test_nothing_to_score() -> None:
    with pytest.raises(UserError, match="no queries"):
        found("retrieval", [], Places(np.array([], dtype=int)))


def test_intervals_hold_their_figures_and_a_figure_of_images_is_drawn_by_images() -> None:
    random = np.random.default_rng(1)
    queries, _ = asked([1] * 200, language=["de", "zh"] * 100)
    sides, sheets = [], []
    for _ in range(2):
        places = Places(random.integers(1, 20, 200))
        back = ImagePlaces(tuple(f"i{n // 2}" for n in range(100)), ("de", "zh") * 50, rank=random.integers(1, 20, 100))
        protocol = PROTOCOLS["multilingual"]
        sheets.append([query_sheet(protocol, queries, places, {}), image_sheet(protocol, back, back.images)])
        sides.append(figures(PROTOCOLS["multilingual"], sheets[-1], places))
    bounds, changes = share_intervals(sheets[1]), difference_intervals(*sheets)
    assert set(bounds) == set(changes) == set(sides[1]) - {"median_rank"}
    for key, (low, high) in bounds.items():
        assert low < sides[1][key] < high
        assert changes[key][0] < sides[1][key] - sides[0][key] < changes[key][1]
    alone = Sheet({"i2t_R@10": sheets[1][1].values["i2t_R@10"]}, range(100))  # type: ignore[arg-type]
    assert share_intervals([alone])["i2t_R@10"] != bounds["i2t_R@10"], "an image's languages are drawn together"
