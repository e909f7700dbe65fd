from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.evaluation.figures import part_weights
from grapebench.leaderboard.site import plots
from grapebench.leaderboard.site.plots import Axis


@given(st.sampled_from(["linear", "log", "log1p"]), st.lists(st.floats(1, 900), min_size=2, max_size=9))
def test_an_axis_keeps_the_order_and_stays_inside(kind: plots.Kind, values: list[float]) -> None:
    axis = Axis("x", 1, 800, 50, 600, kind)
    pixels = [axis(value) for value in sorted(values)]
    assert pixels == sorted(pixels) and pixels[0] >= 50 and pixels[-1] <= 600
    assert (axis(1), axis(800)) == (50, 600)


def test_ticks() -> None:
    assert [text for _, text in Axis("x", 0, 100, 0, 10).ticks] == ["0", "20", "40", "60", "80", "100"]
    assert [text for _, text in Axis("x", -0.2, 0.7, 0, 10).ticks] == ["-0.2", "0", "0.2", "0.4", "0.6"]
    assert [text for _, text in Axis("x", 1, 1200, 0, 10, "log", "{:,.0f}").ticks] == ["1", "10", "100", "1,000"]
    assert [text for _, text in Axis("x", 0, 40, 0, 10, "log1p").ticks] == ["0", "1", "3", "10", "30"]


def test_recall_curves_are_the_figures_of_the_board() -> None:
    rng = np.random.default_rng(0)
    seeds = [rng.integers(1, 200, 90) for _ in range(2)]
    languages = ["de"] * 60 + ["zh"] * 30
    found = plots.recall_curves([("llm", seeds, False)], seeds[0], 200, part_weights(languages))
    assert [curve.label for curve in found.curves] == ["raw query text", "llm"]
    ten = found.shown.index(10)
    parts = [np.mean([np.mean(ranks[some] <= 10) for ranks in seeds]) for some in (slice(0, 60), slice(60, 90))]
    assert found.curves[1].values[ten] == pytest.approx(100 * np.mean(parts))
    whole = plots.recall_curves([("llm", seeds, False)], seeds[0], 200, None)
    assert whole.curves[1].values[ten] == pytest.approx(100 * np.mean([np.mean(ranks <= 10) for ranks in seeds]))
    heights = [float(y) for y in re.findall(r",([\d.]+)", whole.curves[1].path)]
    assert heights == sorted(heights, reverse=True), "more images find more"


def test_the_front_leads_over_what_is_cheaper_and_no_oracle_does() -> None:
    entries = [("a", "a", 0.0, 10.0, False), ("b", "b", 5.0, 40.0, False), ("c", "c", 9.0, 30.0, False),
               ("d", "d", 9.0, 41.0, False), ("o", "o", 0.0, 99.0, True)]  # fmt: skip
    found = plots.against_cost(entries, "tokens", "R@10", "{:g}")
    assert [point.label for point in found.points if point.front] == ["a", "b", "d"]
    assert {point.label: point.told for point in found.points}["c"] == "c: R@10 30.0 percent for 9 tokens"


def test_labels_do_not_lie_on_each_other() -> None:
    entries = [(f"rewriter-{n}", "", 100.0 + n, 50.0, False) for n in range(12)]
    found = plots.against_cost(entries, "tokens", "R@10", "{:g}")
    shown = [point for point in found.points if point.side != "none"]
    assert 1 <= len(shown) < 12


def test_heat_counts_every_query_once() -> None:
    before, after = np.array([1, 5, 100, 7]), np.array([1, 1, 300, 900])
    found = plots.rank_heat(before, after, 1000)
    assert (found.better, found.same, found.worse) == (1, 1, 2)
    assert sum(int(square.told.split()[0]) for square in found.squares) == 4
    assert all(0 < square.strength <= 1 and square.width > 0 and square.height > 0 for square in found.squares)


def test_histograms_have_the_means() -> None:
    values = {"positive": np.array([0.5, 0.7, np.nan]), "positive_before": np.array([0.1, 0.3, 0.2]),
              "top_others": np.full(3, 0.4), "top_others_before": np.full(3, 0.25)}  # fmt: skip
    found = plots.histograms(values)
    assert found is not None
    before, after = found.panels
    assert (before.positive.value, after.positive.value) == pytest.approx((0.2, 0.6))
    assert after.gap == pytest.approx(0.2)
    assert plots.histograms(values | {"positive": np.full(3, np.nan)}) is None


def test_pairs_are_drawn_on_one_axis() -> None:
    entries = [("raw", 0.2, 0.6, -0.4, "6.3", True), ("grape", 0.7, 0.6, 0.05, "87.5", False)]
    found = plots.cosine_pairs(entries)
    assert found.pairs[0].positive < found.pairs[0].others == found.pairs[1].others < found.pairs[1].positive
