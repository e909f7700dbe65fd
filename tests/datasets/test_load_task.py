from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grapebench.cards import SplitCard, SuiteCard, TaskCard
from grapebench.datasets import load_task
from grapebench.errors import UserError

KEYS = [f"{n:02x}" for n in range(15)]


def card(**changes: Any) -> TaskCard:
    full = SuiteCard(splits={"test": SplitCard(queries=15, images=15)}, options={"languages": ["zh"]})
    fields: dict[str, Any] = {
        "name": "small",
        "title": "Small",
        "about": "A test.",
        "family": "translate",
        "dataset": "xm3600",
        "protocol": "multilingual",
        "languages": ("zh",),
        "licence": "CC BY 4.0",
        "source": "https://example.org/small",
        "citation": "",
        "full": full,
    }
    return TaskCard(**{**fields, **changes})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [{"image/key": key, "zh": {"caption": ["图"]}, "de": {"caption": ["Bild", "Foto"]}} for key in KEYS]
    (tmp_path / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "images").mkdir()
    for key in KEYS:
        (tmp_path / "images" / f"{key}.jpg").write_bytes(b"")
    return tmp_path


def test_the_default_split_is_loaded_with_the_cards_options(data: Path) -> None:
    task = load_task(card(revision=3), "full", data=data)
    assert (task.name, task.suite, task.split, task.family) == ("small", "full", "test", "translate")
    assert (task.protocol, task.revision, task.root) == ("multilingual", 3, data)
    assert len(task.queries) == 15 and {query.language for query in task.queries} == {"zh"}


@pytest.mark.parametrize(("queries", "images", "noun"), [(16, 15, "queries"), (15, 16, "images")])
def test_other_counts_than_the_cards_are_refused_with_both(data: Path, queries: int, images: int, noun: str) -> None:
    full = SuiteCard(splits={"test": SplitCard(queries=queries, images=images)}, options={"languages": ["zh"]})
    with pytest.raises(UserError) as caught:
        load_task(card(full=full), "full", data=data)
    file = data / "captions.jsonl"
    assert str(caught.value).startswith(f"{file}: small test holds 15 {noun} where the task card says 16")
    assert len(load_task(card(full=full), "full", data=data, check_counts=False).queries) == 15


def test_unknown_split_and_suite_say_what_there_is(data: Path) -> None:
    with pytest.raises(UserError, match="small has no split 'tset' in the suite full; there is: test"):
        load_task(card(), "full", "tset", data)
    with pytest.raises(UserError, match="small has no suite 'mini'; there is: full"):
        load_task(card(), "mini")
    with pytest.raises(UserError, match="small has no suite 'huge'; there is: full"):
        load_task(card(), "huge")


def test_the_full_suite_says_what_to_pass_and_where_it_comes_from() -> None:
    with pytest.raises(UserError) as caught:
        load_task(card(), "full")
    for part in ("--data DIR", "https://example.org/small", "CC BY 4.0"):
        assert part in str(caught.value)


def test_a_wrong_data_folder_is_said(data: Path) -> None:
    with pytest.raises(UserError, match=f"{data}/no: the data folder does not exist"):
        load_task(card(), "full", data=data / "no")
    with pytest.raises(UserError, match="captions.jsonl: the data folder is not a folder"):
        load_task(card(), "full", data=data / "captions.jsonl")


def test_mini_takes_no_data(data: Path) -> None:
    mini = SuiteCard(splits={"test": SplitCard(queries=1, images=1)})
    with pytest.raises(UserError, match="leave --data out"):
        load_task(card(mini=mini), "mini", data=data)


def test_missing_images_are_counted_and_the_first_ten_named(data: Path) -> None:
    for key in KEYS[2:]:
        (data / "images" / f"{key}.jpg").unlink()
    with pytest.raises(UserError) as caught:
        load_task(card(), "full", data=data)
    assert f"{data}: 13 of the 15 images of small test are missing: 02, " in str(caught.value)
    assert str(caught.value).endswith("0b, …")
    assert len(load_task(card(), "full", data=data, images=False).gallery) == 15


def test_options_that_the_loader_does_not_know_are_said(data: Path) -> None:
    full = SuiteCard(splits={"test": SplitCard(queries=15, images=15)}, options={"tongues": ["zh"]})
    with pytest.raises(UserError, match="options of the task card small .*tongues"):
        load_task(card(full=full), "full", data=data)


LOADER = """
from grapebench.datasets.images import Folder
from grapebench.records import Dataset, Gallery, Query

def load(root, split, queries=("q1", "q2"), images=("a", "b"), positive="a"):
    found = tuple(Query(query, "text", (positive,)) for query in queries)
    return Dataset(found, Gallery(tuple(images), Folder({})))
"""


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"positive": "z"}, "query 'q1' names images outside the gallery: z"),
        ({"queries": ["q1", "q1"]}, "a query id occurs twice"),
        ({"images": ["a", "a"]}, "1 image ids occur twice"),
    ],
)
def test_a_loader_of_the_users_is_held_to_the_same(tmp_path: Path, options: dict[str, Any], what: str) -> None:
    (tmp_path / "mine.py").write_text(LOADER)
    full = SuiteCard(splits={"test": SplitCard(queries=2, images=2)}, options=options)
    mine = card(dataset=f"{tmp_path / 'mine.py'}:load", full=full)
    with pytest.raises(UserError) as caught:
        load_task(mine, "full", data=tmp_path, images=False)
    assert what in str(caught.value)


def test_importing_stays_light() -> None:
    script = "import sys, grapebench.datasets; print(sorted({'torch', 'pandas', 'pydantic', 'PIL'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
