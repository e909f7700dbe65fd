from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from grapebench import files
from grapebench.datasets import Place, load_task
from grapebench.errors import UserError
from grapebench.rewriters import models, open_rewriter
from grapebench.rewriters.setup import Setup
from grapebench.training import checkpoint, grape, journal
from grapebench.training.config import fill
from grapebench.training.grape import Trained, train
from grapebench.training.journal import Step, Stop, Val
from grapebench.training.material import Material, find

Make = Callable[..., dict[str, Any]]


def material(values: dict[str, Any]) -> Material:
    return find(fill(values), Place.of(Path("data")))


def trained(values: dict[str, Any], folder: Path) -> Trained:
    return train(material(values), folder, lambda *_: None)


def adapter(folder: Path) -> bytes:
    return (folder / "adapter" / "adapter_model.safetensors").read_bytes()


def test_a_training_from_start_to_card(letters: Path, settings: Make, capsys: pytest.CaptureFixture[str]) -> None:
    folder = letters / "out"
    ended = trained(settings(tensorboard=True), folder)
    assert list(folder.rglob("events.out.tfevents.*"))
    assert ended.card == folder / "grape-letters.toml" and ended.reason == "finished"
    out, err = capsys.readouterr()
    assert out == "" and "step 0: val R@1" in err and "step 6: val R@1" in err

    log = journal.read(folder)
    assert [one.step for one in log if isinstance(one, Step)] == [1, 2, 3, 4, 5, 6]
    assert [one.step for one in log if isinstance(one, Val)] == [0, 3, 6]
    assert isinstance(log[-1], Stop) and log[-1].reason == "finished"
    first = next(one for one in log if isinstance(one, Step))
    assert first.model_dump().keys() == {k for k, v in first.model_dump().items() if v is not None}
    assert first.kl == 0 and first.length is not None and 0 < first.length <= 6
    assert len(journal.read_samples(folder)) == 3 * 8
    # Of the steps 2, 4 and 6, and those of validations; the last two are kept, and the best.
    assert checkpoint.steps(folder) == sorted({ended.best.step, 4, 6})

    # The adapter is the best checkpoint's, and no path of this machine is in it.
    best = checkpoint.path_of(folder, ended.best.step)
    assert adapter(folder) == (best / "adapter_model.safetensors").read_bytes()
    assert json.loads((folder / "adapter" / "base.json").read_text()) == material(settings()).record["model"]
    for path in folder.rglob("*.json"):
        assert str(letters) not in path.read_text(), path
    assert not [path for path in folder.rglob("*") if path.suffix in (".pt", ".pth", ".bin", ".pkl")]

    # The same command again computes nothing.
    before = (folder / "log.jsonl").read_bytes()
    assert trained(settings(), folder) == ended
    assert (folder / "log.jsonl").read_bytes() == before


def test_the_card_runs_and_refuses_what_was_trained_on(letters: Path, settings: Make) -> None:
    from grapebench import catalog
    from grapebench.evaluation.runner import check_seen

    ended = trained(settings(steps=4, val_every=4, save_every=4, learning_rate=0.05), letters / "out")
    card = catalog.task_card("letters.toml").card
    tasks = {name: load_task(card, "full", name, Place.of(Path("data"))) for name in ("train", "val", "test")}
    setup = Setup("full", "translate", 0, Path("data"), task="letters.toml")
    opened = open_rewriter(str(ended.card), setup)
    assert opened.name == "grape-letters" and opened.fingerprint != open_rewriter("start.toml", setup).fingerprint
    assert check_seen(tasks["test"], opened, False) is None
    with pytest.raises(UserError, match="which holds 20 of the 20 images"):
        check_seen(tasks["train"], opened, False)
    # Val chose the checkpoint.
    with pytest.raises(UserError, match="letters train, letters val, which holds 12 of the 12 images"):
        check_seen(tasks["val"], opened, False)

    # What the trainer saw of a checkpoint is what the engine answers with it.
    for step in (0, 4):
        name = "adapter_model.safetensors"
        shutil.copy(checkpoint.path_of(letters / "out", step) / name, letters / "out" / "adapter" / name)
        opened = open_rewriter(str(ended.card), setup)
        answers = {one.query_id: one.text for one in opened.rewriter.rewrite(tasks["val"].queries)}
        samples = [one for one in journal.read_samples(letters / "out") if one.step == step]
        assert len(samples) == 8 and {one.query_id: one.rewrite for one in samples}.items() <= answers.items()
        models.load.cache_clear()  # the engine keeps a model by its folder


def test_what_was_seen_is_recorded(letters: Path, settings: Make) -> None:
    made = material(settings())
    record = made.record
    assert (record["train"]["split"], record["train"]["queries"]) == ("train", 20)
    assert (record["val"]["split"], record["val"]["images"]) == ("val", 12)
    assert grape.folder_of(made).parts[-4:-1] == ("training", "grape", "letters")
    assert grape.folder_of(made) == grape.folder_of(material(settings(tensorboard=True)))
    assert grape.folder_of(made) != grape.folder_of(material(settings(seed=1)))
    (letters / "data" / "images" / "train-00.png").write_text("another picture")
    assert material(settings()).record["train"]["images_sha256"] != record["train"]["images_sha256"]


@pytest.mark.slow
def test_a_training_that_was_cut_short_ends_the_same(letters: Path, settings: Make) -> None:
    values = settings()
    whole, cut = letters / "whole", letters / "cut"
    trained(values, whole)
    shutil.copytree(whole, cut)
    # As it was when it was killed between the checkpoints of steps 4 and 6.
    for name in ("adapter", "checkpoints/step-000006"):
        shutil.rmtree(cut / name)
    (cut / "grape-letters.toml").unlink()
    lines = (cut / "log.jsonl").read_text().splitlines(keepends=True)
    (cut / "log.jsonl").write_text("".join(lines[:-2]) + lines[-2][:20])
    trained(values, cut)
    assert adapter(cut) == adapter(whole)
    last = "checkpoints/step-000006/adapter_model.safetensors"
    assert (cut / last).read_bytes() == (whole / last).read_bytes()

    def timeless(folder: Path) -> list[dict[str, Any]]:
        return [one.model_dump(exclude={"seconds"}) for one in journal.read(folder)]

    assert timeless(cut) == timeless(whole)
    assert journal.read_samples(cut) == journal.read_samples(whole)


@pytest.mark.slow
def test_accumulating_gradients_makes_the_same_step(letters: Path, settings: Make) -> None:
    trained(settings(steps=1, val_every=1), letters / "whole")
    trained(settings(steps=1, val_every=1, micro_batch=4), letters / "parts")
    logs = [next(one for one in journal.read(letters / name) if isinstance(one, Step)) for name in ("whole", "parts")]
    assert logs[0].reward == pytest.approx(logs[1].reward) and logs[0].length == pytest.approx(logs[1].length)
    found = [
        load_file(checkpoint.path_of(letters / name, 1) / "adapter_model.safetensors") for name in ("whole", "parts")
    ]
    for key in found[0]:
        assert found[0][key] == pytest.approx(found[1][key], abs=1e-4), key


@pytest.mark.slow
def test_all_weights(letters: Path, settings: Make) -> None:
    ended = trained(settings(full=True, steps=2, val_every=2, learning_rate=1e-3), letters / "out")
    with safe_open(letters / "out" / "model" / "model.safetensors", framework="np") as file:
        assert "lm_head.weight" in set(file.keys())
    assert not (letters / "out" / "model" / "optimiser.safetensors").exists()
    opened = open_rewriter(str(ended.card), Setup("full", "translate", 0, Path("data"), task="letters.toml"))
    assert len(list(opened.rewriter.rewrite(material(settings()).lessons[0].val.queries))) == 12


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True])
def test_a_warm_start(letters: Path, settings: Make, full: bool) -> None:
    values = settings(sft=3, sft_learning_rate=0.01, steps=2, val_every=2, full=full)
    with pytest.raises(UserError, match="sft needs captions of the training images of letters"):
        trained(values, letters / "none")
    captions = [{"image": f"train-{number:02}", "caption": f"picture {number}"} for number in range(20)]
    (letters / "data" / "oracle.jsonl").write_text("".join(json.dumps(one) + "\n" for one in captions))
    ended = trained(values, letters / "out")
    trained(settings(steps=2, val_every=2, full=full), letters / "cold")
    name = "model.safetensors" if full else "adapter_model.safetensors"
    assert (letters / "out" / "sft" / name).is_file()
    # GRPO starts from the warm model, which the first checkpoint holds, and the divergence is from it.
    start = checkpoint.path_of(letters / "out", 0) / name
    if start.exists():
        warm, cold = load_file(start), load_file(letters / "out" / "sft" / name)
        assert all((warm[key] == cold[key]).all() for key in warm)
    first = next(one for one in journal.read(letters / "out") if isinstance(one, Step))
    assert first.kl == pytest.approx(0, abs=1e-6)
    assert ended.card.is_file()
    vals = [next(one for one in journal.read(letters / run) if isinstance(one, Val)) for run in ("out", "cold")]
    assert vals[0].positive != vals[1].positive


def test_collapse_stops_and_keeps_the_best(letters: Path, settings: Make) -> None:
    # No rewrite has so few words: each gets the same reward, whatever it ranks.
    values = settings(
        reward={"ranks": {"rank-linear": 0.0}, "form": "off"}, steps=50, collapse={"steps": 3}, val_every=2
    )
    ended = trained(values, letters / "out")
    assert ended.reason.startswith("collapse: the rewards' spread is gone") and ended.card.is_file()
    log = journal.read(letters / "out")
    assert isinstance(log[-1], Stop) and log[-1].step == 3
    # A training that was killed before it said so says the same.
    shutil.rmtree(letters / "out" / "adapter")
    ended.card.unlink()
    assert trained(values, letters / "out") == ended
    assert journal.read(letters / "out") == log


def test_what_does_not_belong_together_is_refused(letters: Path, settings: Make) -> None:
    folder = letters / "out"
    trained(settings(steps=1, val_every=1), folder)
    with pytest.raises(UserError, match="the training there has other settings: seed; choose another --out"):
        trained(settings(steps=1, val_every=1, seed=3), folder)
    (letters / "data" / "images" / "train-00.png").write_text("another")
    with pytest.raises(UserError, match="the training there was begun with another train;"):
        trained(settings(steps=1, val_every=1), folder)
    with pytest.raises(UserError, match="data: is not empty, and no training is in it"):
        trained(settings(), letters / "data")
    with pytest.raises(UserError, match="a step asks 21 queries, and there are 20"):
        trained(settings(batch=21), letters / "other")


def test_another_reward_of_the_same_name_is_another_training(letters: Path, settings: Make) -> None:
    own = letters / "mine.py"
    own.write_text("def last(attempts):\n    return attempts.rank\n")
    values = settings(steps=1, val_every=1, reward={"ranks": {f"{own}:last": 1.0}})
    trained(values, letters / "out")
    own.write_text("def last(attempts):\n    return -attempts.rank\n")
    with pytest.raises(UserError, match="the training there was begun with another reward_files;"):
        trained(values, letters / "out")


@pytest.mark.parametrize("value", ["float('nan')", "None", "1.0", "[0.5]", "['a'] * len(attempts.vectors)"])
def test_a_reward_that_is_no_number_stops_before_anything_is_learnt(letters: Path, settings: Make, value: str) -> None:
    own = letters / "mine.py"
    returned = f"[{value}] * len(attempts.vectors)" if value.startswith("float") else value
    own.write_text(f"def odd(attempts):\n    return {returned}\n")
    with pytest.raises(UserError, match=rf"reward '{re.escape(str(own))}:odd' returned"):
        trained(settings(steps=2, val_every=2, reward={"ranks": {f"{own}:odd": 1.0}}), letters / "out")
    kept = {one.name for one in (letters / "out" / "checkpoints").glob("step-*")}
    assert kept == {"step-000000"}, "nothing was learnt"


def test_an_adapter_on_no_layer_is_refused_before_anything_is_made(letters: Path, settings: Make) -> None:
    with pytest.raises(UserError, match=r"the adapter cannot be made: .*nowhere.*; set lora\.targets"):
        trained(settings(lora={"targets": ["nowhere"]}), letters / "out")
    assert not (letters / "out").exists()


def test_what_an_older_trainer_began_is_not_gone_on_with(letters: Path, settings: Make) -> None:
    trained(settings(steps=1, val_every=1), letters / "out")
    data = letters / "out" / "data.json"
    told = json.loads(data.read_text())
    del told["trainer"]
    data.write_text(json.dumps(told))
    with pytest.raises(UserError, match="begun by another version of the trainer, which learns otherwise"):
        trained(settings(steps=1, val_every=1), letters / "out")


def test_two_do_not_train_in_one_folder(letters: Path, settings: Make) -> None:
    with files.alone(letters / "out", "training"), pytest.raises(UserError, match="another process is training here"):
        trained(settings(), letters / "out")


def test_held_out_images_are_not_trained_on(letters: Path, settings: Make) -> None:
    images = letters / "data" / "images"
    for number in range(20, 100):
        (images / f"train-{number:02}.png").write_text(f"text {number}")
    made = material(settings(val="holdout"))
    (lesson,) = made.lessons
    train_, val = ({query.positives[0] for query in task.queries} for task in (lesson.train, lesson.val))
    assert not train_ & val and len(train_ | val) == 100 and 0 < len(val) < 20
    assert len(lesson.val.gallery) == 100


def test_held_out_images_are_recorded_with_those_trained_on(letters: Path, settings: Make) -> None:
    images = letters / "data" / "images"
    for number in range(20, 60):
        (images / f"train-{number:02}.png").write_text(f"text {number}")
    ended = trained(settings(val="holdout", steps=1, val_every=1), letters / "out")
    (source,) = json.loads((ended.card.parent / "trained_on.json").read_text())["sources"]
    assert (source["split"], source["images"]) == ("train", 60)


@pytest.mark.slow
def test_a_training_goes_on_from_another_folder(letters: Path, settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from grapebench.cli.main import main

    own = letters / "mine.py"
    own.write_text("def last(attempts, *, factor=1.0):\n    return factor * attempts.rank\n")
    own_reward = {"ranks": {"mine.py:last": 1.0}, "options": {"mine.py:last": {"factor": -1.0}}, "words": (1, 9)}
    values = settings(reward=own_reward, model="lm")
    whole = trained(values, letters / "whole")
    shutil.copytree(letters / "whole", letters / "cut")
    # As it was when it was killed after step 4.
    for name in ("adapter", "checkpoints/step-000006"):
        shutil.rmtree(letters / "cut" / name)
    (letters / "cut" / "grape-letters.toml").unlink()
    elsewhere = letters / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lm").mkdir()  # another of the same name
    (elsewhere / "start.toml").write_text('name = "start"\ntitle = "Another"\nabout = "."\nmechanism = "identity"\n')
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("PYTHONPATH", str(letters))
    assert main(["train", "grape", "--data", str(letters / "data"), "--out", "../cut", "--resume"]) == 0
    assert adapter(letters / "cut") == adapter(letters / "whole")
    assert (letters / "cut" / whole.card.name).read_bytes() == whole.card.read_bytes()


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ('mechanism = "identity"\n', "start cannot be trained: its mechanism is 'identity'"),
        ('mechanism = "lm"\n[settings]\nmodel = "./lm"\nadapter = "./lm"\n', "start has an adapter already"),
        ('mechanism = "lm"\n[settings]\nmodel = "./lm"\nanswer = "lines"\n', "it makes one rewrite of several texts"),
    ],
)
def test_what_cannot_be_trained(letters: Path, settings: Make, card: str, said: str) -> None:
    prompts = '[prompts]\ntranslate = "ask.txt"\n' if '"lm"' in card else ""
    (letters / "start.toml").write_text('name = "start"\ntitle = "S"\nabout = "A."\n' + card + prompts)
    with pytest.raises(UserError, match=said):
        material(settings())
