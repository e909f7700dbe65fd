from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, ttest_1samp

from grapebench.evaluation.significance import holm, paired_p, pairs_p, ranks

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


ROWS = st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=2, max_size=10)
PAIRS = np.array([(0, 1), (1, 0), (0, 2), (1, 2), (1, 1)])


@given(ROWS)
def test_many_pairs_of_few_images_are_tested_over_all_flips(rows: list[list[int]]) -> None:
    sums = np.array(rows) / 3
    expected = [paired_p(sums[:, i] - sums[:, j], np.arange(len(sums))) for i, j in PAIRS]
    assert pairs_p(sums, PAIRS).tolist() == expected


def test_many_pairs_of_many_images_agree_with_the_test_of_one() -> None:
    """Two estimates of one p from flips of their own differ by no more than their sampling allows."""
    random = np.random.default_rng(8)
    clusters = np.repeat(np.arange(150), random.integers(1, 6, 150))
    weights = np.where(random.random(len(clusters)) < 0.3, 2.0, 0.5)
    values = (random.random((len(clusters), 6)) < np.linspace(0.5, 0.6, 6)).astype(float)
    sums = np.stack([np.bincount(clusters, weights=column * weights) for column in values.T], axis=1)
    pairs = np.array(list(itertools.combinations(range(6), 2)))
    found = pairs_p(sums, pairs)
    theirs = np.array([paired_p(values[:, i] - values[:, j], clusters, weights) for i, j in pairs])
    assert np.ptp(theirs) > 0.5, "small and large ones"
    # scipy doubles the smaller tail, and so the error of its share.
    variance = (4 * theirs / 2 * (1 - theirs / 2) + theirs * (1 - theirs)) / 9999
    assert np.all(np.abs(found - theirs) <= 4 * np.sqrt(variance) + 5e-4)


def exact_p(differences: np.ndarray) -> float:
    """Over all flips of whole numbers, by the distribution of their total."""
    chances = np.ones(1)
    for size in np.abs(differences[differences != 0]):
        step = np.zeros(2 * size + 1)
        step[[0, -1]] = 0.5
        chances = np.convolve(chances, step)
    middle = len(chances) // 2
    far = abs(int(differences.sum()))
    return float(chances[np.abs(np.arange(len(chances)) - middle) >= far].sum())


def test_beyond_what_draws_can_tell_p_is_a_bound() -> None:
    """Never below the truth, and small enough to survive a correction for many."""
    random = np.random.default_rng(9)
    images = 200
    for gain in (0.25, 0.3, 0.4, 0.6):
        differences = (random.random(images) < gain).astype(int) - (random.random(images) < 0.05)
        truth = exact_p(differences)
        sums = np.stack([differences, np.zeros(images)], axis=1)
        (found,) = pairs_p(sums, np.array([(0, 1)]), resamples=999)
        assert truth < found <= 1 / 1000
        assert found < truth**0.7, "and not far above it"
    assert found * 124_750 < 0.05, "the pairs of 500 rows"


def test_estimates_of_many_pairs_are_near_the_truth() -> None:
    random = np.random.default_rng(10)
    columns = (random.random((60, 5, 9)) < np.linspace(0.45, 0.55, 9)).sum(axis=1)
    pairs = np.array(list(itertools.combinations(range(9), 2)))
    truth = np.array([exact_p(columns[:, i] - columns[:, j]) for i, j in pairs])
    drawn = truth > 0.002
    error = (pairs_p(columns, pairs) - truth) / np.sqrt(truth * (1 - truth) / 9999 + 1e-8)
    assert np.count_nonzero(drawn) > 20 and np.abs(error[drawn]).max() < 5


def test_a_pair_does_not_depend_on_what_else_is_compared() -> None:
    """A new row of a board leaves the p-values of the others as they were, but for their correction."""
    sums = np.random.default_rng(11).normal(size=(80, 7))
    alone = pairs_p(sums[:, :2], np.array([(0, 1)]))
    assert pairs_p(sums, np.array([(2, 5), (0, 1), (3, 4)]))[1] == alone[0]
    assert pairs_p(sums, np.empty((0, 2), int)).shape == (0,)


def board_of(random: np.random.Generator, gains: np.ndarray, images: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Hits of rewriters on queries whose images suit some more than others: `(queries, rewriters)` and clusters.

    Each rewriter's chance on an image is its own, with the same mean but for its gain.
    """
    clusters = np.repeat(np.arange(images), random.integers(1, 8, images))
    chance = random.beta(0.6, 0.6, (images, len(gains))) * (1 - gains) + gains
    return (random.random((len(clusters), len(gains))) < chance[clusters]).astype(float), clusters


def sums_of(hits: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(clusters, weights=column) for column in hits.T], axis=1)


def test_rows_of_one_truth_share_the_first_rank() -> None:
    """In 95 % of the boards and more; without correction, or with queries taken for independent, in far fewer."""
    random = np.random.default_rng(12)
    boards, rewriters = 300, 6
    pairs = np.array(list(itertools.combinations(range(rewriters), 2)))
    apart = uncorrected = unclustered = 0
    for board in range(boards):
        hits, clusters = board_of(random, np.zeros(rewriters))
        sums = sums_of(hits, clusters)
        apart += set(ranks(sums, seed=board, resamples=999)) != {1}
        uncorrected += bool((pairs_p(sums, pairs, seed=board, resamples=999) <= 0.05).any())
        unclustered += set(ranks(hits, seed=board, resamples=999)) != {1}
    assert apart <= binom.ppf(0.999, boards, 0.05)
    assert min(uncorrected, unclustered) > 3 * binom.ppf(0.999, boards, 0.05)


def test_a_row_that_is_better_is_ranked_above_the_others() -> None:
    random = np.random.default_rng(13)
    alone = others = 0
    for board in range(60):
        hits, clusters = board_of(random, np.array([0.0, 0.5, 0.0, 0.0, 0.0]), images=120)
        found = ranks(sums_of(hits, clusters), seed=board, resamples=999)
        alone += found[1] == 1 and min(found[0], *found[2:]) > 1
        others += set(found[:1] + found[2:]) == {2}
    assert alone >= 57 and others >= 54


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_holm_keeps_the_chance_of_any_false_claim(level: float) -> None:
    """Whichever of the hypotheses are true, and though the tests share their queries."""
    random = np.random.default_rng(14)
    trials = 400
    wrong = 0
    for trial in range(trials):
        hits, clusters = board_of(random, np.array([0.0, 0.0, 0.0, 0.0, 0.6]), images=60)
        against = np.array([(0, 1), (0, 2), (0, 3), (0, 4)])
        corrected = holm(pairs_p(sums_of(hits, clusters), against, seed=trial, resamples=499).tolist())
        wrong += min(corrected[:3]) <= level
    assert wrong <= binom.ppf(0.999, trials, level)
