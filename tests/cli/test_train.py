from __future__ import annotations

from pathlib import Path

import pytest

from grapebench.cli import train
from grapebench.cli.main import main


def test_bad_input_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.toml").write_text('task = "cirr"\nstepz = 3\n')
    for arguments, said in (
        ([], "the setting 'task' is missing; say --task or name it"),
        (["--task", "cir"], "unknown task 'cir'; did you mean 'cirr'"),
        (["--config", "none.toml"], "none.toml: no such file"),
        (["--config", "settings.toml"], "unknown setting 'stepz'; did you mean 'steps'"),
        (["--task", "cirr", "--set", "steps"], "not of the form key=value"),
        (["--task", "cirr", "--set", "lora.rank=3"], "unknown setting 'lora.rank'"),
        (["--task", "cirr", "--pool", "all"], "pool: input should be 'corpus' or 'batch', not 'all'"),
        (["--task", "cirr", "--reward", "ndcg=much"], "the weight is no number"),
        (["--task", "cirr", "--reward", "rank-lin", "--out", "out"], "unknown reward 'rank-lin'; did you mean"),
        (["--task", "cirr", "--steps", "0"], "steps: input should be greater than or equal to 1, not 0"),
        (["--resume"], "there is no training to go on with; name its folder by --out"),
        (["--out", "out", "--resume"], "out: --resume: there is no training to go on with"),
        (["--task", "cirr", "--suite", "full"], "figures of CIRR (full) are reported on val"),
    ):
        assert main(["train", "grape", *arguments]) == 2, arguments
        error = capsys.readouterr().err
        assert said.lower() in error.lower() and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_reward_and_its_weight() -> None:
    assert train._weighted("rank-log") == ("rank-log", 1.0)
    assert train._weighted("own/file.py:mine=0.5") == ("own/file.py:mine", 0.5)
