"""What figures depend on is locked: it changes with a raised number, or not at all."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grapebench import catalog, datasets
from grapebench.cards import TaskCard
from grapebench.errors import UserError
from grapebench.evaluation import clusters, figures, intervals, metrics, protocols, significance
from grapebench.evaluation.protocols import PROTOCOLS, Protocol
from grapebench.leaderboard import experiment, results, revisions
from grapebench.leaderboard.revisions import RULES, Entry
from grapebench.records import Query, Ranking, Task
from grapebench.retrieval import encode, fused, ranking
from grapebench.retrieval.sweep import Pairs

TASKS = catalog.task_names()


@pytest.fixture(scope="module")
def lock() -> dict[str, Entry]:
    return revisions.read(revisions.path())


def test_everything_is_locked_and_nothing_else(lock: dict[str, Entry]) -> None:
    cards = [catalog.task_card(name).card for name in TASKS]
    suites = {f"{suite}/{card.name}" for card in cards for suite in ("mini", "full") if getattr(card, suite)}
    assert set(lock) == suites | {RULES}, f"run: {revisions.COMMAND}"
    assert {part.partition(":")[0] for part in lock[RULES].parts} == set(PROTOCOLS), f"run: {revisions.COMMAND}"
    assert lock[RULES].number == results.BENCHMARK, f"run: {revisions.COMMAND}"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_rules_change_with_the_version_alone(name: str, lock: dict[str, Entry]) -> None:
    now = revisions.rules(name)
    assert not revisions.unraised(lock, {RULES: now}), "the sentence says what to do"
    assert now.parts.items() <= lock[RULES].parts.items(), f"run: {revisions.COMMAND}"


@pytest.mark.parametrize("name", TASKS)
def test_data_change_with_the_revision_alone(name: str, lock: dict[str, Entry]) -> None:
    now = revisions.task(catalog.task_card(name).card)
    assert now and not revisions.unraised(lock, now), "the sentence says what to do"
    assert now.items() <= lock.items(), f"run: {revisions.COMMAND}"


def test_a_task_is_locked_by_its_labels_and_its_pixels(lock: dict[str, Entry]) -> None:
    assert {"val: queries and labels", "test1: pixels"} <= set(lock["mini/cirr"].parts)
    assert {"the card", "split val"} <= set(lock["full/cirr"].parts)
    hashes = [value for entry in lock.values() for value in entry.parts.values()]
    assert all(len(value) == 64 for value in hashes)


# What changes the rules -----------------------------------------------------------------------------------------------


def optimistic(patch: pytest.MonkeyPatch) -> None:
    real = ranking._ranking

    def ties_in_favour(*arguments: Any) -> Ranking:
        found = real(*arguments)
        return dataclasses.replace(found, rank=found.rank - found.equal)

    patch.setattr(ranking, "_ranking", ties_in_favour)


def other_cut_offs(patch: pytest.MonkeyPatch) -> None:
    for name, one in PROTOCOLS.items():
        patch.setitem(PROTOCOLS, name, dataclasses.replace(one, ks=(1, 5, 20), subset_ks=(1, 2)))


def other_seed(patch: pytest.MonkeyPatch) -> None:
    real = intervals._draws
    patch.setattr(intervals, "_draws", lambda clusters, resamples, seed: real(clusters, resamples, seed + 1))


def fewer_draws(patch: pytest.MonkeyPatch) -> None:
    real = intervals._draws
    patch.setattr(intervals, "_draws", lambda clusters, resamples, seed: real(clusters, resamples - 1, seed))


def narrow_extremes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(intervals, "exact_interval", lambda value, *_: (float(value), float(value)))


def queries_drawn_one_by_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(figures, "clusters_of", lambda _, queries: [query.id for query in queries])
    patch.setattr(clusters, "clusters", lambda _, queries: [query.id for query in queries])


def look_alikes_apart(patch: pytest.MonkeyPatch) -> None:
    """Queries that share a set of look-alikes alone are drawn one by one."""
    real = clusters._links

    def links(protocol: Protocol, query: Query) -> list[tuple[str, object]]:
        return [link for link in real(protocol, query) if link[0] != "subset"]

    patch.setattr(clusters, "_links", links)


def misses_have_a_place(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(figures.Places, "missed", False)


def excluded_stay(patch: pytest.MonkeyPatch) -> None:
    real = Pairs.of.__func__  # type: ignore[attr-defined]

    def of(cls: type[Pairs], lists: Any, queries: int, gallery: int, noun: str) -> Pairs:
        return real(cls, None if noun == "excluded" else lists, queries, gallery, noun)

    patch.setattr(Pairs, "of", classmethod(of))
    real_table = fused.ImagesByQuery
    patch.setattr("grapebench.evaluation.ways.ImagesByQuery", lambda queries, images, _: real_table(queries, images))


def every_caption_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(experiment, "select_queries", lambda _, queries: tuple(queries))


def languages_by_size(patch: pytest.MonkeyPatch) -> None:
    real = figures.query_sheet

    def whole(*arguments: Any) -> figures.Sheet:
        return dataclasses.replace(real(*arguments), macro=False)

    patch.setattr(figures, "query_sheet", whole)


def other_grades(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(metrics, "grade_at", lambda grades, rank, k: (rank <= k).any(axis=0).astype(float))


def ties_of_a_category_in_favour(patch: pytest.MonkeyPatch) -> None:
    def precision(good: np.ndarray, others: np.ndarray, total: int) -> float:
        good, hits = np.sort(good)[::-1], np.arange(1, len(good) + 1)
        above = len(others) - np.searchsorted(np.sort(others), good, side="right")
        return float((hits / (hits + above)).sum() / total)

    patch.setattr(metrics, "average_precision", precision)


def other_fusion(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fused, "RRF", 10)


def other_mean(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(encode, "_mean", lambda name, found, weights: found[0])


def uncorrected(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(experiment, "holm", list)


def bolder_ranks(patch: pytest.MonkeyPatch) -> None:
    real = significance.ranks
    patch.setattr(experiment, "ranks", lambda sums: real(sums, alpha=0.9))


CHANGES: list[tuple[Callable[[pytest.MonkeyPatch], None], str, str]] = [
    (optimistic, "retrieval", "retrieval: metrics"),
    (other_cut_offs, "retrieval", "retrieval: metrics"),
    (other_cut_offs, "composed", "composed: metrics"),
    (other_seed, "retrieval", "retrieval: intervals, retrieval: deltas"),
    (fewer_draws, "retrieval", "retrieval: intervals, retrieval: deltas"),
    (narrow_extremes, "retrieval", "retrieval: intervals"),
    (queries_drawn_one_by_one, "retrieval", "retrieval: intervals, retrieval: deltas, retrieval: p"),
    (look_alikes_apart, "composed", "composed: intervals, composed: deltas"),
    (misses_have_a_place, "retrieval", "retrieval: metrics, retrieval: metrics before"),
    (excluded_stay, "composed", "composed: metrics"),
    (every_caption_asked, "first-caption", "first-caption: metrics"),
    (languages_by_size, "multilingual", "multilingual: metrics"),
    (other_grades, "graded", "graded: metrics"),
    (ties_of_a_category_in_favour, "category-map", "category-map: metrics"),
    (other_fusion, "retrieval", "retrieval: metrics"),
    (other_mean, "retrieval", "retrieval: metrics"),
    (uncorrected, "retrieval", "retrieval: p"),
    (bolder_ranks, "retrieval", "retrieval: ranks"),
]


@pytest.mark.parametrize(("change", "protocol", "told"), CHANGES, ids=lambda one: getattr(one, "__name__", None))
def test_a_changed_rule_is_caught(
    change: Callable[[pytest.MonkeyPatch], None],
    protocol: str,
    told: str,
    lock: dict[str, Entry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change(monkeypatch)
    now = {RULES: revisions.rules(protocol)}
    (sentence,) = revisions.unraised(lock, now)
    assert sentence.startswith(f"rules: {told}"), sentence
    assert "raise BENCHMARK in grapebench/leaderboard/results.py, then run: python -m" in sentence
    raised = {RULES: now[RULES].model_copy(update={"number": "1.2"})}
    assert not revisions.unraised(lock, raised)


def test_the_experiment_holds_what_rules_are_about() -> None:
    world = experiment._world()
    queries, vectors = world.dataset.queries, world.vectors
    images = np.array([vectors[name] for name in world.dataset.gallery.ids])
    assert (np.linalg.norm(images, axis=1) == 1).all(), "unit vectors, exactly"
    cosines = images @ np.array([vectors[query.id] for query in queries]).T
    assert (cosines * 32 == np.round(cosines * 32)).all(), "every cosine is exact"
    assert any(len(query.positives) > 1 for query in queries) and any(query.grades for query in queries)
    assert all(query.excluded and len(query.subset) == 6 for query in queries)
    drawn = clusters.clusters(PROTOCOLS["composed"], queries)
    assert 30 < len(set(drawn)) < len({query.positives for query in queries}), "clusters of several images"
    assert {rewrite.fusion for rewrite in world.rewrites.values()} == set(experiment.FUSIONS)


# What changes the data ------------------------------------------------------------------------------------------------


def changed_task(monkeypatch: pytest.MonkeyPatch, change: Callable[[Task], Task]) -> None:
    real = datasets.load_task
    monkeypatch.setattr(datasets, "load_task", lambda *some, **more: change(real(*some, **more)))


def other_label(task: Task) -> Task:
    first, *rest = task.queries
    first = dataclasses.replace(first, positives=(task.gallery.ids[-1],))
    return dataclasses.replace(task, dataset=dataclasses.replace(task.dataset, queries=(first, *rest)))


def other_pixels(task: Task) -> Task:
    class Other:
        def sha256(self, ids: Any) -> list[str]:
            return ["0" * 64 for _ in ids]

    gallery = dataclasses.replace(task.gallery, images=Other())  # type: ignore[arg-type]
    return dataclasses.replace(task, dataset=dataclasses.replace(task.dataset, gallery=gallery))


@pytest.mark.parametrize(
    ("change", "told"),
    [(other_label, "test: queries and labels, val: queries and labels"), (other_pixels, "test: pixels, val: pixels")],
)
def test_changed_data_are_caught(
    change: Callable[[Task], Task], told: str, lock: dict[str, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed_task(monkeypatch, change)
    (sentence,) = revisions.unraised(lock, revisions.task(catalog.task_card("flickr30k-cn").card))
    assert sentence.startswith(
        f"mini/flickr30k-cn: {told} changed and the number is still 1; raise 'revision' in tasks/"
    )


def other_protocol(card: TaskCard) -> TaskCard:
    return card.model_copy(update={"protocol": "categories"})


def other_source(card: TaskCard) -> TaskCard:
    return card.model_copy(update={"source": "somewhere else"})


def other_count(card: TaskCard) -> TaskCard:
    assert card.full is not None
    splits = {name: split.model_copy(update={"images": 3}) for name, split in card.full.splits.items()}
    return card.model_copy(update={"full": card.full.model_copy(update={"splits": splits})})


@pytest.mark.parametrize(
    ("change", "part"), [(other_protocol, "the card"), (other_source, "the card"), (other_count, "split test")]
)
def test_a_changed_card_is_caught_and_its_prose_is_free(
    change: Callable[[TaskCard], TaskCard], part: str, lock: dict[str, Entry]
) -> None:
    card = catalog.task_card("wikipedia-wit").card  # of the official files alone
    assert not revisions.unraised(lock, revisions.task(card.model_copy(update={"about": "…", "citation": "…"})))
    changed = change(card)
    (sentence,) = revisions.unraised(lock, revisions.task(changed))
    assert sentence.startswith("full/wikipedia-wit: ") and part in sentence
    assert not revisions.unraised(lock, revisions.task(changed.model_copy(update={"revision": 2})))


# The file -------------------------------------------------------------------------------------------------------------


def entry(number: str = "1", **parts: str) -> Entry:
    return Entry(number=number, parts=parts)


def test_the_lock_is_written_where_numbers_were_raised(tmp_path: Path) -> None:
    file = tmp_path / "revisions.json"
    revisions.write(file, {"mini/x": entry(a="1", b="2"), "mini/gone": entry(a="1")})
    before = file.read_bytes()
    with pytest.raises(
        UserError, match="mini/x: b changed and the number is still 1; raise 'revision' in tasks/x.toml"
    ):
        revisions.write(file, {"mini/x": entry(a="1", b="3")})
    with pytest.raises(UserError, match="mini/x: the number went down from 1 to 0"):
        revisions.write(file, {"mini/x": entry("0", a="1", b="2")})
    assert file.read_bytes() == before, "what is refused changes nothing"
    new = {"mini/new": entry(a="9"), "mini/x": entry("2", a="1", b="3", c="4")}
    revisions.write(file, new)
    assert revisions.read(file) == new
    assert list(json.loads(file.read_text())["entries"]) == ["mini/new", "mini/x"]


def test_numbers_are_compared_as_numbers() -> None:
    assert not revisions.unraised({RULES: entry("1.9", a="1")}, {RULES: entry("1.10", a="2")})
    assert revisions.unraised({RULES: entry("1.10", a="1")}, {RULES: entry("1.9", a="1")})


@pytest.mark.parametrize("text", ["{", '{"entries": {"rules": {"number": "one", "parts": {}}}}', "[]"])
def test_a_damaged_lock_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text(text)
    with pytest.raises(UserError, match="lock.json: is not the lock that was written"):
        revisions.read(tmp_path / "lock.json")
    assert revisions.read(tmp_path / "none.json") == {}


def test_the_command_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    file = tmp_path / "revisions.json"
    monkeypatch.setattr(revisions, "path", lambda: file)
    monkeypatch.setattr(revisions, "present", lambda: {RULES: entry("1.0", a="1")})
    assert revisions.main() == 0 and capsys.readouterr().out == f"{file}\n"
    monkeypatch.setattr(revisions, "present", lambda: {RULES: entry("1.0", a="2")})
    assert revisions.main() == 2
    out, err = capsys.readouterr()
    assert out == "" and "raise BENCHMARK" in err


def test_protocols_that_are_new_change_nothing(lock: dict[str, Entry], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocols.PROTOCOLS, "new", Protocol("new", (1, 2)))
    assert not revisions.unraised(lock, {RULES: revisions.rules("new")})
