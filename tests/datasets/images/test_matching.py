from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.datasets.images.matching import EXTENSIONS, image_path, match, stem


def found(wanted: str, *entries: str) -> str | None:
    return match({"id": wanted}, entries).found.get("id")


@pytest.mark.parametrize(
    ("wanted", "entry"),
    [
        ("./dev/dev-1-0-img0.png", "dev/dev-1-0-img0.png"),
        ("./dev/dev-1-0-img0.png", "cirr/img_raw/dev/dev-1-0-img0.png"),
        ("images/val/A/1-panda/A-1-34.png", "images/val/A/1-panda/A-1-34.png"),
        ("images/val/A/1-panda/A-1-34.png", "val/A/1-panda/A-1-34.png"),
        ("images/val/A/1-panda/A-1-34.png", "A/1-panda/A-1-34.jpg"),
        ("images/art/0a1b.jpg", "0a1b.JPEG"),
        ("val2014/COCO_val2014_000000391895.jpg", "COCO_val2014_000000391895.jpg"),
        ("images/1000092795.jpg", "flickr30k-images/1000092795.jpg"),
        ("1000092795", "flickr30k-images/1000092795.jpg"),
        ("/home/someone/data/1000092795.jpg", "flickr30k-images/1000092795.jpg"),
        (r"C:\data\images\a.jpg", "images/a.jpg"),
        ("images/Map.svg", "wiki/Map.svg.png"),
        ("images/d41d8-2.1.jpg", "images/d41d8-2.1.jpg"),
        ("Images/A.JPG", "images/a.jpg"),
    ],
)
def test_the_end_of_the_path_is_enough(wanted: str, entry: str) -> None:
    assert found(wanted, "other/b.jpg", entry, "a-1.jpg", "1.jpg") == entry


@pytest.mark.parametrize(
    ("wanted", "entries", "entry"),
    [
        ("images/val/x.jpg", ["images/train/x.jpg", "val/x.jpg"], "val/x.jpg"),
        ("images/val/x.jpg", ["val/x.jpg", "images/val/x.png"], "images/val/x.png"),
        ("a/x.jpg", ["a/x.png", "a/x.jpg"], "a/x.jpg"),
        ("a/x.jpg", ["a/x.png", "a/x.JPG"], "a/x.JPG"),
        ("a/x.jpg", ["a/x.JPG", "a/x.jpg"], "a/x.jpg"),
        ("x.jpg", ["a/X.jpg", "b/x.png"], "b/x.png"),
        ("a/x.jpg", ["a/X.jpg", "b/x.png"], "a/X.jpg"),
        ("a/x.jpg", ["A/x.jpg", "b/x.jpg"], "A/x.jpg"),
        ("a/x.jpg", ["A/x.jpg", "a/x.png"], "a/x.png"),
        ("images/x.jpg", ["images/x.jpg", "backup/images/x.jpg"], "images/x.jpg"),
        ("x.jpg", ["thumbnails/x.jpg", "x.jpg"], "x.jpg"),
    ],
)
def test_the_best_of_several(wanted: str, entries: list[str], entry: str) -> None:
    assert found(wanted, *entries) == entry
    assert found(wanted, *reversed(entries)) == entry


@pytest.mark.parametrize(
    ("wanted", "entry", "beside", "there"),
    [
        ("images/test/A/1.png", "images/val/A/1.png", "images/test/A/2.png", False),
        ("images/test/A/1.png", "images/val/A/1.png", "images/test/B/2.png", False),
        ("images/test/A/1.png", "IMAGES/VAL/A/1.png", "Images/Test/B/2.png", False),
        ("images/test/A/1.png", "images/val/A/1.png", "images/rest/B/2.png", True),
        ("images/test/A/1.png", "mine/A/1.png", "test/A/2.png", True),
        ("test/1.png", "val/1.png", "deep/test/2.png", False),
        ("test/1.png", "val/1.png", "test/down/2.png", True),
        ("images/1.png", "flickr/1.png", "images/2.png", False),
        ("images/1.png", "flickr/1.png", "flickr/2.png", True),
        ("images/1.png", "1.png", "images/2.png", True),
    ],
)
def test_a_neighbours_file_is_another_image_where_the_wanted_folder_is_there(
    wanted: str, entry: str, beside: str, there: bool
) -> None:
    assert found(wanted, entry, beside) == (entry if there else None)


@pytest.mark.parametrize("wanted", ["b/y.jpg", "x.jpg/y", "xx.jpg", "x.jpg.jpg", "../x/..", "", "/"])
def test_another_name_is_another_image(wanted: str) -> None:
    assert found(wanted, "x.jpg", "a/x.png") is None


def test_two_that_fit_alike_are_named() -> None:
    outcome = match({"q": "images/x.jpg", "r": "images/y.jpg"}, ["small/x.jpg", "large/x.jpg", "y.jpg"])
    assert outcome.found == {"r": "y.jpg"}
    assert outcome.doubts == {"q": "both 'small/x.jpg' and 'large/x.jpg' may be image 'q'"}


def test_one_file_is_not_two_images() -> None:
    wanted = {"a": "train/1.jpg", "b": "val/1.jpg"}
    assert match(wanted, ["val/1.jpg"]).found == {"b": "val/1.jpg"}
    outcome = match(wanted, ["1.jpg"])
    assert outcome.found == {} and outcome.doubts.keys() == {"a", "b"}
    assert outcome.doubts["a"] == "'1.jpg' may be image 'a' as well as image 'b'"
    assert match({"a": "1.jpg", "b": "./1.jpg"}, ["x/1.jpg"]).found == {"a": "x/1.jpg", "b": "x/1.jpg"}
    assert match({"lower": "a.jpg", "upper": "A.jpg"}, ["a.jpg"]).found == {"lower": "a.jpg"}


def test_ids() -> None:
    wanted = {"391895": "val2014/COCO_val2014_000000391895.jpg", "images/A-1.png": "images/A-1.png"}
    assert match(wanted, ["391895", "A-1"], by_id=True).found == {"391895": "391895", "images/A-1.png": "A-1"}
    assert match(wanted, ["391895", "A-1"]).found == {"images/A-1.png": "A-1"}
    assert match(wanted, ["images/A-1.png", "A-1"], by_id=True).found == {"images/A-1.png": "images/A-1.png"}
    # an id that is the name of another image's file
    swapped = {"1": "2.jpg", "2": "1.jpg"}
    assert match(swapped, ["1", "2"], by_id=True).found == {"1": "1", "2": "2"}
    assert match(swapped, ["1", "2"]).found == {"1": "2", "2": "1"}


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("./a//b.PNG", "a/b.PNG"),
        ("a\\b.gif", "a/b.gif"),
        ("a.b/c.d.tiff", "a.b/c.d.tiff"),
        ("../b.jpg", None),
        ("a/../../b.jpg", None),
        ("/etc/b.jpg", None),
        ("C:\\b.jpg", None),
        ("__MACOSX/a/b.jpg", None),
        ("a/._b.jpg", None),
        (".cache/b.jpg", None),
        ("a/b.txt", None),
        ("a/.jpg", None),
        ("a.jpg/", None),
        ("", None),
    ],
)
def test_what_is_looked_at_in_an_archive(name: str, plain: str | None) -> None:
    assert image_path(name) == plain


names = st.sampled_from(["a", "A", "b", "1.5", "dev", "val"])
extensions = st.sampled_from([*EXTENSIONS, ".JPG"])
paths = st.builds(
    lambda folders, name, extension: "/".join([*folders, name + extension]),
    st.lists(names, max_size=3),
    names,
    extensions,
)
layouts = st.lists(paths, unique=True, max_size=8)


def has_folder(wanted: str, places: list[list[str]]) -> bool:
    """Whether some of the folders has the name of one of the wanted path's."""
    return any(part in place for place in places for part in wanted.casefold().split("/")[:-1])


@given(st.lists(paths, unique=True, min_size=1, max_size=8), layouts)
def test_official_paths_are_found_as_they_are_whatever_lies_beside(wanted: list[str], others: list[str]) -> None:
    outcome = match({path: path for path in wanted}, dict.fromkeys([*others, *wanted]))
    assert outcome.found == {path: path for path in wanted} and not outcome.doubts


@given(layouts, layouts)
def test_what_is_found_has_the_name_and_belongs_to_one_image(wanted: list[str], entries: list[str]) -> None:
    outcome = match({path: path for path in wanted}, entries)
    assert all(stem(path).lower() == stem(entry).lower() for path, entry in outcome.found.items())
    assert len(set(outcome.found.values())) == len(outcome.found)
    assert set(outcome.found.values()) <= set(entries)
    assert not outcome.found.keys() & outcome.doubts.keys()
    absent = {path for path in wanted if path not in outcome.found and path not in outcome.doubts}
    there = {stem(entry).lower() for entry in entries}
    # what is absent has no file of its name, or lost it to an image that fits better, or its own folder is there
    taken = {stem(path).lower() for path in [*outcome.found, *outcome.doubts]}
    places = [entry.rpartition("/")[0].casefold().split("/") for entry in entries]
    assert all(
        stem(path).lower() not in there or stem(path).lower() in taken or has_folder(path, places) for path in absent
    )


@given(layouts, layouts, st.randoms())
def test_the_order_of_the_files_does_not_matter(wanted: list[str], entries: list[str], random: object) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (match({path: path for path in wanted}, some) for some in (entries, shuffled))
    assert one.found == other.found and one.doubts.keys() == other.doubts.keys()


@given(paths, layouts)
def test_the_choice_is_that_of_the_rule(wanted: str, entries: list[str]) -> None:
    """Counted the slow way: drop all candidates but the best by one criterion after the other."""
    *folders, name = wanted.split("/")

    def shared(entry: str, same: object) -> int:
        others = entry.split("/")[:-1]
        return max(
            n
            for n in range(1 + min(len(folders), len(others)))
            if same(folders[-n:] * (n > 0)) == same(others[-n:] * (n > 0))
        )  # type: ignore[operator]

    def fold(parts: list[str]) -> list[str]:
        return [part.casefold() for part in parts]

    def elsewhere(entry: str) -> bool:
        common = shared(entry, fold)
        own = fold(folders[: len(folders) - common])
        places = [fold(other.split("/")[:-1]) for other in entries]
        # where only the name is shared, the folder has to hold images itself
        inside = any(
            own == (place[i : i + len(own)] if common else place[i:]) for place in places for i in range(len(place))
        )
        return bool(own) and common < len(entry.split("/")) - 1 and inside

    named = [entry for entry in entries if stem(entry).casefold() == stem(wanted).casefold()]
    left = [entry for entry in named if not elsewhere(entry)]
    for criterion in (
        lambda entry: stem(entry) == stem(wanted),
        lambda entry: shared(entry, fold),
        lambda entry: shared(entry, list),
        lambda entry: entry.rpartition(".")[2] == name.rpartition(".")[2],
        lambda entry: entry.rpartition(".")[2].lower() == name.rpartition(".")[2].lower(),
        lambda entry: entry == wanted,
    ):
        best = max(map(criterion, left), default=0)
        left = [entry for entry in left if criterion(entry) == best]
    outcome = match({"id": wanted}, entries)
    assert outcome.found == ({"id": left[0]} if len(left) == 1 else {})
    assert bool(outcome.doubts) == (len(left) > 1)


NFC, NFD = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("one", "other"), [(NFC, NFD), (NFD, NFC)])
def test_both_forms_of_unicode_are_one_name(one: str, other: str) -> None:
    assert found(f"{one}.png", "tea.png", f"{other}.png") == f"{other}.png"
    assert found(f"{one}/a.png", f"{other}/a.png", "tea/a.png") == f"{other}/a.png"
    assert found(f"{one}.png", f"{other.upper()}.PNG") == f"{other.upper()}.PNG"
    assert found(f"{one}.png", f"{other}.png", f"{one}.png") == f"{one}.png", "as it is written goes first"
    assert match({one: "x.png"}, [other], by_id=True).found == {one: other}
    assert match({one: "x.png"}, [other, one], by_id=True).found == {one: one}


def test_images_that_differ_in_nothing_else_are_not_guessed() -> None:
    told = match({NFC: f"{NFC}.png", NFD: f"{NFD}.png"}, [f"{NFC}.png"])
    assert told.found == {NFC: f"{NFC}.png"}, "it is that of its own spelling, and the other one is missing"
    upper = match({NFC: f"{NFC}.png"}, [f"{NFC.upper()}.png", f"{NFD.upper()}.png"])
    assert not upper.found and "may be image" in upper.doubts[NFC]
    three = [unicodedata.normalize("NFC", "\u01d6") + ".png", "\u00fc\u0304.png", "u\u0308\u0304.png"]
    told = match({"id": three[0]}, three[1:])
    assert not told.found and "may be image 'id'" in told.doubts["id"]
