from __future__ import annotations

import numpy as np
import pytest

from grapebench.evaluation.intervals import exact_interval, intervals, share_intervals


def clustered(random: np.random.Generator, share: float, images: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    """Hits of `each` queries an image that depend on the image: (values, clusters), both `(images * each,)`."""
    of_image = random.beta(2 * share, 2 * (1 - share), size=images)
    hits = random.random((images, each)) < of_image[:, None]
    return hits.astype(float).ravel(), np.repeat(np.arange(images), each)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_coverage_on_simulated_data(share: float) -> None:
    random = np.random.default_rng(3)
    trials = 400
    covered = naive = 0
    for trial in range(trials):
        values, clusters = clustered(random, share, images=200, each=5)
        low, high = intervals({"x": values}, clusters, seed=trial, resamples=400)["x"]
        covered += low <= share <= high
        low, high = intervals({"x": values}, np.arange(len(values)), seed=trial, resamples=400)["x"]
        naive += low <= share <= high
    # The standard deviation of 400 trials at 95 % is 1.1 points.
    assert 0.91 < covered / trials < 0.985
    assert naive / trials < 0.85, "queries of one image are not independent: leaving that out must show here"


def test_false_positives_of_a_paired_difference() -> None:
    """Two systems with equal chances on the same images: 0 is outside about one interval in twenty."""
    random = np.random.default_rng(4)
    outside = 0
    for trial in range(400):
        of_image = random.beta(1, 1, size=150)[:, None]
        before, after = ((random.random((150, 5)) < of_image).astype(float).ravel() for _ in range(2))
        low, high = intervals({"d": after - before}, np.repeat(np.arange(150), 5), seed=trial, resamples=400)["d"]
        outside += not low <= 0 <= high
    assert 0.02 < outside / 400 < 0.09


def test_macro_mean_covers_and_stands_beside_its_groups() -> None:
    random = np.random.default_rng(5)
    covered = 0
    for trial in range(200):
        # Every image is described in both languages; one language is easy and has three times the queries.
        of_image = random.uniform(-0.1, 0.1, size=150)
        easy = (random.random((150, 3)) < 0.8 + of_image[:, None]).astype(float)
        hard = (random.random((150, 1)) < 0.2 + of_image[:, None]).astype(float)
        clusters = np.concatenate([np.repeat(np.arange(150), 3), np.arange(150)])
        groups = ["de"] * 450 + ["zh"] * 150
        found = intervals(
            {"x": np.concatenate([easy.ravel(), hard.ravel()])}, clusters, groups=groups, seed=trial, resamples=300
        )
        assert set(found) == {"x", "x/de", "x/zh"}
        assert found["x/zh"][1] < found["x"][0] < found["x"][1] < found["x/de"][0]
        covered += found["x"][0] <= 0.5 <= found["x"][1]
    assert 0.9 < covered / 200 <= 0.99


def test_groups_beside_a_mean_over_all_queries() -> None:
    values, clusters = clustered(np.random.default_rng(10), 0.4, images=60, each=4)
    groups = np.where(clusters < 10, "small", np.where(clusters < 55, "large", ""))
    found = intervals({"x": values}, clusters, groups=groups.tolist(), macro=False, seed=3)
    assert set(found) == {"x", "x/small", "x/large"}, "the queries of no group count in the whole alone"
    assert found["x"] == intervals({"x": values}, clusters, seed=3)["x"]
    assert found["x"] != intervals({"x": values}, clusters, groups=groups.tolist(), seed=3)["x"]
    width = {key: high - low for key, (low, high) in found.items()}
    assert width["x/small"] > width["x/large"] > width["x"]


def test_agrees_with_scipy_where_each_query_is_its_own_cluster() -> None:
    from scipy.stats import bootstrap

    values = np.random.default_rng(6).exponential(size=300)
    low, high = intervals({"x": values}, np.arange(300), resamples=8000)["x"]
    theirs = bootstrap((values,), np.mean, n_resamples=8000, method="percentile", rng=np.random.default_rng(7))
    width = high - low
    assert low == pytest.approx(theirs.confidence_interval.low, abs=0.05 * width)
    assert high == pytest.approx(theirs.confidence_interval.high, abs=0.05 * width)


def test_the_seed_decides_and_nothing_else() -> None:
    values, clusters = clustered(np.random.default_rng(8), 0.4, images=50, each=4)
    named = [f"image {cluster}" for cluster in clusters]
    first = intervals({"x": values, "y": values**2}, named, seed=1)
    assert first == intervals({"x": values, "y": values**2}, named, seed=1)
    assert first["x"] == first["y"], "all keys share their draws"
    assert first != intervals({"x": values}, named, seed=2)


def test_agreeing_queries_do_not_claim_certainty() -> None:
    clusters = np.repeat(np.arange(10), 5)
    assert intervals({"x": np.zeros(50)}, clusters)["x"] == (0, 0)
    low, high = share_intervals({"x": np.zeros(50)}, clusters)["x"]
    assert low == 0 and high == pytest.approx(1 - 0.025 ** (1 / 10), abs=1e-5), "ten images, not fifty queries"
    assert exact_interval(1, 10) == (pytest.approx(0.025 ** (1 / 10), abs=1e-5), 1)
    found = share_intervals({"x": np.repeat([0.0, 1.0], 25)}, clusters, groups=["de"] * 25 + ["zh"] * 25)
    assert found["x/de"][0] == 0 and found["x/zh"][1] == 1


@pytest.mark.parametrize("clusters", [1, 2, 40, 5000])
@pytest.mark.parametrize("value", [0, 1])
def test_exact_intervals_are_scipys(value: int, clusters: int) -> None:
    from scipy.stats import binomtest

    theirs = binomtest(value * clusters, clusters).proportion_ci(0.9, method="exact")
    assert exact_interval(value, clusters, 0.9) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_memory_is_bounded_by_blocks() -> None:
    import tracemalloc

    values = np.random.default_rng(9).random(20_000)
    tracemalloc.start()
    intervals({"x": values}, np.arange(20_000), resamples=1000)
    assert tracemalloc.get_traced_memory()[1] < 150e6
    tracemalloc.stop()
