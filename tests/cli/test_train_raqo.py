from __future__ import annotations

from pathlib import Path

import pytest

from grapebench.cli.main import main


def test_bad_input_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.toml").write_text('task = "cirr"\nstages = ["qre", "pro"]\n')
    for arguments, said in (
        ([], "the setting 'task' is missing; say --task or name it"),
        (["sft"], "unknown part 'sft'; choose one of data, ccd, qre, pro and all"),
        (["--task", "cir"], "unknown task 'cir'; did you mean 'cirr'"),
        (["--config", "none.toml"], "none.toml: no such file"),
        (["ccd", "--config", "settings.toml"], "settings.toml: ccd is none of the stages qre, pro"),
        (["--task", "cirr", "--set", "pro.form=dpo"], "pro.form: input should be 'raqo' or 'pro', not 'dpo'"),
        (["--task", "cirr", "--set", "data.round=2"], "unknown setting 'data.round'"),
        (["--task", "cirr", "--suite", "full"], "figures of CIRR (full) are reported on val"),
    ):
        assert main(["train", "raqo", *arguments]) == 2, arguments
        error = capsys.readouterr().err
        assert said.lower() in error.lower() and error.count("\n") == 1, (arguments, error)
    assert [path.name for path in tmp_path.iterdir()] == ["settings.toml"]
