"""What the runner keeps, finds again, refuses and says, on the made-up world of `world.py`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from grapebench.errors import UserError
from grapebench.leaderboard import artifacts, store
from grapebench.leaderboard.results import Result
from grapebench.records import Gallery, Query, Rewrite, Task
from grapebench.rewriters import LoadedRewriter
from tests.evaluation.world import CAPTIONS, FILES, Memory, Strip, Words, go, loaded, task_of, unlabelled, vectors


def test_a_second_run_finds_the_first(task: Task) -> None:
    first = go(task)
    stamp = (first / "result.json").stat().st_mtime_ns

    class Never:
        def rewrite(self, queries: Sequence[Query]) -> Iterable[Rewrite]:
            raise AssertionError("asked again")

    retriever = Words()
    assert go(task, Never(), retriever) == first
    assert retriever.encoded == 0
    assert (first / "result.json").stat().st_mtime_ns == stamp


def test_the_same_work_gives_the_same_bytes(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = go(task, into=tmp_path / "one")
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path / "other home"))
    second = go(task, into=tmp_path / "two")
    assert first.name == second.name and first != second
    mine, theirs = store.load(first), store.load(second)
    assert mine.files == theirs.files
    changing = {"cost", "created", "environment"}
    assert mine.model_dump(exclude=changing) == theirs.model_dump(exclude=changing)


def test_a_killed_run_goes_on_where_it_was(task: Task) -> None:
    killed = Strip(stop=25)
    with pytest.raises(KeyboardInterrupt):
        go(task, killed)
    results = task.root.parent / "results"
    assert not list(results.rglob("*")) if results.exists() else True
    resumed = Strip()
    result = store.load(go(task, resumed))
    assert len(killed.asked) == 25 and set(killed.asked) | set(resumed.asked) == {q.id for q in task.queries}
    assert not set(killed.asked) & set(resumed.asked)
    assert result.cost.rewritten == 35 and result.cost.prompt_tokens == 5 * 59, "tokens are of all"
    assert result.cost.ms_per_query is not None and result.cost.ms_per_query > 0


def test_a_run_killed_while_encoding_keeps_its_rewrites(task: Task) -> None:
    class Interrupted(Words):
        def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(task, retriever=Interrupted())
    resumed, retriever = Strip(), Words()
    go(task, resumed, retriever)
    assert resumed.asked == []
    assert retriever.encoded <= 120, "the gallery's vectors were stored by the first"


@pytest.mark.parametrize("name", ["result.json", *FILES])
def test_a_damaged_result_is_named_and_made_again(task: Task, capsys: pytest.CaptureFixture[str], name: str) -> None:
    folder = go(task)
    whole = store.load(folder).files
    (folder / name).write_bytes((folder / name).read_bytes()[:-20])
    assert go(task) == folder
    said = capsys.readouterr().err
    assert "warning" in said and name in said and said.count("\n") == 1
    assert store.load(folder, hashes=True).files == whole
    (folder / name).unlink()
    go(task)
    assert (folder / name).is_file()


def test_the_id_is_of_what_determines_the_result(task: Task) -> None:
    base = go(task)
    other_text = dataclasses.replace(
        task, dataset=dataclasses.replace(task.dataset, queries=(*task.queries[:-1], Query("q59", "other", ("i59",))))
    )
    captions = [*CAPTIONS[:-1], "other pixels"]
    other_pixels = task_of(task.root, task.queries, "retrieval", "translate", captions)
    others = [
        go(task, seed=1),
        go(task, limit=10),
        go(task, loaded(Strip(), "other")),
        go(task, retriever=Words("other weights")),
        go(other_text),
        go(other_pixels),
        go(dataclasses.replace(task, revision=2)),
        go(dataclasses.replace(task, split="val")),
        go(dataclasses.replace(task, suite="full")),
    ]
    assert len({folder.name for folder in [base, *others]}) == len(others) + 1
    assert go(task, limit=len(task.queries)) == base, "a limit that limits nothing is none"


def test_a_limit_asks_fewer_queries_of_the_whole_gallery(task: Task) -> None:
    rewriter = Strip()
    folder = go(task, rewriter, limit=10)
    result = store.load(folder)
    assert (result.queries, result.gallery, result.limit) == (10, 60, 10)
    assert rewriter.asked == [f"q{n}" for n in range(10)]
    assert artifacts.read_table(folder / "per_query.parquet")["candidates"] == [60] * 10


def test_rewrites_are_kept_as_they_were(task: Task) -> None:
    class Both:
        def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
            for query in queries:
                yield Rewrite(
                    query.id, texts=("red", "<star>"), images=("i3",), weights=(1.0, 0.5, 0.25), trace={"seen": "红"}
                )

    folder = go(task, Both())
    texts = list(artifacts.read_lines(folder / "queries.jsonl.gz"))
    assert texts[0] == {"query_id": "q0", "text": "xred xcircle xsky"}
    rows = list(artifacts.read_lines(folder / "rewrites.jsonl.gz"))
    assert len(rows) == len(texts) == 60
    assert rows[0] == {
        "query_id": "q0",
        "rewrite": "red + <star> + <image i3>",
        "texts": ["red", "<star>"],
        "images": ["i3"],
        "weights": [1.0, 0.5, 0.25],
        "trace": {"seen": "红"},
    }
    seventh = list(artifacts.read_lines(go(task, loaded(Strip(), "other")) / "rewrites.jsonl.gz"))[7]
    assert seventh == {"query_id": "q7", "raw": "…", "fallback": "no words"}, "searched as it came"


def test_a_split_that_is_labelled_in_part_is_refused_before_any_work(task: Task) -> None:
    rewriter, retriever = Strip(), Words()
    with pytest.raises(UserError, match=r"1 of the 60 queries of words test have no label, the first is 'q0'.*label"):
        go(unlabelled(task, 1), rewriter, retriever, limit=1)
    assert rewriter.asked == [] and retriever.encoded == 0


@pytest.mark.parametrize("protocol", ["retrieval", "composed", "graded", "multilingual", "categories"])
def test_without_labels_there_are_run_files_and_no_figures(task: Task, composed: Task, protocol: str) -> None:
    labelled = composed if protocol in ("composed", "graded") else task
    labelled = dataclasses.replace(labelled, protocol=protocol)
    one = unlabelled(labelled, len(labelled.queries))
    folder = go(one)
    result = store.load(folder, hashes=True)
    assert not result.labelled and result.metrics == result.metrics_before == result.intervals == result.deltas == {}
    assert result.inflation is None and result.ties == 0
    assert result.cost.prompt_tokens > 0 and result.queries == len(one.queries) and result.duplicates == 0
    assert result.summary()["labelled"] is False and result.summary()["metrics"] == {}
    extra = "subset.trec.gz" if protocol in ("composed", "graded") else "image_to_text.trec.gz"
    assert set(result.files) == {"queries.jsonl.gz", "rewrites.jsonl.gz", "run.trec.gz", extra}
    for name in ("run.trec.gz", extra):
        assert (folder / name).read_bytes() == (go(labelled) / name).read_bytes(), "labels change no ranking"
    again = Strip()
    assert go(one, again) == folder and again.asked == []


def trained(images: Sequence[str], task: Task) -> LoadedRewriter:
    from grapebench.datasets.seen import Seen, Source, image_hash

    hashes = tuple(sorted(image_hash(task.suite, task.collection or task.name, image) for image in images))
    source = Source(task="words", suite="full", split="train", queries=9, images=len(images))
    return loaded(Strip(), "trained", seen=Seen(schema_version=1, sources=(source,), images=hashes))


def test_images_that_the_rewriter_was_trained_on_are_refused_unless_allowed(task: Task) -> None:
    rewriter = trained(["i3", "i50", "elsewhere"], task)
    with pytest.raises(UserError, match=r"trained has seen words train.* 2 of the 60 images .* 'i3'.*--allow-seen"):
        go(task, rewriter)
    assert not (task.root.parent / "results").exists()
    result = store.load(go(task, rewriter, allow_seen=True))
    assert result.seen is not None and result.summary()["seen"] == {
        "images": 2, "gallery": 60, "sources": ["words train"]
    }  # fmt: skip
    assert result.determinants["seen"] == result.seen.model_dump()
    unseen = store.load(go(task, trained(["elsewhere"], task), allow_seen=True))
    assert unseen.seen is None and "seen" not in unseen.determinants and unseen.id != result.id


def test_notes_of_the_caller_stand_behind_those_of_the_data(task: Task) -> None:
    folder = go(task, notes=["the retriever knows it"])
    assert store.load(folder).data.notes == ["made up", "the retriever knows it"]
    assert go(task).name == folder.name, "a note determines no figure"


def test_progress_is_reported(task: Task) -> None:
    reports: list[tuple[str, int, int]] = []
    go(task, report=lambda *told: reports.append(told))
    assert reports[0] == ("rewriting", 0, 60) and ("rewriting", 60, 60) in reports
    stages = list(dict.fromkeys(stage for stage, _, _ in reports))
    assert stages == ["rewriting", "encoding images", "encoding queries", "encoding rewrites"]
    assert reports[-1][1] == reports[-1][2]


def test_vectors_that_were_brought_along_need_no_pictures(task: Task) -> None:
    class Brought(Words):
        def look_up_images(self, names: Sequence[str]) -> np.ndarray:
            return vectors([CAPTIONS[int(name[1:])] for name in names])

        def look_up_texts(self, texts: Sequence[str]) -> np.ndarray:
            return vectors(texts)

    expected = store.load(go(task))
    without = dataclasses.replace(task.dataset, gallery=Gallery(task.gallery.ids, Memory({})))
    result = store.load(go(dataclasses.replace(task, dataset=without), retriever=Brought("brought")))
    assert result.metrics == expected.metrics
    assert result.duplicates is None and result.data.images is None

    class BroughtTexts(Brought):
        def look_up_images(self, names: Sequence[str]) -> None:  # type: ignore[override]
            return None

    result = store.load(go(task, retriever=BroughtTexts("texts")))
    assert result.duplicates == 0 and result.metrics == expected.metrics


def test_result_json_is_plain_json(task: Task) -> None:
    text = (go(task) / "result.json").read_text(encoding="utf-8")
    assert Result(**json.loads(text)).id == json.loads(text)["id"]
