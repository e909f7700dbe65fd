from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grapebench import files
from grapebench.errors import UserError
from grapebench.leaderboard import store
from grapebench.leaderboard.results import SCHEMA_VERSION


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_found_and_loaded(tmp_path: Path, make_result: Any, save_result: Any) -> None:
    saved = {make_result("llm").id: save_result(tmp_path, make_result("llm"))}
    saved[make_result("identity").id] = save_result(tmp_path, make_result("identity"))
    found, broken = store.find([tmp_path])
    assert {one.result.id: one.folder for one in found} == saved and broken == []
    assert found[0].folder.relative_to(tmp_path).parts[:4] == ("mini", "cirr", "mini-clip", "identity")
    assert store.load(saved[make_result("llm").id], hashes=True).rewriter.name == "llm"


def test_a_result_in_two_stores_is_listed_once(tmp_path: Path, make_result: Any, save_result: Any) -> None:
    for name in ("mine", "published"):
        save_result(tmp_path / name, make_result())
    found, _ = store.find([tmp_path / "mine", tmp_path / "published", tmp_path / "absent"])
    assert [one.folder.relative_to(tmp_path).parts[0] for one in found] == ["mine"]


def test_broken_results_are_named_and_the_rest_is_found(tmp_path: Path, make_result: Any, save_result: Any) -> None:
    broken = {name: save_result(tmp_path, make_result(name)) for name in "abcdefgh"}
    save_result(tmp_path, make_result("whole"))
    (broken["a"] / "result.json").write_text('{"id": ')
    edit(broken["b"], suite="tiny")
    edit(broken["c"], schema_version=SCHEMA_VERSION + 1)
    edit(broken["d"], determinants={"task": "cirr", "seed": 5})
    edit(broken["e"], files={"more.jsonl.gz": "0" * 64})
    (broken["f"] / "result.json").write_bytes(b"\xff\xfe")
    edit(broken["g"], protocol="recal")
    edit(broken["h"], protocol="category-map")
    found, errors = store.find([tmp_path])
    assert [one.result.rewriter.name for one in found] == ["whole"]
    said = {Path(str(error.file)).relative_to(tmp_path).parts[3]: str(error) for error in errors}
    expected = {
        "a": "not a result: Invalid JSON", "b": "suite: Input should be 'mini' or 'full'",
        "c": f"schema version {SCHEMA_VERSION + 1}",
        "d": "not the hash of the determinants", "e": "a file of the result is missing", "f": "not UTF-8",
        "g": "unknown protocol 'recal'", "h": "mAP, the main figure of category-map, is missing",
    }  # fmt: skip
    assert {name: expected[name] in said[name] for name in expected} == dict.fromkeys(expected, True), said


def test_many_results_of_an_earlier_version_are_one_sentence(
    tmp_path: Path, make_result: Any, save_result: Any
) -> None:
    for seed in range(3):
        edit(save_result(tmp_path, make_result(seed=seed)), schema_version=SCHEMA_VERSION - 1)
    save_result(tmp_path, make_result("whole"))
    found, (error,) = store.find([tmp_path])
    assert [one.result.rewriter.name for one in found] == ["whole"]
    assert f"this and 2 more are in another layout than version {SCHEMA_VERSION} of the schema; their" in str(error)


def test_hashes_are_checked_where_asked(tmp_path: Path, make_result: Any, save_result: Any) -> None:
    folder = save_result(tmp_path, make_result())
    (folder / "rewrites.jsonl.gz").write_bytes(b"other rewrites")
    store.load(folder)
    with pytest.raises(UserError, match="not the one the result was written with"):
        store.load(folder, hashes=True)


def test_resolve(tmp_path: Path, make_result: Any, save_result: Any) -> None:
    stores = [tmp_path / "mine", tmp_path / "published"]
    results = [make_result("llm", seed=seed) for seed in range(40)]
    folders = {result.id: save_result(stores[result.seed % 2], result) for result in results}
    one, folder = next(iter(folders.items()))
    assert store.resolve(str(folder), []) == folder
    assert store.resolve(str(folder / "result.json"), []) == folder
    assert store.resolve(one, stores) == store.resolve(one[:12], stores) == folder
    with pytest.raises(UserError, match="no result has an id that begins with '0000000000000000'"):
        store.resolve("0" * 16, stores)
    with pytest.raises(UserError, match="give a result's folder, or at least 4 digits"):
        store.resolve("no-such-folder", stores)


def test_an_ambiguous_beginning_is_refused(tmp_path: Path, make_result: Any, save_result: Any) -> None:
    folder = save_result(tmp_path, make_result())
    twin = folder.with_name(folder.name[:8] + "00000000")
    twin.mkdir()
    (twin / "result.json").write_text("{}")
    with pytest.raises(UserError, match=f"{twin.name}.*give more digits"):
        store.resolve(folder.name[:8], [tmp_path])
    assert store.resolve(folder.name, [tmp_path]) == folder


@pytest.mark.parametrize("name", ["../../etc", "a/b", "ViT-B-32@openai", ".hidden", "名前", ".."])
def test_names_stay_inside_the_store(tmp_path: Path, name: str) -> None:
    folder = store.folder_of(tmp_path, "mini", "cirr", name, name, "0" * 16)
    assert len(folder.relative_to(tmp_path).parts) == 5
    assert folder.resolve().is_relative_to(tmp_path.resolve())
    assert not any(part.startswith(".") for part in folder.relative_to(tmp_path).parts)


def test_publish_leaves_out_the_run_file_and_the_texts(tmp_path: Path, make_result: Any, save_result: Any) -> None:
    folder = save_result(tmp_path / "mine", make_result())
    goal = store.publish(folder, tmp_path / "board")
    assert sorted(path.name for path in goal.iterdir()) == [
        "per_image.parquet", "per_query.parquet", "result.json", "rewrites.jsonl.gz", "similarities.parquet",
    ]  # fmt: skip
    left_out = {"run.trec.gz", "subset.trec.gz", "image_to_text.trec.gz", "queries.jsonl.gz"}
    assert left_out < set(store.load(goal, hashes=True).files)
    assert store.publish(folder, tmp_path / "board") == goal, "publishing again changes nothing"
    assert [one.folder for one in store.find([tmp_path / "board"])[0]] == [goal]


def test_publish_leaves_out_rewrites_that_are_large_and_keeps_the_ranks(
    tmp_path: Path, make_result: Any, save_result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrites = b"rewrites" * 100
    folder = save_result(tmp_path / "mine", make_result())
    (folder / "rewrites.jsonl.gz").write_bytes(rewrites)
    hashes = json.loads((folder / "result.json").read_text())["files"]
    edit(folder, files=hashes | {"rewrites.jsonl.gz": files.sha256(rewrites)})
    monkeypatch.setattr(store, "PUBLISHED_BYTES", (folder / "result.json").stat().st_size + 300)
    goal = store.publish(folder, tmp_path / "board")
    assert sorted(path.name for path in goal.iterdir()) == ["per_image.parquet", "per_query.parquet", "result.json"]
    assert "rewrites.jsonl.gz" in store.load(goal, hashes=True).files


def test_publish_refuses_what_is_too_large_or_changed(
    tmp_path: Path, make_result: Any, save_result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_result(tmp_path / "mine", make_result())
    size = (folder / "result.json").stat().st_size
    expected = {
        300: ["per_image.parquet", "per_query.parquet", "result.json", "rewrites.jsonl.gz"],
        250: ["per_query.parquet", "result.json", "rewrites.jsonl.gz"],
        100: ["per_image.parquet", "result.json", "rewrites.jsonl.gz"],
        0: ["result.json"],
    }
    for room, names in expected.items():
        monkeypatch.setattr(store, "PUBLISHED_BYTES", size + room)
        goal = store.publish(folder, tmp_path / f"board {room}")
        assert sorted(path.name for path in goal.iterdir()) == names
        assert [one.folder for one in store.find([tmp_path / f"board {room}"])[0]] == [goal]
    monkeypatch.setattr(store, "PUBLISHED_BYTES", size - 1)
    with pytest.raises(UserError, match="at most"):
        store.publish(folder, tmp_path / "board")
    (folder / "rewrites.jsonl.gz").write_bytes(b"x")
    with pytest.raises(UserError, match="not the one"):
        store.publish(folder, tmp_path / "board")
    assert not (tmp_path / "board").exists()
