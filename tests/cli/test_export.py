"""The command line of exports; what they write is tested in tests/export."""

from __future__ import annotations

import re

import pytest

from grapebench.cli.main import main

SCORERS = {"cirr-server": "CIRR's test server", "cvlue": "CVLUE's scorer"}


def test_help_says_what_each_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--help"]) == 0
    out = capsys.readouterr().out
    for name, what in SCORERS.items():
        assert re.search(rf"^  {name}\s+Write .*{what}", out, re.MULTILINE), "in one line of 80 characters"


@pytest.mark.parametrize("name", SCORERS)
def test_help_names_the_files(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", name, "--help"]) == 0
    assert re.search(r"\w+\.json.* and \w+\.json", " ".join(capsys.readouterr().out.split()))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cirr-sever"], "Did you mean 'cirr-server'?"),
        (["cvlue"], "Missing argument"),
        (["cvlue", "nothing"], "no result 'nothing'; give a result's folder, or at least 4 digits of its id"),
        (["cirr-server", "."], "result.json: no result here: the file is missing"),
    ],
)
def test_bad_input(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert main(["export", *arguments]) == 2
    out, err = capsys.readouterr()
    assert said in err and out == ""
