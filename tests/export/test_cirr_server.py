from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from grapebench import world
from grapebench.cli.main import main
from grapebench.datasets import Place, cirr
from grapebench.evaluation.trec import write_run
from grapebench.export import cirr_server
from grapebench.export.source import Source, write
from grapebench.leaderboard.store import publish
from grapebench.records import Task

Rows = list[list[str]]
RUN, SUBSET = "run.trec.gz", "subset.trec.gz"


def export(folder: Path | str, *more: str) -> int:
    return main(["export", "cirr-server", str(folder), "--data", "cirr", *more])


def server_accepts(path: Path, metric: str, names: int, root: Path) -> dict[str, list[str]]:
    """What the test server checks, from the official files alone."""
    assert path.stat().st_size <= 5_000_000
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found.pop("version") == "rc2" and found.pop("metric") == metric
    records = {str(r["pairid"]): r for r in json.loads((root / "captions" / "cap.rc2.test1.json").read_text())}
    images = json.loads((root / "image_splits" / "split.rc2.test1.json").read_text())
    assert found.keys() == records.keys()
    for pairid, listed in found.items():
        assert len(listed) == len(set(listed)) == names
        assert records[pairid]["reference"] not in listed
        assert set(listed) <= set(images if metric == "recall" else records[pairid]["img_set"]["members"])
    return found


def test_both_files_are_what_the_server_takes(
    place: Path, make: Any, words: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make("cirr", "test1")
    assert export(folder.name[:8], "--out", "sent") == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["sent/recall.json", "sent/recall_subset.json"] and err == ""
    whole = server_accepts(place / "sent" / "recall.json", "recall", 50, place / "cirr")
    among = server_accepts(place / "sent" / "recall_subset.json", "recall_subset", 3, place / "cirr")
    # The same from the retriever alone, by sorting everything.
    records = json.loads((place / "cirr" / "captions" / "cap.rc2.test1.json").read_text())
    paths = json.loads((place / "cirr" / "image_splits" / "split.rc2.test1.json").read_text())
    names = list(paths)
    images = words.encode_images([(place / "cirr" / path).read_bytes() for path in paths.values()], names)
    for record, scores in zip(records, words.encode_texts([r["caption"] for r in records]) @ images.T, strict=True):
        order = [names[i] for i in np.argsort(-scores) if names[i] != record["reference"]]
        assert whole[str(record["pairid"])] == order[:50]
        assert among[str(record["pairid"])] == [name for name in order if name in record["img_set"]["members"]][:3]


def without(query: str) -> Any:
    return lambda rows: [row for row in rows if row[0] != query]


def names(query: str, image: str, place: int = 0) -> Any:
    """The query names that image at one place instead of its own."""

    def edit(rows: Rows) -> Rows:
        (row,) = [row for row in rows if row[0] == query][place : place + 1]
        row[2] = image
        return rows

    return edit


@pytest.mark.parametrize(
    ("file", "edit", "said"),
    [
        (RUN, without("103"), "the run has no answer for '103'"),
        (SUBSET, lambda rows: [row for row in rows if row[0] < "150"], "no answer for '150', '151', '152' and 7 more"),
        (RUN, lambda rows: [*rows, ["99", "Q0", rows[0][2], "1", "0.5", "x"]], "an answer for the unknown '99'"),
        (RUN, names("103", "test1-77-0-img0"), "the unknown answer 'test1-77-0-img0'"),
        (RUN, names("103", "test1-0-0-img3", 49), "query '103' names its own reference image 'test1-0-0-img3'"),
        (SUBSET, names("103", "test1-0-0-img3"), "query '103' names its own reference image 'test1-0-0-img3'"),
        (SUBSET, names("103", "test1-5-0-img0", 2), "names 'test1-5-0-img0', which is not one of its look-alikes"),
        (
            RUN,
            lambda rows: [r for r in rows if r[0] != "103" or int(r[3]) < 50],
            "'103' has 49 images where the server",
        ),
        (SUBSET, lambda rows: [r for r in rows if int(r[3]) < 3], "query '100' has 2 images where the server takes 3"),
        (RUN, lambda rows: [*rows, rows[1]], "occur twice, first on line 2"),
        (RUN, lambda rows: [], "the run is empty"),
    ],
)
def test_what_the_server_would_refuse_is_refused(
    file: str, edit: Any, said: str, place: Path, make: Any, tamper: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make("cirr", "test1")
    tamper(folder, file, edit)
    assert export(folder) == 2
    out, err = capsys.readouterr()
    assert said in err and file in err and err.count("\n") == 1 and out == ""
    assert not list(place.glob("recall*")), "nothing is written"


def test_what_stands_behind_the_last_name_does_not_matter(place: Path, make: Any, tamper: Any) -> None:
    folder = make("cirr", "test1")
    tamper(folder, RUN, names("103", "test1-0-0-img3", 50))
    assert export(folder) == 0
    server_accepts(place / "recall.json", "recall", 50, place / "cirr")


def test_wrong_results_are_refused(place: Path, make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    whole = make("cirr", "test1")
    for folder, said in (
        (make("cirr", "val"), "is one of val; the server scores test1"),
        (make("cirr", "test1", limit=7), "answers 7 queries of the 60 of test1; make it without --limit"),
        (make("cvlue", "test"), "is one of the task cvlue; this export takes results of cirr"),
        (publish(whole, place / "board"), "run.trec.gz: this published result lacks the file; its command makes"),
        ("ffffffff", "no result has an id that begins with 'ffffffff'"),
    ):
        assert export(folder) == 2
        err = capsys.readouterr().err
        assert said in err and err.count("\n") == 1
    assert not list(place.glob("recall*"))


def test_a_file_that_was_edited_is_refused(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make("cirr", "test1")
    (folder / SUBSET).write_bytes((folder / SUBSET).read_bytes() + b"\n")
    assert export(folder) == 2
    assert f"{SUBSET}: the file is not the one the result was written with" in capsys.readouterr().err


def test_a_result_of_an_earlier_version_has_no_look_alikes(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make("cirr", "test1")
    result = json.loads((folder / "result.json").read_text())
    del result["files"][SUBSET]
    (folder / "result.json").write_text(json.dumps(result))
    assert export(folder) == 2
    assert "the result holds no subset.trec.gz; make it again" in capsys.readouterr().err


def test_other_annotation_files_are_refused(place: Path, make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make("cirr", "test1")
    path = place / "cirr" / "captions" / "cap.rc2.test1.json"
    path.write_text(path.read_text().replace("w3", "w4"))
    assert export(folder) == 2
    assert f"the annotation files are not those that result {folder.name} was made with" in capsys.readouterr().err
    assert main(["export", "cirr-server", str(folder), "--data", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_files_beyond_what_the_server_takes(
    place: Path, make: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make("cirr", "test1")
    monkeypatch.setattr(cirr_server, "MOST_BYTES", 10_000)
    assert export(folder) == 2
    err = capsys.readouterr().err
    assert "recall.json would take" in err and "more than the 10,000 that are accepted" in err
    assert not list(place.glob("*recall*"))


def test_where_one_file_cannot_be_written_neither_is(
    place: Path, make: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make("cirr", "test1")
    (place / "recall_subset.json").mkdir()
    assert export(folder) == 2
    assert "recall_subset.json" in capsys.readouterr().err
    assert not (place / "recall.json").exists() and not list(place.glob(".*part"))


def test_a_result_of_the_miniature_is_written_with_a_warning(
    place: Path, make: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(world, "prepare", lambda task, split: place / task)
    card = place / "catalogue" / "tasks" / "cirr.toml"
    card.write_text(card.read_text() + "[mini.splits]\ntest1 = { queries = 60, images = 60 }\n")
    folder = make("cirr", "test1", suite="mini")
    assert main(["export", "cirr-server", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["recall.json", "recall_subset.json"]
    assert err == "warning: this is a result of the miniature, which the scorer does not know\n"
    assert export(folder) == 2, "the miniature takes no --data"


@pytest.mark.annotations
def test_the_real_split_is_accepted_and_small_enough(annotations: Path, tmp_path: Path) -> None:
    root = annotations / "cirr"
    dataset = cirr.load(Place.of(root), "test1")
    ids, index = dataset.gallery.ids, dataset.gallery.index
    others = [index[image] for image in ids[:101]]
    columns = [[c for c in others if ids[c] != query.reference][:100] for query in dataset.queries]
    members = [[index[image] for image in query.subset] for query in dataset.queries]
    for name, places in ((RUN, columns), (SUBSET, members)):
        falling = np.tile(-np.arange(len(places[0]), dtype=np.float32), (len(places), 1))
        write_run(tmp_path / name, [query.id for query in dataset.queries], ids, np.array(places), falling)
    result: Any = SimpleNamespace(id="x", files={RUN: "", SUBSET: ""})
    task = Task("cirr", "full", "test1", "compose", "composed", 1, dataset, root)
    paths = write(cirr_server.submission(Source(result, tmp_path, task)), tmp_path, cirr_server.MOST_BYTES)
    assert len(server_accepts(paths[0], "recall", 50, root)) == 4148
    assert len(server_accepts(paths[1], "recall_subset", 3, root)) == 4148
