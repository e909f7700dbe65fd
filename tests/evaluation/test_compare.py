"""Comparisons of results that the runner made of a noisy world, against plain computations."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grapebench.errors import UserError
from grapebench.evaluation import runner
from grapebench.evaluation.compare import compare, examples, read, require_comparable
from grapebench.evaluation.intervals import intervals
from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.evaluation.significance import paired_p
from grapebench.leaderboard import artifacts, board, results, store
from grapebench.leaderboard.standings import stand
from grapebench.records import Dataset, Gallery, Query, Rewrite, Task
from grapebench.rewriters import LoadedRewriter
from grapebench.rewriters.setup import Setup

IMAGES = tuple(f"i{n:02}" for n in range(14))


class Memory:
    """An ImageSource whose pictures are their names."""

    def read(self, image_id: str) -> bytes:
        return image_id.encode()

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        return [image for image in image_ids if image not in IMAGES]

    def sha256(self, image_ids: Sequence[str]) -> list[str]:
        return [hashlib.sha256(self.read(image)).hexdigest() for image in image_ids]


class Noise:
    """A Retriever: an image's name has a direction, and a text the direction of its last word, more or less."""

    fingerprint = "noise"
    description: dict[str, Any] = {}  # noqa: RUF012

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        return np.stack([direction(image.decode()) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([unit(direction(text.split()[-1]) + 1.4 * direction(text)) for text in texts])


def unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def direction(text: str) -> np.ndarray:
    return unit(np.random.default_rng(list(text.encode())).normal(size=12))


class Say:
    """Puts a word before every query."""

    def __init__(self, word: str) -> None:
        self.word = word

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        for query in queries:
            yield Rewrite(query.id, texts=(f"{self.word} {query.text}",), raw="…")


def task_of(root: Path, protocol: str) -> Task:
    """Of one to three queries an image; what only some protocols look at is there for all."""
    queries = []
    for n, image in enumerate(IMAGES):
        others = [IMAGES[(n + step) % len(IMAGES)] for step in (1, 2, 3)]
        queries += [
            Query(
                f"q{n:02}-{number}",
                f"a {number} {image}",
                (image,),
                language=("de", "zh")[number % 2],
                subset=(image, *others) if "composed" in protocol or protocol == "graded" else (),
                grades=((image, 1.0), (others[0], 0.5)) if protocol == "graded" else (),
                category=("panda", "tiger", "milk")[n % 3],
            )
            for number in range(1 + n % 3)
        ]
    categories = tuple(("panda", "tiger", "milk")[n % 3] for n in range(len(IMAGES)))
    groups = {"panda": "Animals", "tiger": "Animals", "milk": "Drinks"}
    dataset = Dataset(tuple(queries), Gallery(IMAGES, Memory(), categories), groups=groups)
    return Task("noise", "mini", "test", "translate", protocol, 1, dataset, root)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path / "home"))
    return tmp_path


def go(task: Task, word: str, **changes: Any) -> Path:
    rewriter = LoadedRewriter(word, Say(word), None, word, {}, sampled=False)
    return runner.run(
        task, rewriter, Noise(), retriever_name="noise", setup=Setup("mini", "translate", 0, task.root),
        into=task.root / "results", command="grapebench run", **changes,
    )  # fmt: skip


class Raw:
    """Searches every query as it came."""

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        for query in queries:
            yield Rewrite(query.id, texts=(query.text,))


def go_raw(task: Task) -> Path:
    rewriter = LoadedRewriter("raw", Raw(), None, "raw", {}, sampled=False)
    return runner.run(
        task, rewriter, Noise(), retriever_name="noise", setup=Setup("mini", "translate", 0, task.root),
        into=task.root / "results", command="grapebench run",
    )  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_read_again_are_the_figures_of_the_result(home: Path, protocol: str) -> None:
    task = task_of(home, protocol)
    folder = go(task, "some")
    scored, result = read(folder), store.load(folder)
    assert scored.headline == {key: result.metrics[key] for key in PROTOCOLS[protocol].keys if key in result.metrics}
    assert scored.headline and scored.ids == tuple(query.id for query in task.queries)
    assert scored.sheets[0].clusters == [query.positives[0] for query in task.queries]


@pytest.mark.parametrize("protocol", ["retrieval", "composed", "multilingual", "category-map"])
def test_differences_wins_and_intervals(home: Path, protocol: str) -> None:
    task = task_of(home, protocol)
    folders = [go(task, word) for word in ("some", "other")]
    base, other = map(read, folders)
    (found,) = compare(base, [other])
    before, after = (store.load(folder).metrics for folder in folders)
    tables = [artifacts.read_table(folder / "per_query.parquet") for folder in folders]
    for key, change in found.changes.items():
        assert (change.base, change.value) == (before[key], after[key])
        assert change.delta == after[key] - before[key] and change.low <= change.delta <= change.high
        assert change.adjusted == change.p, "one comparison needs no correction"
    column, sign = ("average_precision", 1) if protocol == "category-map" else ("rank", -1)
    gains = sign * (np.array(tables[1][column]) - np.array(tables[0][column]))
    assert (found.wins, found.ties, found.losses) == ((gains > 0).sum(), (gains == 0).sum(), (gains < 0).sum())
    assert found.wins and found.losses and found.wins + found.ties + found.losses == len(task.queries)
    (back,) = compare(other, [base])
    assert (back.wins, back.losses) == (found.losses, found.wins)
    assert {key: change.p for key, change in back.changes.items()} == {k: c.p for k, c in found.changes.items()}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_board_says_the_same(home: Path, protocol: str) -> None:
    """Counts, differences, intervals and, where the same are corrected together, p; to the last bit."""
    task = task_of(home, protocol)
    folders = {name: go(task, name) for name in ("some", "other", "third")}
    known = {name: store.load(folder) for name, folder in folders.items()}
    by_id = {known[name].id: folder for name, folder in folders.items()}
    (table,), problems = stand(board.tables(known.values()), by_id, {"some"})
    assert not problems and table.references == ("some",)
    base, *others = (read(folder) for folder in folders.values())
    rows = {row.label: row.against[0] for row in table.rows}
    for found in compare(base, others):
        versus, change = rows[found.other.result.rewriter.name], found.changes[table.main]
        assert versus is not None
        assert (versus.wins, versus.ties, versus.losses) == (found.wins, found.ties, found.losses)
        assert (versus.delta.value, versus.delta.low, versus.delta.high) == (change.delta, change.low, change.high)
        assert versus.p == change.adjusted
    (alone,) = compare(base, others[:1])
    ours, theirs = alone.changes[table.main].adjusted, rows["other"]
    assert theirs is not None and theirs.p is not None
    assert ours <= theirs.p, "fewer comparisons, less to correct for"


def test_against_raw_the_board_says_what_a_comparison_with_the_raw_queries_does(home: Path) -> None:
    task = task_of(home, "retrieval")
    folders = [go(task, word) for word in ("other", "some")]
    raw = go_raw(task)
    known = [store.load(folder) for folder in folders]
    (table,), _ = stand(board.tables(known), {one.id: f for one, f in zip(known, folders, strict=True)}, ())
    for row, folder in zip(sorted(table.rows, key=lambda row: row.label), folders, strict=True):
        (found,) = compare(read(raw), [read(folder)])
        change = found.changes[table.main]
        assert row.raw is not None
        assert (row.raw.wins, row.raw.ties, row.raw.losses) == (found.wins, found.ties, found.losses)
        assert (row.raw.delta.value, row.raw.delta.low) == (change.delta, change.low)


def test_images_are_flipped_and_drawn_together(home: Path) -> None:
    task = task_of(home, "retrieval")
    base, other = (read(go(task, word)) for word in ("some", "other"))
    (found,) = compare(base, [other])
    hits = [(-scored.goodness <= 1).astype(int) for scored in (base, other)]
    difference, images = hits[1] - hits[0], [query.positives[0] for query in task.queries]
    totals = dict.fromkeys(images, 0)
    for image, one in zip(images, difference.tolist(), strict=True):
        totals[image] += one
    moved = [total for total in totals.values() if total]
    flips = [abs(sum(np.multiply(signs, moved))) for signs in itertools.product((1, -1), repeat=len(moved))]
    assert len(moved) > 2 and found.changes["R@1"].p == np.mean(np.array(flips) >= abs(sum(moved)))
    bounds = (found.changes["R@1"].low, found.changes["R@1"].high)
    assert bounds == intervals({"R@1": difference}, images)["R@1"]


def test_where_languages_count_the_same_so_do_their_differences(home: Path) -> None:
    task = task_of(home, "multilingual")
    base, other = (read(go(task, word)) for word in ("some", "other"))
    (found,) = compare(base, [other])
    languages = np.array([query.language for query in task.queries])
    share = {name: 1 / (languages == name).sum() for name in ("de", "zh")}
    assert share["de"] != share["zh"]
    weights = np.array([share[name] for name in languages.tolist()])
    reciprocal = [1 / -scored.goodness for scored in (base, other)]
    images = [query.positives[0] for query in task.queries]
    assert found.changes["MRR"].p == paired_p(reciprocal[1] - reciprocal[0], images, weights)
    assert found.changes["MRR"].delta == pytest.approx(((reciprocal[1] - reciprocal[0]) * weights).sum() / 2)


def test_several_comparisons_are_corrected(home: Path) -> None:
    task = task_of(home, "retrieval")
    base, *others = (read(go(task, word)) for word in ("some", "other", "third", "fourth"))
    found = compare(base, others)
    for key in base.headline:
        raw = [one.changes[key].p for one in found]
        adjusted = [one.changes[key].adjusted for one in found]
        assert min(adjusted) == min(1, 3 * min(raw)) and max(adjusted) >= max(raw)
        assert [one.changes[key].p for one in compare(base, others[:1])] == raw[:1]


def test_the_largest_gains_and_losses(home: Path) -> None:
    task = task_of(home, "retrieval")
    base, other = (read(go(task, word)) for word in ("some", "other"))
    (found,) = compare(base, [other])
    gains, losses = examples(base, found, 3)
    ranks = {name: dict(zip(one.ids, -one.goodness, strict=True)) for name, one in (("base", base), ("other", other))}
    ratio = {query: ranks["base"][query] / ranks["other"][query] for query in base.ids}
    assert [row["query_id"] for row in gains] == sorted(ratio, key=lambda query: (-ratio[query], query))[:3]
    assert [ratio[row["query_id"]] for row in losses] == sorted(ratio.values())[:3]
    first = gains[0]
    assert first["base_rank"] == ranks["base"][first["query_id"]] and first["rank"] == ranks["other"][first["query_id"]]
    assert first["base_rewrite"] == f"some {first['text']}" and first["rewrite"] == f"other {first['text']}"
    every, none = examples(base, found, 1000)
    assert len(every) == found.wins and len(none) == found.losses, "what did not move is neither"


def test_only_what_searched_the_same_is_compared(home: Path) -> None:
    task = task_of(home, "retrieval")
    base = read(go(task, "some"))
    other = read(go(task, "other"))
    require_comparable(base, other)
    searcher = other.result.retriever
    for changes, said in (
        ({"suite": "full"}, "the suite differs, mini and full"),
        ({"task": "cirr"}, "the task differs, noise and cirr"),
        ({"benchmark": "9.9"}, f"the benchmark's version differs, {results.BENCHMARK} and 9.9"),
        ({"revision": 2}, "the revision differs, 1 and 2"),
        ({"split": "val"}, "the split differs, test and val"),
        ({"protocol": "composed"}, "the protocol differs, retrieval and composed"),
        ({"limit": 5}, "the limit differs, none and 5"),
        ({"retriever": searcher.model_copy(update={"name": "clip"})}, "the retriever differs, noise and clip"),
        ({"retriever": searcher.model_copy(update={"fingerprint": "f"})}, "fingerprint differs, noise and f"),
        ({"data": other.result.data.model_copy(update={"dataset": "d"})}, "the dataset's hash differs"),
        ({"data": other.result.data.model_copy(update={"sources": "d"})}, "the sources' hash differs"),
        ({"data": other.result.data.model_copy(update={"images": "d"})}, "the images' hash differs"),
    ):  # fmt: skip
        changed = dataclasses.replace(other, result=other.result.model_copy(update=changes))
        with pytest.raises(UserError, match=said):
            compare(base, [changed])
    with pytest.raises(UserError, match="is given twice"):
        compare(base, [base])
    with pytest.raises(UserError, match="the queries differ"):
        compare(base, [dataclasses.replace(other, ids=other.ids[::-1])])
    limited = read(go(task, "third", limit=9))
    with pytest.raises(UserError, match="the limit differs, none and 9"):
        compare(base, [other, limited])


def test_what_cannot_be_read(home: Path) -> None:
    folder = go(task_of(home, "retrieval"), "some")
    table = folder / "per_query.parquet"
    content = table.read_bytes()
    table.write_bytes(content + b" ")
    with pytest.raises(UserError, match="not the one the result was written with"):
        read(folder)
    table.unlink()
    with pytest.raises(UserError, match="holds no ranks; its command makes the whole result"):
        read(folder)
    table.write_bytes(content)
    (folder / "per_image.parquet").unlink()
    with pytest.raises(UserError, match="per_image.parquet.*holds no ranks"):
        read(folder)
