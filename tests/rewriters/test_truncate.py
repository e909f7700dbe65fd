from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench import catalog
from grapebench.errors import UserError
from grapebench.records import Query
from grapebench.retrieval import open_retriever
from grapebench.retrieval.searcher import Searcher
from grapebench.rewriters import open_rewriter
from grapebench.rewriters.setup import Setup
from grapebench.rewriters.truncate import Truncate, cut
from grapebench.rewriters.window import PIECE, fitting

TEXTS = st.text(alphabet="ab 红色の,.\n", max_size=60)


def shorter_than(limit: int) -> Callable[[str], bool]:
    return lambda text: len(text) <= limit


@given(TEXTS, st.integers(1, 40))
def test_the_longest_beginning_and_end_of_whole_words(text: str, limit: int) -> None:
    fits = shorter_than(limit)
    pieces = list(PIECE.finditer(text))
    for keep in ("start", "end"):
        found = cut(text, fits, keep)
        if fits(text) or len(pieces) < 2:
            assert found == text
            continue
        parts = [text[: one.end()] if keep == "start" else text[one.start() :] for one in pieces]
        fitting_parts = [part for part in parts if fits(part)]
        outermost = parts[0] if keep == "start" else parts[-1]
        assert found == (max(fitting_parts, key=len) if fitting_parts else outermost)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a red kite, twice", ["a", "red", "kite,", "twice"]),
        ("红色的风筝", list("红色的风筝")),
        ("赤いカサ in the rain", [*"赤いカサ", "in", "the", "rain"]),
        ("зонт и чайник", ["зонт", "и", "чайник"]),
        ("  ", []),
    ],
)
def test_pieces(text: str, pieces: list[str]) -> None:
    assert PIECE.findall(text) == pieces


def test_a_number_of_words_needs_no_window(searcher: Searcher) -> None:
    made = Truncate(Truncate.Settings(keep="end", words=2))
    made.attach(searcher)
    queries = [Query("a", "one two three"), Query("b", "one"), Query("c", "红色的")]
    assert [rewrite.texts for rewrite in made.rewrite(queries)] == [("two three",), ("one",), ("色的",)]


def test_a_retriever_without_a_window_is_named(searcher: Searcher) -> None:
    made = Truncate(Truncate.Settings())
    with pytest.raises(UserError, match=r"call its attach\(searcher\)"):
        list(made.rewrite([Query("q", "text")]))
    made.attach(searcher)
    with pytest.raises(UserError, match=r"\(Hashing\) does not say how much of a text it reads; .*words = 40"):
        list(made.rewrite([Query("q", "text")]))


class Letters:
    """Reads five letters."""

    window = 5

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]


def test_fitting_asks_the_retriever() -> None:
    fits = fitting(Letters(), None)  # type: ignore[arg-type]
    assert fits("abcde") and not fits("abcdef")
    assert fitting(Letters(), 1)("abcdefgh")  # type: ignore[arg-type]


def test_the_window_of_the_miniature(fresh_home: Path) -> None:
    """Against the tokeniser itself: what is kept fits, and one word more does not."""
    from tokenizers import Tokenizer

    retriever = open_retriever(None, "mini")
    tokenizer = Tokenizer.from_file(str(catalog.folder() / "baselines/models/mini-clip/tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    window = 48
    assert retriever.window == window  # type: ignore[attr-defined]
    words = [f"{colour} {shape}" for colour in ("red", "azure", "green") for shape in ("kite", "umbrella", "drum")]
    text = " ".join(words * 6)
    assert len(tokenizer.encode(text).ids) > window
    assert retriever.count_tokens([text, ""]) == [  # type: ignore[attr-defined]
        len(tokenizer.encode(one).ids) for one in (text, "")
    ]
    every = text.split()
    fits = fitting(retriever, None)
    for keep, again in (("start", lambda n: every[:n]), ("end", lambda n: every[-n:])):
        kept = cut(text, fits, keep).split()  # type: ignore[arg-type]
        assert kept == again(len(kept))
        assert len(tokenizer.encode(" ".join(kept)).ids) <= window
        assert len(tokenizer.encode(" ".join(again(len(kept) + 1))).ids) > window


def test_the_cards_keep_either_end(tmp_path: Path) -> None:
    setup = Setup("mini", "condense", 0, tmp_path)
    start, end = (open_rewriter(name, setup) for name in ("truncate", "truncate-tail"))
    assert start.fingerprint != end.fingerprint
    assert (start.sampled, start.stored) == (end.sampled, end.stored) == (False, False)
    assert start.rewriter.settings.keep == "start" and end.rewriter.settings.keep == "end"  # type: ignore[attr-defined]
