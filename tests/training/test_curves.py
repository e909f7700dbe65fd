from __future__ import annotations

import math
import re
import sys
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.training import curves
from grapebench.training.journal import Entry, Figures, Step, Val
from tests.training.logs import Course, entries, step_at, val_at

NUMBER = st.none() | st.floats(-1e6, 1e6)


def titles(log: list[Entry]) -> list[str]:
    return [plot.title for plot, _ in curves.draw(log, None)]


@given(st.lists(NUMBER, max_size=1500))
def test_long_curves_are_thinned_to_means(values: list[float | None]) -> None:
    steps = list(range(1, len(values) + 1))
    places, heights = curves.thinned(steps, values, curves.width(len(steps)))
    assert len(places) == len(heights) <= curves.MOST_POINTS
    assert places == sorted(places)
    known = [value for value in values if value is not None]
    drawn = [height for height in heights if not math.isnan(height)]
    assert bool(known) == bool(drawn)
    if known:
        slack = 1e-6 * (1 + max(map(abs, known)))
        assert min(known) - slack <= min(drawn) and max(drawn) <= max(known) + slack
    if len(values) <= curves.MOST_POINTS:
        assert places == steps
        assert [None if math.isnan(height) else height for height in heights] == values


def test_every_figure_is_drawn_with_the_colours_of_the_page() -> None:
    log = entries()
    drawn = curves.draw(log, val_at(120, Course()))
    assert [plot for plot, _ in drawn] == list(curves.PLOTS)
    shown = {field for plot, _ in drawn for field in (*plot.fields, plot.spread)}
    # The loss of GRPO and the schedule say nothing about where a training stands; the share of first ranks says what
    # the median rank does.
    assert set(Step.model_fields) - shown == {
        "kind", "step", "task", "seconds", "loss", "learning_rate", "rank_first",
    }  # fmt: skip
    assert set(Val.model_fields) - shown == {"kind", "step", "seconds", "tasks"}
    names: list[str] = []
    for plot, svg in drawn:
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img" and root.get("aria-label") == plot.title
        assert root.get("width") is None and root.get("viewBox") is not None
        assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg)) <= {
            "none", "currentColor", "var(--grid)", "var(--card)", "var(--series-1)", "var(--series-2)",
            "var(--series-3)",
        }  # fmt: skip
        assert plot.unit in " ".join(root.itertext()) and "#10203" not in svg
        own = re.findall(r' id="([^"]+)"', svg)
        assert set(re.findall(r"(?:url\(|href=\")#(\w+)", svg)) <= set(own)
        names += own
    # Parts of one page share no names, as one would then be drawn for the other.
    assert len(names) == len(set(names))


def test_the_same_log_is_drawn_the_same() -> None:
    log = entries(Course(steps=10, every=5))
    assert curves.draw(log, None) == curves.draw(log, None)


def test_what_is_not_known_is_not_drawn() -> None:
    assert titles([]) == []
    assert titles([val_at(0, Course())]) == ["Recall on val", "Similarity", "Margin", "Length", "Repetition",
        "Unusable outputs", "Facts kept"]  # fmt: skip
    without = val_at(0, Course()).model_copy(update={"fact_survival": None})
    assert "Facts kept" not in titles([without])
    step = step_at(1, Course())
    assert "KL to the reference" in titles([step])
    assert "KL to the reference" not in titles([step.model_copy(update={"kl": None})])
    gap = [step_at(n, Course()).model_copy(update={"kl": None} if n == 3 else {}) for n in range(1, 6)]
    (svg,) = (svg for plot, svg in curves.draw(gap, None) if plot.title == "KL to the reference")
    assert any(path.count("M") == 2 for path in re.findall(r'<path d="([^"]+)" clip-path', svg))


def test_the_best_is_marked_and_the_frozen_model_is_a_line() -> None:
    log = [val_at(0, Course()), val_at(20, Course())]
    (_, plain), (_, marked) = (curves.draw(log, best)[0] for best in (None, log[1]))
    level = re.compile(r"M ([\d.]+) ([\d.]+) \nL ([\d.]+) \2 \n")
    assert len(level.findall(plain)) >= 2
    assert plain.count("<use") + 1 == marked.count("<use")


def of_tasks(number: int, *tasks: str) -> Val:
    """A validation of several tasks, each with the figures of another seed."""
    seeds = enumerate(tasks)
    own = {
        task: val_at(number, Course(seed=seed)).model_dump(include=set(Figures.model_fields)) for seed, task in seeds
    }
    return val_at(number, Course()).model_copy(update={"tasks": {task: Figures(**one) for task, one in own.items()}})


def test_of_several_tasks_each_ones_recall_is_drawn() -> None:
    evil = 'a"><script>'
    log = [of_tasks(0, "cirr", evil), *(step_at(n, Course()) for n in range(1, 21)), of_tasks(20, "cirr", evil)]
    drawn = curves.draw(log, log[-1])  # type: ignore[arg-type]
    assert [plot.title for plot, _ in drawn[:4]] == ["Recall on val", "Recall on val: cirr", f"Recall on val: {evil}",
        "Similarity"]  # fmt: skip
    assert drawn[0][0].about.startswith("Mean over the tasks.")
    for plot, svg in drawn:
        assert ElementTree.fromstring(svg).get("aria-label") == plot.title
    # Each with its own best, frozen level and course.
    assert len({svg for _, svg in drawn[:3]}) == 3


@given(steps=st.integers(0, 5000), tasks=st.integers(1, 7))
def test_a_point_of_several_tasks_is_of_whole_rounds(steps: int, tasks: int) -> None:
    wide = curves.width(steps, tasks)
    assert wide % tasks == 0 and steps / wide <= curves.MOST_POINTS
    _, heights = curves.thinned(range(steps), [float(step % tasks) for step in range(steps)], wide)
    whole = heights[: steps // wide]
    assert whole == pytest.approx([(tasks - 1) / 2] * len(whole))


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        UserError, match="matplotlib is not installed; install it with: pip install 'grapebench.plots.'"
    ):
        curves.check()
