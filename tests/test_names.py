from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.names import Spellings, read_back, written

IDS = st.text(st.sampled_from("a%20 \t5\u3000\u00e9.\n"), min_size=1) | st.text(min_size=1).filter(
    lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text)
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("photo 1.png", "photo%201.png"),
        ("photo.png", "photo.png"),
        ("100%.png", "100%.png"),
        ("100% a.png", "100%25%20a.png"),
        ("a\u3000b", "a%E3%80%80b"),
        ("caf\u00e9", "caf\u00e9"),
        ("photo%2F1.png", "photo%2F1.png"),
        ("photo%201.png", "photo%25201.png"),
        ("photo%25201.png", "photo%2525201.png"),
    ],
)
def test_white_space_is_written_in_percent_encoding(name: str, text: str) -> None:
    assert written(name) == text and read_back(text) == name


@given(IDS)
def test_what_is_written_comes_back(name: str) -> None:
    text = written(name)
    assert text.split() == [text]
    assert read_back(text) == name


@given(IDS)
def test_ids_without_white_space_or_percent_stay(name: str) -> None:
    if "%" not in name and name.split() == [name]:
        assert written(name) == read_back(name) == name


@given(st.lists(IDS, unique=True))
def test_no_two_ids_are_written_alike(names: list[str]) -> None:
    assert len(set(map(written, names))) == len(names)


def test_a_name_is_found_in_the_other_form_of_unicode() -> None:
    nfc, nfd = (unicodedata.normalize(form, "caf\u00e9.png") for form in ("NFC", "NFD"))
    assert nfc != nfd
    assert Spellings([nfc])(nfd) == nfc and Spellings([nfd])(nfc) == nfd
    assert Spellings(["tea.png"])(nfd) == nfd and Spellings([nfc])("tea.png") == "tea.png"
    both = Spellings([nfc, nfd])
    assert both(nfc) == nfc and both(nfd) == nfd, "a name that is known is meant"
