"""One rewriter for several tasks: `letters` and `others` have different images and queries under the same ids."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from grapebench import catalog
from grapebench.cli.main import main
from grapebench.datasets import Place, load_task
from grapebench.errors import UserError
from grapebench.rewards import reward
from grapebench.rewriters import open_rewriter
from grapebench.rewriters.setup import Setup
from grapebench.training import journal
from grapebench.training.config import dump, fill
from grapebench.training.grape import Trained, folder_of, train
from grapebench.training.journal import Figures, Step, Val
from grapebench.training.material import Material, find
from grapebench.training.report import report, summary
from tests.training.test_report import Page

Make = Callable[..., dict[str, Any]]
BOTH = ["letters.toml", "others.toml"]


def material(values: dict[str, Any]) -> Material:
    return find(fill(values), Place.of(Path("data")))


def trained(values: dict[str, Any], folder: Path) -> Trained:
    return train(material(values), folder, lambda *_: None)


def test_from_start_to_card(letters: Path, settings: Make, capsys: pytest.CaptureFixture[str]) -> None:
    from grapebench.evaluation.runner import check_seen

    folder = letters / "out"
    ended = trained(settings(task=BOTH, headroom=2, val_queries=10), folder)
    assert ended.card == folder / "grape-multi.toml" and ended.reason == "finished"
    err = capsys.readouterr().err
    assert "Headroom on letters val" in err and "Headroom on others val" in err
    assert {path.name for path in folder.glob("headroom*")} == {"headroom-letters.json", "headroom-others.json"}

    # Tasks take turns; each validation has both tasks' figures and their mean.
    log = journal.read(folder)
    asked = [one.task for one in log if isinstance(one, Step)]
    assert [sorted(asked[start : start + 2]) for start in (0, 2, 4)] == [["letters", "others"]] * 3
    vals = [one for one in log if isinstance(one, Val)]
    for val in vals:
        assert list(val.tasks) == ["letters", "others"] and val.tasks["letters"] != val.tasks["others"]
        for name in set(Figures.model_fields) - {"fact_survival"}:
            assert getattr(val, name) == fmean(getattr(one, name) for one in val.tasks.values()), name
    assert ended.best == max(vals, key=lambda val: (val.recall_10 or 0, -val.step))
    samples = journal.read_samples(folder)
    assert [sum(one.task == task for one in samples) for task in ("letters", "others")] == [24, 24]

    # The card asks each family as training did, and says what was seen of both.
    card = catalog.rewriter_card(str(ended.card)).card
    assert card.families == ("translate", "condense") and set(card.prompts) == {"translate", "condense"}
    assert card.title == "GRAPE (letters, others)" and "letters train, others train" in card.about
    for name, family in (("letters", "translate"), ("others", "condense")):
        loaded = catalog.task_card(f"{name}.toml").card
        tasks = {split: load_task(loaded, "full", split, Place.of(Path("data"))) for split in ("train", "val", "test")}
        opened = open_rewriter(str(ended.card), Setup("full", family, 0, Path("data"), task=f"{name}.toml"))  # type: ignore[arg-type]
        answers = {one.query_id: one.text for one in opened.rewriter.rewrite(tasks["val"].queries)}
        some = {one.query_id: one.rewrite for one in samples if one.task == name and one.step == ended.best.step}
        assert len(some) == 8 and some.items() <= answers.items()
        assert check_seen(tasks["test"], opened, False) is None
        with pytest.raises(UserError, match=f"{name} train"):
            check_seen(tasks["train"], opened, False)

    # A page shows the mean and each task's own.
    rows = dict(summary(folder).rows())
    assert rows["R@10 letters"][0] == f"{vals[0].tasks['letters'].recall_10:.1%}"
    assert rows["R@10"][0] == f"{vals[0].recall_10:.1%}"
    page = Page(report(folder))
    for said in ("Recall on val: letters", "Recall on val: others", "(means over 2 steps: each step is of one task)"):
        assert said in page.text
    assert [table[0][0] for table in page.tables[1:3]] == ["letters", "others"]
    assert len(page.tables) == 3 + 16

    # The same command again computes nothing.
    assert trained(settings(task=BOTH, headroom=2, val_queries=10), folder) == ended


def test_equal_ids_stay_apart(letters: Path, settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt is of its own task's query, was prompted so, and is ranked among its own task's images."""
    calls: list[tuple[reward.Judge, list[str], list[str]]] = []
    as_trl = reward.as_trl

    def watched(judge: reward.Judge, queries: Any, *more: Any) -> Callable[..., list[float]]:
        made = as_trl(judge, queries, *more)

        def asked(prompts: Any, query_id: list[str], **more: Any) -> list[float]:
            texts = [queries[one].text for one in query_id]
            calls.append((judge, query_id, [p for p, text in zip(prompts, texts, strict=True) if text in p]))
            return made(prompts, query_id=query_id, **more)

        return asked

    monkeypatch.setattr(reward, "as_trl", watched)
    trained(settings(task=BOTH, steps=4, val_every=4), letters / "out")
    assert len(calls) == 4
    for judge, ids, prompts in calls:
        name, others = ("letters", "others") if ids[0].startswith("letters/") else ("others", "letters")
        assert all(one.startswith(f"{name}/q-train-") for one in ids) and len(ids) == 16
        assert len(judge.pool.gallery) == {"letters": 20, "others": 14}[name]
        start = {"letters": "Say: ", "others": "Cut: "}
        assert len(prompts) == 16 and all(start[name] in one and start[others] not in one for one in prompts)
    assert len({id(judge) for judge, *_ in calls}) == 2


def test_what_was_seen_is_recorded(letters: Path, settings: Make) -> None:
    made = material(settings(task=BOTH))
    record = made.record
    assert (record["letters/train"]["images"], record["others/train"]["images"]) == (20, 14)
    assert record["letters/train"]["query_ids_sha256"] != record["others/train"]["query_ids_sha256"]
    assert record["letters/rewriter"] != record["others/rewriter"]
    assert folder_of(made).parts[-4:-1] == ("training", "grape", "multi")
    alone = material(settings()).record
    assert {f"letters/{key}" if f"letters/{key}" in record else key for key in alone} <= set(record)
    trained(settings(task=BOTH, steps=2, val_every=2), letters / "out")
    (letters / "data" / "pictures" / "val-03.png").write_text("another picture")
    with pytest.raises(UserError, match="the training there was begun with another others/val;"):
        trained(settings(task=BOTH, steps=2, val_every=2), letters / "out")


@pytest.mark.slow
def test_a_training_that_was_cut_short_ends_the_same(letters: Path, settings: Make) -> None:
    values = settings(task=BOTH)
    whole, cut = letters / "whole", letters / "cut"
    trained(values, whole)
    shutil.copytree(whole, cut)
    for name in ("adapter", "checkpoints/step-000006"):
        shutil.rmtree(cut / name)
    (cut / "grape-multi.toml").unlink()
    lines = (cut / "log.jsonl").read_text().splitlines(keepends=True)
    (cut / "log.jsonl").write_text("".join(lines[:-2]) + lines[-2][:20])
    trained(values, cut)
    for name in ("adapter", "checkpoints/step-000006"):
        name += "/adapter_model.safetensors"
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
    logs = [[one.model_dump(exclude={"seconds"}) for one in journal.read(one)] for one in (whole, cut)]
    assert logs[0] == logs[1]
    assert journal.read_samples(cut) == journal.read_samples(whole)


@pytest.mark.slow
def test_a_warm_start(letters: Path, settings: Make) -> None:
    captions = [{"image": f"train-{number:02}", "caption": f"picture {number}"} for number in range(20)]
    (letters / "data" / "oracle.jsonl").write_text("".join(json.dumps(one) + "\n" for one in captions))
    values = settings(task=BOTH, sft=4, sft_learning_rate=0.01, steps=2, val_every=2)
    found = []
    for name in ("out", "again"):
        trained(values, letters / name)
        found.append(
            [(letters / name / part / "adapter_model.safetensors").read_bytes() for part in ("sft", "adapter")]
        )
    assert found[0] == found[1]


def test_the_command(letters: Path, settings: Make, capsys: pytest.CaptureFixture[str]) -> None:
    (letters / "config.toml").write_text(dump(fill(settings(steps=2, val_every=2))))
    tasks = [word for task in BOTH for word in ("--task", task)]
    assert main(["train", "grape", "--config", "config.toml", *tasks, "--data", "data", "--out", "out"]) == 0
    mean, *own, card = capsys.readouterr().out.splitlines()
    assert mean.startswith("val R@10 ") and card == "out/grape-multi.toml"
    assert [line.split()[0] for line in own] == ["letters", "others"]
    assert main(["train", "grape", "--resume", "--data", "data", "--out", "out"]) == 0
    assert capsys.readouterr().out.splitlines() == [mean, *own, card]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": ["letters.toml", "others.toml", "letters.toml"]}, "the task letters is named 2 times; name each"),
        ({"task": ["letters.toml", "copy/letters.toml"]}, "the task letters is named 2 times"),
        ({"task": ["letters.toml", "cirrr"]}, "unknown task 'cirrr'; did you mean 'cirr'"),
        ({"task": BOTH, "steps": 1}, "1 steps are too few for 2 tasks, as a step is of one task; set more steps"),
        ({"task": ["letters.toml", "twin.toml"]}, "twin trains on 12 of the images that letters val chooses"),
    ],
)
def test_what_does_not_go_together(letters: Path, settings: Make, changes: dict[str, Any], said: str) -> None:
    (letters / "copy").mkdir()
    card = (letters / "letters.toml").read_text()
    (letters / "copy" / "letters.toml").write_text(card)
    # The same pictures, divided in another way: the val images of `letters` are among those that it trains on.
    loader = (letters / "loader.py").read_text().replace('glob(f"{split}-*.png")', 'glob("*.png")')
    (letters / "twin.py").write_text(loader)
    twin = card.replace('name = "letters"', 'name = "twin"\ncollection = "letters"').replace("loader.py", "twin.py")
    (letters / "twin.toml").write_text(twin)
    with pytest.raises(UserError, match=said):
        material(settings(**changes))


def test_one_model_cannot_be_asked_in_two_ways(letters: Path, settings: Make) -> None:
    start = (letters / "start.toml").read_text()
    (letters / "start.toml").write_text(start + "\n[tasks.letters]\n[tasks.others]\nmax_new_tokens = 9\n")
    with pytest.raises(UserError, match="start has other settings for others than for letters, and one model is"):
        material(settings(task=BOTH))
    without = start.replace('condense = "cut.txt"\n', "").replace("mechanism", 'families = ["translate"]\nmechanism')
    (letters / "start.toml").write_text(without)
    with pytest.raises(UserError, match="'start' is for tasks of the family translate, not condense"):
        material(settings(task=BOTH))


def test_prompts_of_one_name_are_kept_apart(letters: Path, settings: Make) -> None:
    (letters / "cuts").mkdir()
    (letters / "cuts" / "ask.txt").write_text("Cut: $query")
    start = (letters / "start.toml").read_text()
    (letters / "start.toml").write_text(start.replace("cut.txt", "cuts/ask.txt"))
    trained(settings(task=BOTH, steps=2, val_every=2), letters / "out")
    found = {path.name: path.read_text() for path in (letters / "out" / "prompts").iterdir()}
    assert found == {"ask.txt": "Say: $query", "condense-ask.txt": "Cut: $query"}
