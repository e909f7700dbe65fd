from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.datasets import formats
from grapebench.errors import UserError


def write(folder: Path, content: str | bytes, name: str = "annotations.json") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def said(path: Path, line: int, what: str) -> str:
    """A pattern: the error starts with file and line and says `what` in one line of text."""
    return "^" + re.escape(f"{path}:{line}: ") + f"[^\n]*{re.escape(what)}[^\n]*$"


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'no.json'}: the file is missing")):
        formats.read_text(tmp_path / "no.json")


def test_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}: is a directory")):
        formats.read_text(tmp_path)


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_wrong_encoding_names_the_line(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, b"first line\n" + "一只狗".encode(encoding) + b"\n")
    with pytest.raises(UserError, match=said(path, 2, "not UTF-8")):
        formats.read_text(path)


def test_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    assert formats.read_json(write(tmp_path, b"\xef\xbb\xbf[1]")) == [1]


@pytest.mark.parametrize("cut", [1, 9, 20, 27, 40])
def test_truncated_json_names_the_line_where_it_ends(tmp_path: Path, cut: int) -> None:
    whole = '[{"a": "one"},\n {"a": "two"},\n {"a": "three"}]\n'
    path = write(tmp_path, whole[:cut])
    with pytest.raises(UserError, match=said(path, whole[:cut].count("\n") + 1, "the JSON is broken off")):
        formats.read_json(path)


def test_malformed_json_names_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, '[{"a": 1},\n {"a": 2,,},\n {"a": 3}]')
    with pytest.raises(UserError, match=said(path, 2, "malformed JSON")):
        formats.read_json(path)


def test_deeply_nested_json_is_an_error_not_a_crash(tmp_path: Path) -> None:
    path = write(tmp_path, "[" * 200_000)
    with pytest.raises(UserError):
        formats.read_json(path)


def test_repeated_key_names_both_lines(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": 1,\n "b": 2,\n "a": 3}')
    with pytest.raises(UserError, match=said(path, 3, "'a' occurs twice, first on line 1")):
        formats.read_json(path)


def test_records_must_be_an_array_of_objects(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": 1}')
    with pytest.raises(UserError, match=said(path, 1, "expected a JSON array")):
        formats.read_entries(path)
    path = write(tmp_path, '[{"a": 1},\n 7]')
    with pytest.raises(UserError, match=said(path, 2, "record 2 must be an object, found a number (7)")):
        formats.read_entries(path)


def test_missing_key_and_wrong_types_name_record_and_line(tmp_path: Path) -> None:
    path = write(tmp_path, '[{"a": "x"},\n {"a": null, "b": [], "c": ["x", 1], "d": true, "e": 5}]')
    entry = formats.read_entries(path)[1]
    with pytest.raises(UserError, match=said(path, 2, "record 2: the key 'z' is missing")):
        entry.text("z")
    with pytest.raises(UserError, match=said(path, 2, "'a' must be a string, found null")):
        entry.text("a")
    for key in "abc":
        with pytest.raises(UserError, match=said(path, 2, f"'{key}' must be")):
            entry.texts(key)
    with pytest.raises(UserError, match=said(path, 2, "'d' must be a string, found true")):
        entry.identifier("d")
    with pytest.raises(UserError, match=said(path, 2, "'e' must be an object")):
        entry.inner("e")
    assert entry.identifier("e") == "5"


def test_half_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, '[{"a": "\\ud83d"}]')
    with pytest.raises(UserError, match=said(path, 1, "surrogate")):
        formats.read_entries(path)[0].text("a")


def test_repeated_id_names_both_lines(tmp_path: Path) -> None:
    path = write(tmp_path, '[{"id": 1},\n\n {"id": 2}, {"id": 3},\n {"id": 2}]')
    unique = formats.Unique("id")
    with pytest.raises(UserError, match=said(path, 4, "id '2' occurs twice, first on line 3")):
        for entry in formats.read_entries(path):
            unique.add(entry.identifier("id"), entry)


def test_json_lines_name_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": "x"}\n\n{"a": 1}\n{"a"')
    entries = formats.read_json_lines(path)
    assert next(entries).text("a") == "x"
    with pytest.raises(UserError, match=said(path, 3, "'a' must be a string")):
        next(entries).text("a")
    with pytest.raises(UserError, match=said(path, 4, "the JSON is broken off")):
        next(entries)


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, "one\u2028still one\r\n\x0btwo\x85")
    assert [(line.line, line.text) for line in formats.read_lines(path)] == [
        (1, "one\u2028still one"),
        (2, "\x0btwo\x85"),
    ]


def test_wrong_number_of_columns_names_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a\tb\na b\n")
    first, second = formats.read_lines(path)
    assert first.fields("\t", ("x", "y")) == ["a", "b"]
    with pytest.raises(UserError, match=said(path, 2, "expected 2 columns (x, y) separated by '\\t', found 1")):
        second.fields("\t", ("x", "y"))


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.text(max_size=3), json_values, max_size=3), min_size=1, max_size=6), st.data())
def test_every_record_is_found_on_its_line(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, object]], data: st.DataObject
) -> None:
    text, lines = "[", []
    for place, record in enumerate(records):
        text += "," * (place > 0) + data.draw(st.sampled_from(["", " ", "\n", "\n\n "]))
        lines.append(text.count("\n") + 1)
        text += json.dumps(record, indent=data.draw(st.sampled_from([None, 1])))
    path = write(tmp_path_factory.mktemp("formats"), text + "\n]")
    assert [entry.line for entry in formats.read_entries(path)] == lines
