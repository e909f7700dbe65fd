"""Releases: what is frozen, their numbers, and the pages that stand in the repository."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench import catalog
from grapebench.errors import UserError
from grapebench.leaderboard import board, frozen, versions
from grapebench.leaderboard.frozen import Release
from grapebench.leaderboard.results import Environment, Result

Make = Callable[..., Result]
ENVIRONMENT = Environment(
    grapebench="0.1.0", commit="c" * 40, dirty=False, python="3.11", packages={}, platform="", cpu="", gpu=None
)


@pytest.fixture
def freeze(make_result: Make) -> Callable[..., Release]:
    def make(version: str, *results: Result, benchmark: str = "1.0", revision: int = 1) -> Release:
        revisions = {"cirr": revision, "elsewhere": 9}
        return frozen.freeze(version, board.tables(results), revisions, benchmark, ENVIRONMENT, "2026-01-02")

    return make


def test_a_release_says_what_stood_on_the_board(freeze: Callable[..., Release], make_result: Make) -> None:
    results = [make_result("llm", 0.5, seed=seed) for seed in (1, 0)] + [make_result("best", 0.9, oracle=True)]
    results.append(make_result("grape", 0.7))
    found = freeze("1.0", *results)
    assert (found.version, found.benchmark, found.date, found.commit) == ("1.0", "1.0", "2026-01-02", "c" * 40)
    assert found.revisions == {"cirr": 1}, "of the tasks on the board alone"
    (table,) = found.tables
    assert (table.task, table.dataset, table.images, table.main) == ("cirr", "d" * 64, "e" * 64, "R@10")
    assert table.retriever_fingerprint == "a" * 64 and set(table.retriever_parts) == {"weights_sha256"}
    assert [(row.label, row.group) for row in table.rows] == [
        ("grape", "ranked"),
        ("llm", "ranked"),
        ("best", "oracle"),
    ]
    llm = table.rows[1]
    assert [(one.seed, one.id) for one in llm.results] == [(0, results[1].id), (1, results[0].id)]
    assert llm.results[0].commit == "0123456789abcdef0123456789abcdef01234567"
    assert list(llm.figures) == ["R@1", "R@5", "R@10", "R@50", "R_subset@1"]
    assert llm.figures["R@10"].model_dump() == {"value": 0.5, "low": 0.48, "high": 0.52, "spread": 0.0}
    assert llm.raw is not None and llm.raw.value == 0.1


def test_a_release_reads_back_and_has_a_line_a_row(
    freeze: Callable[..., Release], make_result: Make, tmp_path: Path
) -> None:
    results = [make_result(name, 0.1 * n) for n, name in enumerate(("a", 'odd "名"\n', "c"), 3)]
    found = freeze("1.0", *results)
    paths = versions.write(tmp_path / "versions", found, "# Leaderboard\n")
    assert [path.name for path in paths] == ["1.0.json", "1.0.md"]
    assert versions.read(tmp_path / "versions", "1.0") == found
    lines = paths[0].read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith(' {"label"') for line in lines) == 3
    more = freeze("1.0", *results, make_result("new", 0.45))
    changed = set(frozen.dump(more).splitlines()) - set(lines)
    assert len(changed) == 1, "a new row is a new line"
    assert json.loads(paths[0].read_text(encoding="utf-8"))["tables"][0]["rows"][0]["label"] == 'odd "名"\n'[:0] + "c"


def test_an_empty_board_may_be_frozen(freeze: Callable[..., Release], tmp_path: Path) -> None:
    versions.write(tmp_path, freeze("0.1"), "")
    assert versions.read(tmp_path, "0.1").tables == []


def test_numbers_go_up(freeze: Callable[..., Release], make_result: Make, tmp_path: Path) -> None:
    one = make_result()
    versions.check("1.9", freeze("1.9", one), tmp_path)
    versions.write(tmp_path, freeze("1.9", one), "")
    versions.write(tmp_path, freeze("1.10", one), "")
    (tmp_path / "notes.json").write_text("{}")
    assert versions.released(tmp_path) == ["1.9", "1.10"]
    for version, said in (
        ("1.10", "the release 1.10 exists; the next one is 1.11"),
        ("1.9", "the release 1.9 exists"),
        ("1.2", "1.2 is not newer than 1.10, the last release; the next one is 1.11"),
        ("0.11", "0.11 is not newer than 1.10"),
    ):
        with pytest.raises(UserError, match=re.escape(said)):
            versions.check(version, freeze(version, one), tmp_path)
    versions.check("1.11", freeze("1.11", one), tmp_path)
    versions.check("2.0", freeze("2.0", one), tmp_path)


def test_figures_that_do_not_compare_have_another_x(
    freeze: Callable[..., Release], make_result: Make, tmp_path: Path
) -> None:
    one = make_result()
    versions.write(tmp_path, freeze("1.0", one), "")
    for changed, said in (
        (freeze("1.1", one, benchmark="2.0"), r"the rules \(1.0 → 2.0\); it is 2.0"),
        (freeze("1.1", one, revision=2), r"the revision of cirr \(1 → 2\); it is 2.0"),
    ):
        with pytest.raises(UserError, match=f"since 1.0 figures changed that no longer compare: {said}"):
            versions.check("1.1", changed, tmp_path)
        versions.check("2.0", changed, tmp_path)
    # Other intervals beside the same scores: the Y of the rules.
    versions.check("1.1", freeze("1.1", one, benchmark="1.1"), tmp_path)


@pytest.mark.parametrize("version", ["1", "1.0.0", "v1.0", "01.0", "１.0", "1.x", "", "../1.0", "1.0\n"])
def test_other_numbers_are_refused(version: str) -> None:
    with pytest.raises(UserError, match="is no version of a board; give two whole numbers, such as 1.0"):
        versions.number(version)


@given(st.tuples(st.integers(0, 99), st.integers(0, 99)))
def test_numbers_are_read_as_numbers(parts: tuple[int, int]) -> None:
    assert versions.number(f"{parts[0]}.{parts[1]}") == parts


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no release 1.0; there is: none yet"):
        versions.read(tmp_path, "1.0")
    for content in (b"{", b"{}", b"\xff"):
        (tmp_path / "1.0.json").write_bytes(content)
        with pytest.raises(UserError, match="1.0.json: not a release: "):
            versions.read(tmp_path, "1.0")


# What stands in the repository ----------------------------------------------------------------------------------------

FOLDER = catalog.folder() / "leaderboard" / "versions"


@pytest.mark.parametrize("version", versions.released(FOLDER))
def test_a_release_and_its_page_name_the_same_results(version: str) -> None:
    """Results that were made again since stand in the repository's history; all else that it links to is there."""
    release = versions.read(FOLDER, version)
    page = (FOLDER / f"{version}.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"(?<!\\)\]\(([^)#]+)\)", page) if "://" not in link]
    results = {one.id for table in release.tables for row in table.rows for one in row.results}
    assert results <= {Path(link).name for link in links}
    assert not [link for link in links if Path(link).name not in results and not (FOLDER / link).exists()]
