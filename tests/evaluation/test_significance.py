from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, ttest_1samp

from grapebench.evaluation.significance import holm, paired_p

P_VALUES = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=12)


def by_hand(differences: np.ndarray, clusters: np.ndarray, weights: np.ndarray) -> float:
    """The share of all flips of whole clusters whose weighted mean is at least as far from 0, query by query."""
    names = sorted(set(clusters.tolist()))
    observed = abs(np.average(differences, weights=weights))
    count = 0
    for signs in itertools.product((1.0, -1.0), repeat=len(names)):
        sign = dict(zip(names, signs, strict=True))
        flipped = differences * np.array([sign[cluster] for cluster in clusters.tolist()])
        count += abs(np.average(flipped, weights=weights)) >= observed - 1e-9
    return count / 2 ** len(names)


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 6), st.integers(1, 3)), min_size=1, max_size=20))
def test_the_exact_p_is_that_of_all_flips_of_whole_clusters(rows: list[tuple[int, int, int]]) -> None:
    differences, clusters, weights = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    assert paired_p(differences, clusters, weights) == pytest.approx(by_hand(differences, clusters, weights))
    assert paired_p(differences, clusters) == pytest.approx(by_hand(differences, clusters, np.ones(len(rows))))


def test_unequal_clusters_count_by_their_queries() -> None:
    """Nine losses of one query each, one gain of nine: the mean over queries is 0, that over images is not."""
    differences = np.array([-1.0] * 9 + [1.0] * 9)
    clusters = np.array([*range(9), *[9] * 9])
    assert paired_p(differences, clusters) == 1
    assert paired_p(differences, np.arange(18)) == 1
    # Its own size tells: alone it is one image, and one image is no evidence.
    assert paired_p(np.ones(500), np.zeros(500)) == 1
    assert paired_p(np.ones(10), np.arange(10)) == 2 / 2**10


def test_fractions_that_are_equal_on_paper_are_equal_here() -> None:
    """Totals of tenths differ in their last bits by the order of the sums; taken as different, p would be too small."""
    differences = np.array([0.1, 0.2, -0.3, 0.3, -0.2, 0.1, 0.1, 0.3])
    exact = by_hand(np.round(differences * 10), np.arange(8), np.ones(8))
    assert paired_p(differences, np.arange(8)) == exact
    assert paired_p(differences, np.arange(8), np.full(8, 1 / 3)) == exact


def test_many_images_are_sampled_and_agree_with_students_test() -> None:
    sums, images = np.random.default_rng(5).normal(0.2, 1, 80), np.arange(80)
    theirs = ttest_1samp(sums, 0).pvalue
    found = paired_p(sums, images)
    assert 0.05 < theirs < 0.95 and found == pytest.approx(theirs, abs=0.02)
    assert found == paired_p(sums, images), "the same seed"
    assert found != paired_p(sums, images, seed=1)
    assert found == paired_p(np.concatenate([sums, np.zeros(30)]), np.arange(110)), (
        "images without a difference say nothing about its sign"
    )
    assert paired_p(sums + 3, images, resamples=999) == pytest.approx(2 / 1000), "an estimate is never 0"


def test_no_difference_is_no_evidence() -> None:
    assert paired_p(np.zeros(30), np.arange(30)) == 1
    assert paired_p(np.array([1.0, -1.0, 0.0]), np.array(["a", "a", "b"])) == 1, "it cancels within the image"


def test_false_positives_on_simulated_data() -> None:
    """Two systems that are equally good, each better on images of its own: 5 % are found different at 0.05.

    All captions of an image go well or badly together, so that the same test without clusters fails far more often.
    """
    random = np.random.default_rng(6)
    trials, images = 200, 60
    clusters = np.repeat(np.arange(images), random.integers(1, 8, images))
    clustered = naive = 0
    for trial in range(trials):
        first, second = (
            (random.random(len(clusters)) < random.beta(0.5, 0.5, images)[clusters]).astype(float) for _ in range(2)
        )
        clustered += paired_p(second - first, clusters, seed=trial, resamples=199) <= 0.05
        naive += paired_p(second - first, np.arange(len(clusters)), seed=trial, resamples=199) <= 0.05
    low, high = binom.interval(0.999, trials, 0.05)
    assert low <= clustered <= high
    assert naive > 1.5 * high, "queries of one image are not independent: leaving that out must show here"


def test_a_true_difference_is_found() -> None:
    random = np.random.default_rng(7)
    found = 0
    for trial in range(50):
        of_image = random.beta(1, 1, 150)[:, None]
        before, after = random.random((2, 150, 5))
        gain = (after < np.minimum(1, of_image + 0.1)).astype(float) - (before < of_image)
        found += paired_p(gain.ravel(), np.repeat(np.arange(150), 5), seed=trial, resamples=199) <= 0.05
    assert found > 40


def test_holm_on_known_values() -> None:
    # The example of statsmodels' and R's documentation is this computation: sorted, times m, m - 1, …, never falling.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.8, 0.9]) == [1, 1]
    assert holm([0.02]) == [0.02] and holm([]) == []


@given(P_VALUES)
def test_holm_keeps_the_order_and_lies_between_raw_and_bonferroni(values: list[float]) -> None:
    adjusted = holm(values)
    for one, raised in zip(values, adjusted, strict=True):
        assert one <= raised <= min(1.0, len(values) * one)
    for first, second in itertools.combinations(range(len(values)), 2):
        if values[first] <= values[second]:
            assert adjusted[first] <= adjusted[second]


@given(P_VALUES, st.floats(0.001, 0.2))
def test_holm_rejects_what_the_step_down_procedure_rejects(values: list[float], level: float) -> None:
    rejected: set[int] = set()
    for step, place in enumerate(sorted(range(len(values)), key=lambda place: values[place])):
        if (len(values) - step) * values[place] > level:
            break
        rejected.add(place)
    assert {place for place, p in enumerate(holm(values)) if p <= level} == rejected


@given(P_VALUES, st.randoms(use_true_random=False))
def test_holm_does_not_depend_on_the_order_of_the_tests(values: list[float], random: object) -> None:
    order = list(range(len(values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = holm([values[place] for place in order])
    assert [shuffled[order.index(place)] for place in range(len(values))] == holm(values)
