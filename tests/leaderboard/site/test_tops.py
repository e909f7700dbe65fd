from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from grapebench.errors import UserError
from grapebench.evaluation import trec
from grapebench.leaderboard import store
from grapebench.leaderboard.results import RUN_FILE
from grapebench.leaderboard.site.tops import DEPTH, require_agreement, require_known, tops
from grapebench.leaderboard.store import Stored
from grapebench.records import Query
from tests.leaderboard.site.made import Add


def stored(folder: Path) -> Stored:
    return Stored(store.load(folder), folder)


def test_the_best_images_are_the_first_lines_of_the_run(tmp_path: Path, add: Add) -> None:
    one = stored(add(tmp_path / "store"))
    found = tops(one, tmp_path / "none")
    assert found is not None and len(found) == 40
    run = trec.read_run(one.folder / RUN_FILE)
    for place in (0, 17, 39):
        rows = [row for row in range(len(run.query)) if run.query[row] == place]
        best = sorted(rows, key=lambda row: -run.score[row])[:DEPTH]
        assert found[run.queries[place]] == tuple(run.images[run.image[row]] for row in best)


def test_a_published_result_finds_its_run_in_the_users_store(tmp_path: Path, add: Add) -> None:
    own = stored(add(tmp_path / "own"))
    published = store.publish(own.folder, tmp_path / "board")
    assert not (published / RUN_FILE).exists()
    assert tops(stored(published), tmp_path / "none") is None
    assert tops(stored(published), tmp_path / "own") == tops(own, tmp_path / "none")


def test_another_run_does_not_count(tmp_path: Path, add: Add) -> None:
    one, other = stored(add(tmp_path / "store")), add(tmp_path / "store", "other")
    shutil.copy(other / RUN_FILE, one.folder / RUN_FILE)
    assert tops(one, tmp_path / "none") is None


def test_images_outside_the_gallery_are_refused() -> None:
    require_known({"q": ("a",)}, frozenset("ab"), Path("run"))
    with pytest.raises(UserError, match="outside the gallery, such as 'x'"):
        require_known({"q": ("a", "x")}, frozenset("ab"), Path("run"))


def test_ranks_and_best_images_have_to_agree() -> None:
    images = tuple(f"i{number}" for number in range(DEPTH))
    queries = [Query("first", "", ("i0",)), Query("second", "", ("other", "i3")), Query("far", "", ("other",))]
    found = {query.id: images for query in queries}
    rows = [
        {"query_id": "first", "rank": 1, "equal": 0},
        {"query_id": "second", "rank": 4, "equal": 0},
        {"query_id": "far", "rank": 30, "equal": 0},
    ]
    require_agreement(found, queries, rows, Path("x"))
    for wrong in ({"query_id": "first", "rank": 2, "equal": 0}, {"query_id": "far", "rank": 3, "equal": 0}):
        with pytest.raises(UserError, match="1 of 3 right images elsewhere"):
            changed = [wrong if row["query_id"] == wrong["query_id"] else row for row in rows]
            require_agreement(found, queries, changed, Path("x"))
