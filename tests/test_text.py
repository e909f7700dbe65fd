from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench import text
from grapebench.errors import UserError

HERE = Path("here.txt")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff")))
def test_utf_8_comes_back_with_and_without_a_mark(said: str) -> None:
    assert text.decoded(said.encode(), HERE) == said
    assert text.decoded(codecs.BOM_UTF8 + said.encode(), HERE) == said


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_are_named(encoding: str) -> None:
    name = encoding[:6].upper()
    with pytest.raises(UserError) as caught:
        text.decoded("ab\n".encode(encoding), HERE)
    assert str(caught.value) == f"here.txt: is {name}, not UTF-8; save it as UTF-8, or: iconv -f {name} -t UTF-8"


def test_another_encoding_is_refused_with_its_line() -> None:
    with pytest.raises(UserError, match=r"here\.txt:2: not UTF-8 \(byte 0xe9\); convert it"):
        text.decoded("tea\ncaf\u00e9".encode("latin-1"), HERE)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n", "\n \n", "\r\n\r\n"])
def test_lines_end_in_line_feeds_alone(end: str) -> None:
    assert text.lines_of("a\x0b\u2028b\r\n\nc" + end) == ["a\x0b\u2028b", "", "c"]


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gone: the file is missing"):
        text.read_text(tmp_path / "gone")
