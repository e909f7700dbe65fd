from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from grapebench import plots
from grapebench.errors import UserError
from grapebench.evaluation import metrics
from grapebench.evaluation.compare import Comparison, Scored, outcomes
from grapebench.evaluation.figures import Sheet
from grapebench.leaderboard import artifacts
from grapebench.leaderboard.results import (
    BENCHMARK,
    Cost,
    Data,
    Environment,
    Result,
    RetrieverRecord,
    RewriterRecord,
    result_id,
)

RANKS = st.lists(st.integers(1, 60), min_size=1, max_size=30)


@given(RANKS, st.lists(st.integers(1, 70), min_size=1, max_size=9), st.booleans())
def test_the_share_of_minus_the_rank_is_recall(ranks: list[int], ks: list[int], weighted: bool) -> None:
    weights = np.arange(1.0, len(ranks) + 1) if weighted else None
    found = plots.share_reaching(-np.array(ranks), -np.array(ks), weights)
    each = np.ones(len(ranks)) if weights is None else weights
    for k, share in zip(ks, found.tolist(), strict=True):
        hits = sum(weight for rank, weight in zip(ranks, each.tolist(), strict=True) if rank <= k)
        assert share == pytest.approx(hits / each.sum())
        if not weighted:
            assert share == pytest.approx(metrics.mean(metrics.success_at(np.array(ranks), k)))


@given(st.integers(1, 100_000))
def test_edges_are_whole_and_hold_every_rank(gallery: int) -> None:
    edges = plots.rank_edges(gallery)
    assert edges[0] == 1 and edges[-1] == max(gallery, 2) + 1 and np.all(np.diff(edges) >= 1)


@given(st.lists(st.tuples(st.integers(1, 55), st.integers(1, 55)), min_size=1, max_size=30))
def test_cells_count_queries_by_both_ranks(pairs: list[tuple[int, int]]) -> None:
    edges = plots.rank_edges(40)
    counts = plots.cells(*np.array(pairs).T, edges)
    assert counts.sum() == len(pairs)

    def place(rank: int) -> int:
        return max(number for number, edge in enumerate(edges[:-1].tolist()) if edge <= rank)

    expected = np.zeros_like(counts)
    for base, other in pairs:
        expected[place(base), place(other)] += 1
    assert np.array_equal(counts, expected)


def result(rewriter: str = "llm", protocol: str = "composed", **changes: Any) -> Result:
    determinants = {"rewriter": rewriter, "seed": changes.get("seed", 0)}
    values: dict[str, Any] = {
        "id": result_id(determinants), "determinants": determinants, "suite": "mini", "task": "cirr",
        "family": "compose", "benchmark": BENCHMARK, "revision": 1, "protocol": protocol, "split": "test1", "seed": 0,
        "retriever": RetrieverRecord(name="mini-clip", fingerprint="f"),
        "rewriter": RewriterRecord(name=rewriter, title="The", mechanism="lm", fingerprint="f"),
        "queries": 40, "gallery": 50, "metrics": {"R@10": 0.5}, "metrics_before": {}, "intervals": {}, "deltas": {},
        "ties": 0, "duplicates": 0, "fallbacks": {}, "inflation": None,
        "cost": Cost(
            prompt_tokens=0, completion_tokens=0, rewrite_seconds=0, encode_seconds=0, rewritten=0, ms_per_query=None
        ),
        "environment": Environment(
            grapebench="0", commit=None, dirty=None, python="3", packages={}, platform="x", cpu="y", gpu=None
        ),
        "command": "grapebench run", "created": "2025-01-01T00:00:00Z", "data": Data(dataset="d", images="i"),
        "files": {},
    }  # fmt: skip
    return Result(**values | changes)


def scored(goodness: np.ndarray, one: Result) -> Scored:
    sheet = Sheet({"R@10": goodness * 1.0}, ["i"] * len(goodness))
    return Scored(one, Path(), (sheet,), {}, tuple(f"q{n}" for n in range(len(goodness))), goodness)


def comparisons(protocol: str, *rewriters: str) -> tuple[Scored, list[Comparison]]:
    random = np.random.default_rng(0)

    def goodness() -> np.ndarray:
        return random.random(40) if protocol == "category-map" else -random.integers(1, 52, 40)

    base, *others = (scored(goodness(), result(name, protocol)) for name in ("identity", *rewriters))
    return base, [Comparison(one, *outcomes(one.goodness - base.goodness), {}) for one in others]


def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved from now on."""
    found: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *arguments: Any, **options: Any) -> None:
        found.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return found


@pytest.mark.parametrize(("protocol", "scale"), [("composed", "log"), ("category-map", "linear")])
def test_a_comparison_is_a_panel_each_and_one_of_curves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, scale: str
) -> None:
    figures = drawn(monkeypatch)
    base, found = comparisons(protocol, "llm", "grape", "$x$", "_y")
    plots.draw_comparison(base, found, tmp_path / "found.png")
    with Image.open(tmp_path / "found.png") as picture:
        assert picture.format == "PNG" and picture.width > 1500
    assert [path.name for path in tmp_path.iterdir()] == ["found.png"]
    panels = [axes for axes in figures[0].axes if axes.get_title()]
    *cells, curves = panels
    assert [axes.get_xscale() for axes in panels] == [scale] * 5
    for axes, one in zip(cells, found, strict=True):
        shares = [f"{100 * count / 40:.1f} %" for count in (one.wins, one.ties, one.losses)]
        assert all(share in axes.get_title() for share in shares)
        mesh = axes.collections[0].get_array()
        assert mesh is not None and mesh.sum() == 40
    legend = curves.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["identity", "llm", "grape", r"\$x\$", "y"]
    for line, one in zip(curves.lines, (base, *(one.other for one in found)), strict=True):
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        middle = len(x) // 2
        reached = one.goodness >= (x[middle] if protocol == "category-map" else -x[middle])
        assert y[middle] == pytest.approx(100 * reached.mean())


def test_namesakes_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = drawn(monkeypatch)
    ranks = np.arange(1, 41)
    base, other = (scored(-ranks, result(seed=seed)) for seed in (0, 1))
    plots.draw_comparison(base, [Comparison(other, 0, 40, 0, {})], tmp_path / "found.svg")
    legend = next(axes.get_legend() for axes in figures[0].axes if axes.get_legend())
    assert [text.get_text() for text in legend.get_texts()] == [base.name, other.name]
    assert (tmp_path / "found.svg").read_text().startswith("<?xml")


def sides(cosines: bool = True) -> plots.Sides:
    random = np.random.default_rng(1)
    names = ("positive_before", "positive", "top_others_before", "top_others")
    values = {name: random.normal(place / 10, 0.1, 40) for place, name in enumerate(names)}
    values["positive"][0] = np.nan
    before, after = -random.integers(1, 50, (2, 40))
    return plots.Sides(before, after, None, values if cosines else {})


def test_a_result_has_curves_and_cosines_before_and_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = drawn(monkeypatch)
    shown = sides()
    plots.draw_result(result(), shown, tmp_path / "found.pdf")
    assert (tmp_path / "found.pdf").read_bytes().startswith(b"%PDF")
    curves, *panels = figures[0].axes
    assert [line.get_label() for line in curves.lines] == ["raw query text", "llm"]
    for axes, suffix in zip(panels, ("_before", ""), strict=True):
        means = [np.nanmean(shown.cosines[name + suffix]) for name in ("positive", "top_others")]
        assert [float(np.asarray(line.get_xdata())[0]) for line in axes.lines] == pytest.approx(means)
        assert f"{means[0] - means[1]:+.3f}" in axes.get_title()
        legend = axes.get_legend()
        assert legend is not None
        assert [f"{mean:.3f}" in text.get_text() for mean, text in zip(means, legend.get_texts(), strict=True)]


def test_without_cosines_the_curves_stand_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = drawn(monkeypatch)
    for known in (sides(cosines=False), sides()):
        plots.draw_result(result(), known, tmp_path / "found.png")
    nothing = {name: np.full(40, np.nan) for name in sides().cosines}
    plots.draw_result(result(), plots.Sides(sides().before, sides().after, None, nothing), tmp_path / "found.png")
    assert [len(figure.axes) for figure in figures] == [1, 3, 1]


def test_sides_are_read_from_the_files_of_a_result(tmp_path: Path) -> None:
    table = {
        "query_id": ["q1", "q2", "q3"], "language": ["de", "de", "zh"], "positive": ["a", "b", "c"],
        "cluster": ["a", "b", "c"],
        "rank": np.array([1, 2, 3], np.int32), "rank_before": np.array([4, 5, 6], np.int32),
    }  # fmt: skip
    artifacts.write_table(tmp_path / "per_query.parquet", table)
    found = plots.read_sides(tmp_path, result(protocol="multilingual"))
    assert found.after.tolist() == [-1, -2, -3] and found.before.tolist() == [-4, -5, -6] and not found.cosines
    assert found.weights is not None and found.weights.tolist() == [0.75, 0.75, 1.5]
    cosines = {f"similarity_{name}": np.float32([0.5, np.nan, 0.25]) for name in sides().cosines}
    artifacts.write_table(tmp_path / "similarities.parquet", {"query_id": table["query_id"], **cosines})
    found = plots.read_sides(tmp_path, result())
    assert found.weights is None and set(found.cosines) == set(sides().cosines)
    assert found.cosines["positive"].tolist() == pytest.approx([0.5, np.nan, 0.25], nan_ok=True)
    with pytest.raises(UserError, match="labels of cirr test1 are not public: there is nothing to draw"):
        plots.read_sides(tmp_path, result(labelled=False, metrics={}))


def test_nothing_is_left_of_a_picture_that_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "found.png").write_text("older")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(UserError, match="no space left"):
        plots.draw_result(result(), sides(), tmp_path / "found.png")
    assert [path.name for path in tmp_path.iterdir()] == ["found.png"]
    assert (tmp_path / "found.png").read_text() == "older"


def test_what_cannot_be_written_is_said_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, said in (("found.gif2", "ends in its format"), ("found", "ends in its format"), ("no/f.png", "no such")):
        with pytest.raises(UserError, match=said):
            plots.check(tmp_path / name)
    plots.check(tmp_path / "found.PNG")
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(
        UserError, match="matplotlib is not installed; install it with: pip install 'grapebench.plots.'"
    ):
        plots.check(tmp_path / "found.png")
