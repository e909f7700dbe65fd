"""The results that are published with the package: all of them are true as far as their files tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grapebench.leaderboard import results, store, verification

FOLDERS = sorted(path.parent for path in store.published_dir().glob("*/*/*/*/*/result.json"))
SAMPLE = {one.parts[-4]: one for name in ("identity", "grape") for one in FOLDERS if one.parts[-2] == name}
"""One of each task."""


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


@pytest.mark.slow
def test_all_are_what_their_files_say() -> None:
    with verification.opened([store.published_dir()]) as verifier:
        for folder in FOLDERS:
            found = verifier.verify(folder, search="never")
            assert found.problems == [] and "data" in found.checked, folder


@pytest.mark.slow
@pytest.mark.parametrize("folder", SAMPLE.values(), ids=SAMPLE)
def test_one_of_each_task_searched_again(folder: Path) -> None:
    with verification.opened([store.published_dir()]) as verifier:
        found = verifier.verify(folder)
    assert found.problems == [] and found.checked[-1].startswith("searched again"), folder
