from __future__ import annotations

from pathlib import Path

import pytest

from grapebench.errors import UserError
from grapebench.training.config import dump, read
from grapebench.training.raqo.config import RaqoConfig, fill


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "the setting 'task' is missing"),
        ({"task": "cirr", "stagez": []}, "unknown setting 'stagez'; did you mean 'stages'"),
        ({"task": "cirr", "stages": ["pro", "qre"]}, "stages must be some of ccd, qre, pro, in this order"),
        ({"task": "cirr", "stages": []}, "stages must be some of"),
        ({"task": "cirr", "stages": ["ccd", "ccd"]}, "stages must be some of"),
        ({"task": "cirr", "pro": {"from": "pro"}}, "unknown setting 'pro.from'"),
        ({"task": "cirr", "pro": {"form": "dpo"}}, "pro.form: input should be 'raqo' or 'pro', not 'dpo'"),
        ({"task": "cirr", "qre": {"batch": 8, "micro_batch": 3}}, r"micro_batch \(3\) must divide batch \(8\)"),
    ],
)
def test_wrong_settings(values: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        fill(values)


def test_written_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    values = {
        "task": "own/task.toml",
        "stages": ["qre", "pro"],
        "pro": {"form": "pro"},
        "data": {"optimise": "ask.txt"},
    }
    config = fill(values)
    assert config.task == str(tmp_path / "own" / "task.toml") and config.data.optimise == str(tmp_path / "ask.txt")
    (tmp_path / "config.toml").write_text(dump(config))
    monkeypatch.chdir("/")
    assert fill(read(tmp_path / "config.toml")) == config


def test_the_papers_numbers_but_for_learning_rates() -> None:
    config = RaqoConfig(task="cirr")
    assert [(fit.epochs, fit.batch) for fit in (config.ccd, config.qre, config.pro)] == [(3, 8), (3, 8), (4, 16)]
    assert config.pro.form == "raqo" and config.pro.candidates == 5
    assert (config.data.unambiguous, config.data.ambiguous) == (5, 10)
