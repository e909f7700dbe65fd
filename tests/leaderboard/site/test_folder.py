from __future__ import annotations

from pathlib import Path

import pytest

from grapebench.errors import UserError
from grapebench.leaderboard.site import folder


def write(path: Path, text: str) -> None:
    with folder.replaced(path) as site:
        (site / folder.MARK).write_text("{}")
        (site / "page").write_text(text)


def test_a_site_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path / "site", "one")
    (tmp_path / "site" / "left").write_text("over")
    write(tmp_path / "site", "two")
    assert (tmp_path / "site" / "page").read_text() == "two"
    assert not (tmp_path / "site" / "left").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["site"], "nothing is left beside it"


def test_an_error_leaves_what_stood_there(tmp_path: Path) -> None:
    write(tmp_path / "site", "one")
    with pytest.raises(RuntimeError), folder.replaced(tmp_path / "site") as site:
        (site / "page").write_text("half")
        raise RuntimeError
    assert (tmp_path / "site" / "page").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years")
    (tmp_path / "file").write_text("text")
    for name, what in (("home", "not empty and no site"), ("file", "is a file")):
        with pytest.raises(UserError, match=what), folder.replaced(tmp_path / name):
            raise AssertionError("nothing is built")
    assert (tmp_path / "home" / "thesis.tex").read_text() == "years"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "one")
    assert (tmp_path / "empty" / "page").read_text() == "one"
