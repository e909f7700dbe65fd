"""`grapebench data` on the miniature in CVLUE's official layout: val and test are there, train is not."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from grapebench import catalog
from grapebench.cli.main import main
from grapebench.datasets import places
from grapebench.datasets.place import Place
from grapebench.world import official

CARD = """
name = "cvlue"
title = "CVLUE"
about = "A made-up one."
family = "translate"
dataset = "cvlue"
protocol = "retrieval"
languages = ["zh"]
licence = "CC BY-NC-ND 4.0, given out by form"
source = "https://example.org/cvlue"
citation = "none"

[full]
annotations = "train.json, val.json and test.json, from the authors by form"
images = "the folder or archive that comes with them"
splits.train = { images = 20, captions = 100 }
splits.val = { images = 6, captions = 30 }
splits.test = { images = 18, captions = 90 }
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cvlue")
    for split, images in (("val", 6), ("test", 18)):
        official.cvlue(official.Folder(folder), split, images, random.Random(split))
    return folder


class Bench:
    """A folder of official files that a test may spoil, and the command on it."""

    def __init__(self, root: Path, written: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data, self.card, self._capsys = root / "my [data]", root / "cvlue.toml", capsys
        self.card.write_text(CARD)
        for path in written.rglob("*.*"):
            copy = self.data / path.relative_to(written)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
        records = json.loads((self.data / "test.json").read_text())
        self.wanted = [record["image"] for record in records[6:]]
        """Images of test; val has none of the same file name, which would be taken in their place."""

    def __call__(self, verb: str, *more: str | Path, code: int = 0) -> tuple[str, str]:
        """Both streams of a call that must end with the code."""
        assert main(["data", verb, str(self.card), *map(str, more)]) == code
        out, err = self._capsys.readouterr()
        return out, err

    def fails(self, verb: str, *more: str | Path) -> str:
        """The one line on stderr of a call that must fail and print nothing else."""
        out, err = self(verb, *more, code=2)
        assert out == "" and err.count("\n") == 1 and err.startswith("error: ")
        return err

    def json(self, verb: str, code: int = 0) -> dict[str, Any]:
        out, _ = self(verb, "--json", code=code)
        assert out.count("\n") == 1
        values: dict[str, Any] = json.loads(out)
        return values


@pytest.fixture
def bench(tmp_path: Path, written: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")
    return Bench(tmp_path, written, capsys)


def rows(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()]


def test_add_says_what_it_found_and_remembers_it(bench: Bench) -> None:
    out, err = bench("add", "--annotations", bench.data)
    assert places.remembered("cvlue") == Place.of(bench.data)
    assert ["val", "30/?", "30/30", "6/6", "complete"] in rows(out)
    assert ["test", "90/?", "90/90", "18/18", "complete"] in rows(out)
    assert ["train", "–/?", "–/100", "–/20", "not", "there"] in rows(out)
    assert str(bench.data) in out, "brackets in a path are no markup"
    assert err == f"remembered in {places.file_of('cvlue')}\n"


def test_images_may_lie_apart_in_an_archive(bench: Bench, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in (bench.data / "images").rglob("*.png"):
            archive.write(path, path.relative_to(bench.data))
    (bench.data / "images").rename(tmp_path / "away")
    bench("add", "--annotations", bench.data, "--images", tmp_path / "images.zip")
    assert places.remembered("cvlue") == Place(bench.data, tmp_path / "images.zip")
    out, _ = bench("verify")
    assert f"{bench.data} (annotations)\n{tmp_path}/images.zip (images)\n" in out


def test_annotations_alone_are_enough_for_scoring_and_that_is_said(bench: Bench, tmp_path: Path) -> None:
    (bench.data / "images").rename(tmp_path / "away")
    out, err = bench("add", "--annotations", bench.data)
    assert "no images" in out and "test:  18 of 18 images missing: " in out
    assert err.startswith("warning: there are no images of cvlue: enough for `grapebench score`, not for")
    assert places.remembered("cvlue") is not None


def test_nothing_is_remembered_that_cannot_be_read(bench: Bench, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    broken = tmp_path / "images.zip"
    broken.write_bytes(b"PK\3\4 broken off")
    for arguments, parts in (
        ([], ["it is not said where the files are; give --images PATH, --annotations PATH or both"]),
        (["--annotations", tmp_path / "no"], [f"{tmp_path}/no: there is no such file or folder"]),
        (["--images", broken], ["images.zip: this is a file", "--annotations PATH"]),
        (
            ["--annotations", empty],
            [f"{empty}: nothing of cvlue train or val or test is there", "train.json: the file is missing",
             "needed are train.json, val.json and test.json, from the authors by form (https://example.org/cvlue)"],
        ),
        (
            ["--annotations", bench.data, "--images", empty],
            [f"{empty}: none of the images of cvlue is here (the first that is looked for is", "needed are the folder"],
        ),
        (["--annotations", bench.data, "--images", broken], [f"{broken}: "]),
    ):  # fmt: skip
        said = bench.fails("add", *arguments)
        assert all(part in said for part in parts), said
    text = (bench.data / "test.json").read_text()
    (bench.data / "val.json").unlink()
    (bench.data / "test.json").write_text(text[: len(text) // 2])
    assert f"{bench.data}/test.json:" in bench.fails("add", "--annotations", bench.data)
    (bench.data / "test.json").write_text(json.dumps(json.loads(text)[:5]))
    said = bench.fails("add", "--annotations", bench.data)
    assert f"{bench.data}: cvlue test is not what its card promises: 25 captions instead of 90, 5 images inst" in said
    assert places.remembered("cvlue") is None


def test_one_good_split_is_enough_and_the_other_is_told(bench: Bench) -> None:
    text = (bench.data / "test.json").read_text()
    (bench.data / "test.json").write_text(text[:300])
    out, _ = bench("add", "--annotations", bench.data)
    assert ["val", "30/?", "30/30", "6/6", "complete"] in rows(out)
    assert ["test", "–/?", "–/90", "–/18", "unreadable"] in rows(out)
    # The line is as wide as the terminal, so a long path is broken at its space.
    assert " ".join(f"test:  {bench.data}/test.json:".split()) in " ".join(out.split())


def test_a_task_without_official_files_has_no_place(bench: Bench) -> None:
    bench.card.write_text(CARD.replace("[full]", "[mini]"))
    for verb, more in (("add", ["--annotations", bench.data]), ("status", []), ("verify", [])):
        assert "cvlue has no suite 'full'; there is: mini" in bench.fails(verb, *more)


def test_status_before_anything_was_said(bench: Bench) -> None:
    out, err = bench("status")
    assert err == ""
    for part in (
        "cvlue: CVLUE",
        "annotations  train.json, val.json and test.json, from the authors by form",
        "images       the folder or archive that comes with them",
        "source       https://example.org/cvlue",
        "licence      CC BY-NC-ND 4.0, given out by form",
        "place        not said yet: grapebench data add ",
    ):
        assert part in out
    # The card is given by its path, which the table may break into lines.
    assert f"grapebenchdataadd{bench.card}--imagesDIR--annotationsDIR" in "".join(out.split())
    assert ["test", "–/?", "–/90", "–/18", "not", "there"] in rows(out)
    found = bench.json("status")
    assert found["place"] is None and found["problem"] is None
    assert found["licence"] == "CC BY-NC-ND 4.0, given out by form"
    assert found["splits"][2]["images"] == {"found": None, "expected": 18} and not found["splits"][2]["there"]


def test_status_counts_and_names_what_is_missing(bench: Bench) -> None:
    bench("add", "--annotations", bench.data)
    for image in bench.wanted[1:]:
        (bench.data / image).unlink()
    out, err = bench("status")
    assert err == ""
    assert ["test", "90/?", "90/90", "7/18", "11", "images", "missing"] in rows(out)
    assert f"test: 11 of 18 images missing: {', '.join(bench.wanted[1:11])}, … " in " ".join(out.split()) + " "
    test = bench.json("status")["splits"][2]
    assert test["missing_images"] == {"count": 11, "first": bench.wanted[1:11]}
    assert test["there"] and not test["complete"] and test["captions"] == {"found": 90, "expected": 90}


def test_status_opens_no_image(bench: Bench) -> None:
    bench("add", "--annotations", bench.data)
    for image in bench.wanted:
        (bench.data / image).write_bytes(b"no image")
    assert ["test", "90/?", "90/90", "18/18", "complete"] in rows(bench("status")[0])


def test_status_of_a_place_that_has_gone_or_a_broken_file(bench: Bench, tmp_path: Path) -> None:
    bench("add", "--annotations", bench.data)
    bench.data.rename(tmp_path / "away")
    out, _ = bench("status")
    assert f"{bench.data}: there is no such file or folder" in " ".join(out.split())
    assert "has gone" in bench.fails("verify")
    file = places.file_of("cvlue")
    file.write_text("{")
    found = bench.json("status")
    assert found["problem"].startswith(f"{file}: the remembered place of cvlue cannot be read")
    assert "delete the file" in bench.fails("verify")


@pytest.mark.parametrize("width", [80, 120])
def test_status_of_all_tasks_fits(
    width: int, bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["data", "status"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width and "…" not in out
    for name in catalog.task_names():
        assert (f"{name}: " in out) == (catalog.task_card(name).card.full is not None)


def test_verify_decodes_everything(bench: Bench) -> None:
    bench("add", "--annotations", bench.data)
    out, err = bench("verify")
    assert err == ""
    assert ["test", "90/?", "90/90", "18/18", "18", "0", "complete"] in rows(out)
    assert ["train", "–/?", "–/100", "–/20", "–", "–", "not", "there"] in rows(out)
    out, _ = bench("verify", "--split", "val")
    assert [row[0] for row in rows(out) if row[1:2] == ["30/?"] or row[1:2] == ["90/?"]] == ["val"]


def test_verify_names_missing_broken_and_equal_images(bench: Bench) -> None:
    bench("add", "--annotations", bench.data)
    missing, *broken, same = bench.wanted[:5]
    (bench.data / missing).unlink()
    for image in broken:
        (bench.data / image).write_bytes((bench.data / image).read_bytes()[:50])
    (bench.data / same).write_bytes((bench.data / bench.wanted[5]).read_bytes())
    out, err = bench("verify", code=2)
    assert err == "error: cvlue is not as it should be: test: missing images: 1, broken images: 3\n"
    said = " ".join(out.split())
    assert f"test: 1 of 18 images missing: {missing} " in said
    assert f"test: 3 images broken: {broken[0]} (cannot be decoded: " in said
    assert f"test: 2 images the same file as another: {same} = {bench.wanted[5]}" in said
    found = bench.json("verify", code=2)
    val, test = found["splits"][1:]
    assert not found["sound"] and val["complete"] and val["decoded"] == 6
    assert test["decoded"] == 14 and list(test["broken_images"]["first"]) == broken
    assert test["duplicates"] == {"count": 2, "first": [[same, bench.wanted[5]]]}


def test_equal_images_alone_are_no_fault(bench: Bench) -> None:
    bench("add", "--annotations", bench.data)
    (bench.data / bench.wanted[0]).write_bytes((bench.data / bench.wanted[1]).read_bytes())
    out, _ = bench("verify")
    assert "2 images the same file as another" in out
    assert bench.json("verify")["sound"]


def test_verify_holds_counts_against_the_card(bench: Bench) -> None:
    bench("add", "--annotations", bench.data)
    bench.card.write_text(CARD.replace("images = 18", "images = 19"))
    out, err = bench("verify", code=2)
    assert "test: 18 images instead of 19" in err and "other counts" in out and "18/19" in out


def test_verify_without_anything_to_verify(bench: Bench) -> None:
    assert "cvlue needs the official files" in bench.fails("verify")
    bench("add", "--annotations", bench.data)
    assert "has no split 'tset' in the suite full; there is: train, val, test" in bench.fails(
        "verify", "--split", "tset"
    )
    assert f"{bench.data}: nothing of cvlue train is there ({bench.data}/train.json" in bench.fails(
        "verify", "--split", "train"
    )


MODELS = """
from pathlib import Path
from grapebench.retrieval.checkpoint import published_checkpoint
from grapebench.rewriters.models import locate
print(locate("someone/rewriter", Path("/nowhere"), "main").folder)
print(published_checkpoint("hf-hub:someone/retriever", None).path)
"""


def test_models_are_taken_from_where_hf_home_says(tmp_path: Path) -> None:
    """Models that lie in the cache which HF_HOME names are found there, without a network."""
    config = {"embed_dim": 4, "vision_cfg": {}, "text_cfg": {}}
    files = {
        "rewriter": {"config.json": "{}"},
        "retriever": {"open_clip_config.json": json.dumps({"model_cfg": config}), "open_clip_model.safetensors": "w"},
    }
    expected = []
    for name, contents in files.items():
        repository = tmp_path / "hf" / "hub" / f"models--someone--{name}"
        snapshot = repository / "snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("0" * 40)
        for file, text in contents.items():
            (snapshot / file).write_text(text)
        expected.append(snapshot)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    environment |= {"GRAPEBENCH_HOME": str(tmp_path / "home")}
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        environment.pop(variable, None)
    found = subprocess.run([sys.executable, "-c", MODELS], env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == [str(expected[0]), str(expected[1] / "open_clip_model.safetensors")]
