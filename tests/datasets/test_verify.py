from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from grapebench.datasets.place import Place
from grapebench.datasets.survey import Count, SplitSurvey
from grapebench.datasets.verify import verify
from grapebench.records import Dataset, Gallery, Query

IDS = tuple(f"i{n:02}" for n in range(20))


def picture(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 255 - number, 0)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, image in enumerate(IDS):
        (tmp_path / f"{image}.png").write_bytes(picture(number))
    return tmp_path


def surveyed(folder: Path, **changes: object) -> SplitSurvey:
    pictures = Place.of(folder).pictures({image: f"{image}.png" for image in IDS})
    dataset = Dataset((Query("q", "text", IDS[:1]),), Gallery(IDS, pictures))
    counts = {"queries": Count(1, 1), "images": Count(20, 20)}
    fields = {"split": "test", "counts": counts, "missing": tuple(pictures.missing(IDS)), "dataset": dataset}
    return SplitSurvey(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_whole_split_has_no_faults(folder: Path) -> None:
    reports: list[tuple[int, int]] = []
    found = verify(surveyed(folder), lambda *told: reports.append(told))
    assert (found.decoded, found.broken, found.duplicates, found.faults) == (20, {}, (), [])
    assert reports == [(place, 20) for place in range(1, 21)]


def test_broken_missing_and_equal_images_are_told_apart(folder: Path) -> None:
    (folder / "i03.png").write_bytes(picture(3)[:40])
    (folder / "i04.png").write_bytes(b"<html>not found</html>")
    (folder / "i05.png").unlink()
    for copy in ("i07", "i09"):
        (folder / f"{copy}.png").write_bytes(picture(1))
    found = verify(surveyed(folder))
    assert found.decoded == 17
    assert list(found.broken) == ["i03", "i04"]
    assert all("cannot be decoded" in what for what in found.broken.values())
    assert found.duplicates == (("i01", "i07", "i09"),)
    assert found.faults == ["missing images: 1", "broken images: 2"]


def test_images_that_are_equal_and_broken_are_both(folder: Path) -> None:
    for name in ("i03", "i04"):
        (folder / f"{name}.png").write_bytes(b"")
    found = verify(surveyed(folder))
    assert list(found.broken) == ["i03", "i04"] and found.duplicates == (("i03", "i04"),)


def test_a_file_that_goes_away_meanwhile_is_broken(folder: Path) -> None:
    survey = surveyed(folder)
    assert survey.dataset is not None
    survey.dataset.gallery.images.missing(IDS)
    (folder / "i02.png").unlink()
    assert list(verify(survey).broken) == ["i02"]


def test_counts_and_unreadable_files_are_faults_but_not_a_split_that_is_not_there(folder: Path) -> None:
    counts = {"queries": Count(1, 2), "images": Count(20, 20)}
    assert verify(surveyed(folder, counts=counts)).faults == ["1 queries instead of 2"]
    unread = {"dataset": None, "missing": (), "problem": "a.json:3: is torn"}
    assert verify(surveyed(folder, **unread)).faults == ["a.json:3: is torn"]
    assert verify(surveyed(folder, **unread, there=False)).faults == []
    closed = verify(surveyed(folder, images_problem="images.zip: is torn"))
    assert (closed.decoded, closed.faults) == (0, ["images.zip: is torn"])
