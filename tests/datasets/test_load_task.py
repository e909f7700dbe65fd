from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grapebench.cards import SplitCard, SuiteCard, TaskCard
from grapebench.datasets import load_task, places
from grapebench.datasets.place import Place
from grapebench.errors import UserError

KEYS = [f"{n:02x}" for n in range(15)]


def full(queries: int = 15, images: int = 15, **changes: Any) -> SuiteCard:
    fields = {"splits": {"test": SplitCard(queries=queries, images=images)}, "options": {"languages": ["zh"]}}
    return SuiteCard(**{**fields, **changes})


def card(**changes: Any) -> TaskCard:
    fields: dict[str, Any] = {
        "name": "small",
        "title": "Small",
        "about": "A test.",
        "family": "translate",
        "dataset": "xm3600",
        "protocol": "multilingual",
        "protocols": ("first-caption",),
        "languages": ("zh",),
        "licence": "CC BY 4.0",
        "source": "https://example.org/small",
        "citation": "",
        "full": full(),
    }
    return TaskCard(**{**fields, **changes})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [{"image/key": key, "zh": {"caption": ["图"]}, "de": {"caption": ["Bild", "Foto"]}} for key in KEYS]
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    (folder / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for key in KEYS:
        (folder / "images" / f"{key}.jpg").write_bytes(b"")
    return folder


def test_the_default_split_is_loaded_with_the_cards_options(data: Path) -> None:
    task = load_task(card(revision=3), "full", place=Place.of(data))
    assert (task.name, task.suite, task.split, task.family) == ("small", "full", "test", "translate")
    assert (task.protocol, task.revision, task.root) == ("multilingual", 3, data)
    assert len(task.queries) == 15 and {query.language for query in task.queries} == {"zh"}


def test_annotations_may_be_one_file(data: Path) -> None:
    assert load_task(card(), "full", place=Place(data / "captions.jsonl", data)).root == data


def test_tasks_of_one_collection_have_the_same_images(data: Path) -> None:
    assert load_task(card(), "full", place=Place.of(data)).collection == "small"
    assert load_task(card(collection="large"), "full", place=Place.of(data)).collection == "large"


@pytest.mark.parametrize(("queries", "images", "noun"), [(16, 15, "queries"), (15, 16, "images")])
def test_other_counts_than_the_cards_are_refused_with_both(data: Path, queries: int, images: int, noun: str) -> None:
    wrong = card(full=full(queries, images))
    with pytest.raises(UserError) as caught:
        load_task(wrong, "full", place=Place.of(data))
    file = data / "captions.jsonl"
    assert str(caught.value).startswith(f"{file}: small test holds 15 {noun} where the task card says 16")
    assert len(load_task(wrong, "full", place=Place.of(data), check_counts=False).queries) == 15


def test_options_go_over_the_cards_and_then_its_counts_say_nothing(data: Path) -> None:
    place = Place.of(data)
    assert len(load_task(card(), "full", place=place, options={"languages": ["de", "zh"]}).queries) == 45
    assert len(load_task(card(), "full", place=place, options={"languages": None}).queries) == 45
    with pytest.raises(UserError, match="holds 15 queries where the task card says 16"):
        load_task(card(full=full(queries=16)), "full", place=place, options={"languages": ["zh"]})
    with pytest.raises(UserError, match="no captions in the language 'xx'"):
        load_task(card(), "full", place=place, options={"languages": ["xx"]})


def test_another_protocol_asks_its_queries_after_all_were_counted(data: Path) -> None:
    both = card(full=full(queries=45, options={"languages": ["zh", "de"]}))
    task = load_task(both, "full", place=Place.of(data), protocol="first-caption")
    assert task.protocol == "first-caption"
    assert [query.text for query in task.queries] == ["图", "Bild"] * 15
    every = load_task(both, "full", place=Place.of(data), protocol="multilingual")
    assert len(every.queries) == 45 and not every.dataset.unasked
    assert task.dataset.unasked == {query.id for query in every.queries} - {query.id for query in task.queries}


def test_a_protocol_that_the_card_does_not_allow(data: Path) -> None:
    with pytest.raises(UserError, match="small has no protocol 'composed'; there is: multilingual, first-caption"):
        load_task(card(), "full", place=Place.of(data), protocol="composed")
    with pytest.raises(UserError, match="unknown protocol 'guess'"):
        load_task(card(protocol="guess"), "full", place=Place.of(data))


def test_unknown_split_and_suite_say_what_there_is(data: Path) -> None:
    with pytest.raises(UserError, match="small has no split 'tset' in the suite full; there is: test"):
        load_task(card(), "full", "tset", Place.of(data))
    with pytest.raises(UserError, match="small has no suite 'mini'; there is: full"):
        load_task(card(), "mini")
    with pytest.raises(UserError, match="small has no suite 'huge'; there is: full"):
        load_task(card(), "huge")


def test_the_remembered_place_is_taken(data: Path) -> None:
    places.remember("small", Place.of(data))
    assert load_task(card(), "full").root == data
    other = data.rename(data.with_name("other"))
    assert load_task(card(), "full", place=Place.of(other)).root == other, "what is said goes before"


def test_without_a_place_it_is_said_what_is_needed_and_how_to_name_it() -> None:
    needed = {"annotations": "captions.jsonl from the authors", "images": "their tar archive"}
    told = card(full=full().model_copy(update=needed))
    with pytest.raises(UserError) as caught:
        load_task(told, "full")
    for part in (
        "small needs the official files",
        "annotations: captions.jsonl from the authors",
        "images: their tar archive",
        "source: https://example.org/small",
        "licence: CC BY 4.0",
        "grapebench data add small --images DIR --annotations DIR",
    ):
        assert part in str(caught.value)


def test_a_remembered_place_that_has_gone(data: Path, tmp_path: Path) -> None:
    images = tmp_path / "disk"
    (data / "images").rename(images)
    places.remember("small", Place(data, images))
    assert len(load_task(card(), "full").queries) == 15
    images.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError) as caught:
        load_task(card(), "full")
    said = str(caught.value)
    assert said.startswith(f"the remembered place of small has gone: {images}: there is no such file or folder")
    assert said.endswith("bring it back, or say where the files are now: grapebench data add small --images DIR "
                         "--annotations DIR")  # fmt: skip
    assert len(load_task(card(), "full", images=False).queries) == 15, "annotations alone are enough"
    data.rename(tmp_path / "away")
    with pytest.raises(UserError, match=f"has gone: {data}: .*the annotations are to be there"):
        load_task(card(), "full", images=False)


def test_a_place_that_is_not_there(data: Path) -> None:
    with pytest.raises(UserError, match=f"{data}/no: there is no such file or folder, and the annotations are"):
        load_task(card(), "full", place=Place.of(data / "no"))
    with pytest.raises(UserError, match=f"{data}/no: there is no such file or folder, and the images are"):
        load_task(card(), "full", place=Place(data, data / "no"))
    assert len(load_task(card(), "full", place=Place(data, data / "no"), images=False).queries) == 15


def test_mini_takes_no_data(data: Path) -> None:
    mini = SuiteCard(splits={"test": SplitCard(queries=1, images=1)})
    with pytest.raises(UserError, match="the suite mini writes its own data"):
        load_task(card(mini=mini), "mini", place=Place.of(data))


def test_missing_images_are_counted_and_the_first_ten_named(data: Path) -> None:
    for key in KEYS[2:]:
        (data / "images" / f"{key}.jpg").unlink()
    with pytest.raises(UserError) as caught:
        load_task(card(), "full", place=Place.of(data))
    assert f"{data}: 13 of the 15 images of small test are missing: 02, " in str(caught.value)
    assert str(caught.value).endswith("0b, …")
    assert len(load_task(card(), "full", place=Place.of(data), images=False).gallery) == 15


def test_options_that_the_loader_does_not_know_are_said(data: Path) -> None:
    with pytest.raises(UserError, match="options of the task card small .*tongues"):
        load_task(card(full=full(options={"tongues": ["zh"]})), "full", place=Place.of(data))


LOADER = """
from grapebench.records import Dataset, Gallery, Query

def load(place, split, queries=("q1", "q2"), images=("a", "b"), positive="a", captions=None, categories=()):
    found = tuple(Query(query, "text", (positive,)) for query in queries)
    return Dataset(found, Gallery(tuple(images), place.pictures({}), tuple(categories)), captions=captions)
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(LOADER)
    return tmp_path / "mine.py"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"positive": "z"}, "query 'q1' names images outside the gallery: z"),
        ({"queries": ["q1", "q1"]}, "a query id occurs twice"),
        ({"images": ["a", "a"]}, "1 image ids occur twice"),
        ({"categories": ["panda"]}, "1 categories for 2 images"),
    ],
)
def test_a_loader_of_the_users_is_held_to_the_same(mine: Path, options: dict[str, Any], what: str) -> None:
    small = full(queries=2, images=2, options=options)
    with pytest.raises(UserError) as caught:
        load_task(card(dataset=f"{mine}:load", full=small), "full", place=Place.of(mine.parent), images=False)
    assert what in str(caught.value)


def test_captions_are_counted_where_they_are_not_the_queries(mine: Path) -> None:
    def load(captions: int) -> int:
        split = SplitCard(images=2, captions=10)
        small = SuiteCard(splits={"test": split}, options={"captions": captions})
        task = load_task(card(dataset=f"{mine}:load", full=small), "full", place=Place.of(mine.parent), images=False)
        return len(task.queries)

    assert load(10) == 2
    with pytest.raises(UserError, match="small test holds 9 captions where the task card says 10"):
        load(9)


def test_importing_stays_light() -> None:
    heavy = {"torch", "pandas", "pydantic", "PIL", "datasets", "pyarrow"}
    script = f"import sys, grapebench.datasets; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
