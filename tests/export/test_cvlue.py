from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from grapebench.cli.main import main
from grapebench.leaderboard import store

T2I, I2T, RUN, TEXTS = "t2i_submit.json", "i2t_submit.json", "run.trec.gz", "image_to_text.trec.gz"


def scores(gold: Path, submitted: Path) -> dict[str, float]:
    """The rules of the official scorer, written again: captions are told apart by their text alone."""
    captions = {record["image"]: record["caption"] for record in json.loads(gold.read_text(encoding="utf-8"))}
    images = defaultdict(set)
    for image, texts in captions.items():
        for text in texts:
            images[text].add(image)
    t2i, i2t = (json.loads((submitted / name).read_text(encoding="utf-8")) for name in (T2I, I2T))
    found = {}
    for k in (1, 5, 10):
        hits = sum(bool(images[text] & set(answers[:k])) for text, answers in t2i.items())
        found[f"R@{k}"] = hits / len(t2i)
        hits = sum(bool(set(captions[image]) & set(answers[:k])) for image, answers in i2t.items())
        found[f"i2t_R@{k}"] = hits / len(i2t)
    return found


def shape(submitted: Path) -> None:
    """What the real sample files have in common with ours: texts to lists of paths, paths to lists of texts."""
    t2i, i2t = (json.loads((submitted / name).read_text(encoding="utf-8")) for name in (T2I, I2T))
    assert {path for answers in t2i.values() for path in answers} <= i2t.keys()
    assert {text for answers in i2t.values() for text in answers} <= t2i.keys()
    for answers in (*t2i.values(), *i2t.values()):
        assert len(set(answers)) == len(answers) <= 10


def export(folder: Path, *more: str) -> int:
    return main(["export", "cvlue", str(folder), "--data", "cvlue", *more])


def test_the_official_scorer_finds_our_figures(place: Path, make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make("cvlue", "test")
    assert export(folder, "--out", "sent") == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"sent/{T2I}", f"sent/{I2T}"] and err == ""
    gold = place / "cvlue" / "test.json"
    found, metrics = scores(gold, place / "sent"), store.load(folder).metrics
    assert found == pytest.approx({key: metrics[key] for key in found})
    assert 0 < found["R@1"] < found["R@5"] < found["R@10"] < 1, "figures that could differ"
    assert 0 < found["i2t_R@1"] < found["i2t_R@10"] <= 1
    shape(place / "sent")
    records = json.loads(gold.read_text(encoding="utf-8"))
    t2i, i2t = (json.loads((place / "sent" / name).read_text(encoding="utf-8")) for name in (T2I, I2T))
    captions = [caption for record in records for caption in record["caption"]]
    assert len(captions) == 150 and len(t2i) == 130, "captions that images share are one entry"
    assert t2i.keys() == set(captions) and i2t.keys() == {record["image"] for record in records}
    assert {len(answers) for answers in (*t2i.values(), *i2t.values())} == {10}


def test_the_official_scorer_finds_our_figures_on_the_miniature(
    tmp_path: Path, fresh_home: Path, searched: Any
) -> None:
    """Pictures that the miniature draws, in the official form, and its retriever: chance, of which there is enough."""
    from grapebench.datasets import Place, cvlue
    from grapebench.export import cvlue as scorer
    from grapebench.export.source import Source, write
    from grapebench.records import Task
    from grapebench.retrieval import open_retriever
    from grapebench.world.official import WRITERS, Folder

    (tmp_path / "data").mkdir()
    WRITERS["cvlue"](Folder(tmp_path / "data"), "val", 40, random.Random(0))
    dataset = cvlue.load(Place.of(tmp_path / "data"), "val")
    task = Task("cvlue", "mini", "val", "translate", "categories", 1, dataset, tmp_path / "data")
    folder = searched(task, open_retriever("mini-clip", "mini"))
    result = store.load(folder)
    write(scorer.submission(Source(result, folder, task)), tmp_path / "sent")
    found = scores(tmp_path / "data" / "val.json", tmp_path / "sent")
    assert found == pytest.approx({key: result.metrics[key] for key in found})
    assert 0 < found["R@5"] < found["R@10"] < 1 and 0 < found["i2t_R@10"] < 1, found


def test_a_split_with_fewer_images_than_answers(place: Path, make: Any) -> None:
    gold = place / "cvlue" / "test.json"
    records = json.loads(gold.read_text(encoding="utf-8"))[:1]
    gold.write_text(json.dumps(records), encoding="utf-8")
    card = place / "catalogue" / "tasks" / "cvlue.toml"
    card.write_text(card.read_text().replace("images = 30", "images = 1"))
    assert export(make("cvlue", "test")) == 0
    t2i, i2t = (json.loads((place / name).read_text(encoding="utf-8")) for name in (T2I, I2T))
    assert t2i == {caption: [records[0]["image"]] for caption in records[0]["caption"]}
    assert {image: set(texts) for image, texts in i2t.items()} == {records[0]["image"]: set(records[0]["caption"])}


def test_the_blind_form(place: Path, make: Any) -> None:
    """Paths and captions without what belongs together; a run on it has no figures, and can be exported."""
    gold = place / "cvlue" / "test.json"
    records = json.loads(gold.read_text(encoding="utf-8"))
    captions = [caption for record in records for caption in record["caption"]]
    random.Random(0).shuffle(captions)
    (place / "cvlue" / "images.json").write_text(json.dumps([record["image"] for record in records]))
    (place / "cvlue" / "captions.json").write_text(json.dumps(captions), encoding="utf-8")
    labelled = make("cvlue", "test")
    gold.rename(place / "gold.json")
    blind = make("cvlue", "test")
    assert not store.load(blind).labelled
    assert export(blind, "--out", "sent") == 0
    metrics = store.load(labelled).metrics
    found = scores(place / "gold.json", place / "sent")
    assert found == pytest.approx({key: metrics[key] for key in found})


@pytest.mark.parametrize(
    ("file", "edit", "said"),
    [
        (RUN, lambda rows: rows[100:], "the run has no answer for 'images/test/A/1-thing/A-0.png#1'"),
        (TEXTS, lambda rows: rows[10:], "the run has no answer for 'images/test/A/1-thing/A-0.png'"),
        (TEXTS, lambda rows: [[*rows[0][:2], "caption#9", *rows[0][3:]], *rows[1:]], "unknown answer 'caption#9'"),
        (TEXTS, lambda rows: rows[1:], "'images/test/A/1-thing/A-0.png' has 9 answers where the scorer takes 10"),
        (RUN, lambda rows: [row for row in rows if int(row[3]) < 9], "has 8 answers where the scorer takes 10"),
    ],
)
def test_what_the_scorer_would_miss_is_refused(
    file: str, edit: Any, said: str, place: Path, make: Any, tamper: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make("cvlue", "test")
    tamper(folder, file, edit)
    assert export(folder) == 2
    out, err = capsys.readouterr()
    assert said in err and file in err and err.count("\n") == 1 and out == ""
    assert not list(place.glob("*submit*"))


@pytest.mark.annotations
def test_the_official_samples_have_the_same_shape(annotations: Path) -> None:
    samples = annotations / "cvlue" / "test_example_IC"
    shape(samples)
    assert set(scores(samples / "gold.json", samples)) == {f"{way}R@{k}" for way in ("", "i2t_") for k in (1, 5, 10)}
    t2i = json.loads((samples / T2I).read_text(encoding="utf-8"))
    assert t2i.keys() == set(json.loads((samples / "captions.json").read_text(encoding="utf-8")))
