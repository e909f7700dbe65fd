"""The results that are published with the package: all of them are true as far as their files tell.

Schema, place, name and hashes are checked of every row. Counting everything once more, and searching again, is done for
a part of them, another one with every commit, so that all have their turn; a failure names the part. All of them:

    GRAPEBENCH_VERIFY=all pytest tests/leaderboard/test_published.py

and `GRAPEBENCH_VERIFY=3` repeats part 3.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from grapebench.leaderboard import results, store, verification
from grapebench.leaderboard.verification import Findings, Verifier, layout

FOLDERS = sorted(path.parent for path in store.published_dir().glob("*/*/*/*/*/result.json"))
SAMPLE = {one.parts[-4]: one for name in ("identity", "grape") for one in FOLDERS if one.parts[-2] == name}
"""One of each task."""
PARTS = 8
VERIFY = "GRAPEBENCH_VERIFY"


def commit_part() -> int:
    """The part of the checked out commit: the same in every worker, another one for the next commit. 0 without git."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    return int(done.stdout, 16) % PARTS


def chosen(wanted: str, among: list[Path] = FOLDERS, parts: int = PARTS) -> list[Path]:
    """The rows that `wanted` names: all, or every eighth from one on, which takes some of each large task."""
    return among if wanted == "all" else among[int(wanted) % parts :: parts]


WANTED = os.environ.get(VERIFY) or str(commit_part())


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with verification.opened([store.published_dir()]) as opened:
        yield opened


def test_the_schema_is_the_models_own() -> None:
    path = store.published_dir().parent / results.SCHEMA_FILE
    assert path.read_text(encoding="utf-8") == results.schema_text(), "run: grapebench leaderboard schema"


def test_all_fit_the_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((store.published_dir().parent / results.SCHEMA_FILE).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for folder in FOLDERS:
        validator.validate(json.loads((folder / "result.json").read_text(encoding="utf-8")))
    broken = json.loads((FOLDERS[0] / "result.json").read_text(encoding="utf-8"))
    for change in ({"more": 1}, {"metrics": {"R@1": "high"}}, {"suite": "both"}):
        assert not validator.is_valid(broken | change)


def test_all_lie_where_they_belong_with_the_files_they_name() -> None:
    for folder in FOLDERS:
        found = Findings(folder)
        layout.check(found, [store.published_dir()])
        assert found.problems == [] and found.result is not None, folder


def test_each_row_is_in_one_part() -> None:
    assert sorted(folder for part in range(PARTS) for folder in chosen(str(part))) == FOLDERS == chosen("all")
    searched = [folder for part in range(PARTS) for folder in chosen(str(part), list(SAMPLE.values()), 4)]
    assert {*searched} == {*SAMPLE.values()}
    assert int(WANTED if WANTED != "all" else 0) in range(PARTS), f"{VERIFY} is 'all', or less than {PARTS}"


@pytest.mark.slow
@pytest.mark.parametrize("folder", chosen(WANTED), ids=lambda folder: "-".join(folder.parts[-4:]))
def test_it_is_what_its_files_say(folder: Path, verifier: Verifier) -> None:
    found = verifier.verify(folder, search="never")
    assert found.problems == [] and "data" in found.checked, f"{folder}: set {VERIFY}={WANTED} to repeat it"


@pytest.mark.slow
@pytest.mark.parametrize("folder", chosen(WANTED, list(SAMPLE.values()), 4), ids=lambda folder: folder.parts[-4])
def test_two_tasks_are_searched_again(folder: Path, verifier: Verifier) -> None:
    found = verifier.verify(folder)
    assert found.problems == [] and found.checked[-1].startswith("searched again"), f"{folder}: {VERIFY}={WANTED}"
