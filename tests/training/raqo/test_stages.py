"""RAQO's stages on a model of random weights: what they leave, going on where they were, and replacing one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grapebench.errors import UserError
from grapebench.records import Query
from grapebench.rewriters import open_rewriter
from grapebench.rewriters.setup import Setup
from grapebench.training.raqo import fitting, stages

STAGES = ("ccd", "qre", "pro")
Configured = Callable[..., tuple[Any, Any]]


def train(configured: Configured, folder: Path, parts: tuple[str, ...] = STAGES, **changes: Any) -> dict[str, Any]:
    if not folder.is_dir():
        # As if the training's first part had built them.
        config, material = configured(**changes)
        folder.mkdir()
        stages._prepare(config, material, folder)
        shutil.copytree("sets", folder / "data")
    return stages.run(*configured(**changes), folder, parts, lambda *_: None)


def adapter(folder: Path) -> bytes:
    return (folder / "adapter" / "adapter_model.safetensors").read_bytes()


def test_three_stages_and_a_card(recot: Path, configured: Configured) -> None:
    found = train(configured, recot / "out")
    assert list(found) == ["start", *STAGES]
    for name, told in found.items():
        assert told["queries"] == 6 and 0 <= told["R@1"] <= told["R@10"] <= 1, name
        assert 0 <= told["detection"]["readable"] <= 1 and len(told["samples"]) == 6 and 0 <= told["taught"] <= 1
    adapters = [adapter(recot / "out" / stage) for stage in STAGES]
    assert len(set(adapters)) == 3 and adapter(recot / "out") == adapters[-1]
    for stage, steps, learnt in (("ccd", 3, {"ccr": 13}), ("qre", 4, {"qre": 13, "ccr": 6}), ("pro", 3, {"pro": 13})):
        log = fitting.losses(recot / "out" / stage)
        assert [line["step"] for line in log] == list(range(1, steps + 1))
        assert all(line["loss"] > 0 for line in log) and ("ordered" in log[0]) == (stage == "pro")
        told = json.loads((recot / "out" / stage / "stage.json").read_text())
        every = {kind: {"rows": rows, "examples": rows, "left_out": {}} for kind, rows in learnt.items()}
        assert told["learnt_from"] == every
        assert not (recot / "out" / stage / "checkpoints").exists()
    loaded = open_rewriter(str(recot / "out" / "raqo-letters.toml"), Setup("full", "translate", 0, recot))
    (rewrite,) = loaded.rewriter.rewrite([Query("q", "ABC 1", language="de")])
    assert rewrite.trace.keys() & {"concepts", "undetected"}
    assert loaded.seen is not None
    # Nothing is left to do.
    kept = [path for stage in (*STAGES, "adapter") for path in (recot / "out" / stage).rglob("*")]
    before = {path: path.stat().st_mtime_ns for path in kept}
    assert train(configured, recot / "out", ("ccd", "qre", "pro")) == found
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_was_stopped_comes_to_the_same(recot: Path, configured: Configured, stage: str) -> None:
    changes = {"stages": [stage]}
    train(configured, recot / "whole", (stage,), **changes)
    whole = [line["loss"] for line in fitting.losses(recot / "whole" / stage)]

    class Stopped(BaseException):
        pass

    for step in (1, 2, 3):
        cut = recot / f"cut at {step}"
        train(configured, cut, (), **changes)

        def report(name: str, done: int, total: int, last: int = step) -> None:
            if name.startswith("training") and done == last:
                raise Stopped

        with pytest.raises(Stopped):
            stages.run(*configured(**changes), cut, (stage,), report)
        assert not (cut / stage / "adapter").exists()
        train(configured, cut, (stage,), **changes)
        assert adapter(cut / stage) == adapter(recot / "whole" / stage), step
        assert [line["loss"] for line in fitting.losses(cut / stage)] == whole, step


def test_stages_alone(recot: Path, configured: Configured) -> None:
    out = recot / "out"
    with pytest.raises(UserError, match="qre goes on from ccd, which is not finished"):
        train(configured, out, ("qre",))
    assert list(train(configured, out, ("ccd",))) == ["start", "ccd"]
    assert not (out / "adapter").exists()
    # Weights of one's own in the place of a stage's.
    shutil.rmtree(out / "ccd")
    train(configured, recot / "other", ("qre",), stages=["qre"])
    shutil.copytree(recot / "other" / "qre" / "adapter", out / "ccd" / "adapter")
    train(configured, out, ("qre",))
    assert not (out / "ccd" / "stage.json").exists()
    assert adapter(out / "qre") != adapter(recot / "other" / "qre")
    # Not those of another model.
    base = out / "ccd" / "adapter" / "base.json"
    shutil.rmtree(out / "qre")
    kept = base.read_bytes()
    base.write_text('{"sha256": "another"}')
    with pytest.raises(UserError, match="the adapter was trained on other weights"):
        train(configured, out, ("qre",))
    base.write_bytes(kept)
    train(configured, out, ("qre",))
    # What was trained from other weights is not what was asked for.
    shutil.rmtree(out / "ccd")
    train(configured, out, ("ccd",))
    with pytest.raises(UserError, match="qre: the stage there was trained with another start; remove this folder"):
        train(configured, out, ("qre",))


def test_other_settings_are_refused(recot: Path, configured: Configured) -> None:
    train(configured, recot / "out", ("ccd",))
    with pytest.raises(UserError, match="ccd: the stage there was trained with another seed"):
        train(configured, recot / "out", ("ccd",), seed=3)
    with pytest.raises(UserError, match="ccd: the stage there was trained with another settings"):
        train(configured, recot / "out", ("ccd",), ccd={"epochs": 9})
    with pytest.raises(UserError, match="begun with another rewriter"):
        train(configured, recot / "out", ("ccd",), rewriter="plain.toml")
    (recot / "full").mkdir()
    (recot / "full" / "file").write_text("")
    with pytest.raises(UserError, match="is not empty, and no training is in it"):
        stages.run(*configured(), recot / "full", ("ccd",), lambda *_: None)
    with pytest.raises(UserError, match="data that are not there; run: grapebench train raqo data"):
        stages.run(*configured(), recot / "new", ("ccd",), lambda *_: None)


@pytest.mark.parametrize(("rewriter", "wanted"), [("once.toml", STAGES), ("plain.toml", ("qre", "pro"))])
def test_other_ways_of_asking(recot: Path, configured: Configured, rewriter: str, wanted: tuple[str, ...]) -> None:
    found = train(configured, recot / "out", wanted, rewriter=rewriter, stages=list(wanted), pro={"form": "pro"} | PRO)
    assert list(found) == ["start", *wanted]
    assert (found["pro"]["detection"] is None) == (rewriter == "plain.toml")


PRO = {"epochs": 1, "batch": 8, "micro_batch": 2, "learning_rate": 0.01}


def test_all_weights(recot: Path, configured: Configured) -> None:
    found = train(configured, recot / "out", full=True)
    assert list(found) == ["start", *STAGES]
    weights = [(recot / "out" / place / "model" / "model.safetensors").read_bytes() for place in (*STAGES, ".")]
    assert len(set(weights)) == 3 and weights[2] == weights[3]
    loaded = open_rewriter(str(recot / "out" / "raqo-letters.toml"), Setup("full", "translate", 0, recot))
    assert list(loaded.rewriter.rewrite([Query("q", "ABC 1", language="de")]))


def test_nothing_to_detect_by(recot: Path, configured: Configured) -> None:
    with pytest.raises(UserError, match="plain detects no concepts"):
        train(configured, recot / "out", ("ccd",), rewriter="plain.toml")


@pytest.mark.parametrize("card", ["twice", "once"])
def test_grape_does_not_train_a_card_that_detects(recot: Path, configured: Configured, card: str) -> None:
    from grapebench.training import grape

    _, material = configured(rewriter=f"{card}.toml")
    with pytest.raises(UserError, match=f"{card} detects concepts before it rewrites; train it by"):
        grape.train(material, recot / "out", lambda *_: None)
    assert not (recot / "out").exists()
