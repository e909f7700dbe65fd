from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from grapebench.errors import UserError
from grapebench.records import Query
from grapebench.retrieval.searcher import Searcher
from grapebench.rewriters import open_rewriter, wordnet
from grapebench.rewriters.detclip import Glosses, nouns
from grapebench.rewriters.setup import Setup
from grapebench.rewriters.wordnet import WordNet

LICENCE = (
    "  1 This software and database is being provided to you, the LICENSEE, by  \n"
    "  2 WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved.  \n"
)
SENSES = {
    "lantern": ["light in a transparent protective case"],
    "kite": ["a bank check that has been altered", 'plaything flown in the wind; "children\'s kites"'],
    "man": ['an adult person who is male (as opposed to a woman); "there were two women and six men"'],
    "men": ["the force of workers available"],
    "box": ['a (usually rectangular) container; may have a lid; "he rummaged through a box"'],
    "ice_cream": ["frozen dessert containing cream and sugar"],
    "ice": ["water frozen in the solid state"],
    "cream": ["the best people or things in a group"],
    "red": ["red color or pigment"],
    "a": ["a metric unit of length"],
    "child": ["a young person of either sex"],
}
COUNTS = {
    "red%1:07:00::": 19,
    "red%3:00:01::": 30,
    "red%5:00:00:chromatic:00": 5,
    "kite%1:21:00::": 2,
    "man%1:18:00::": 9,
}


def write(folder: Path, senses: Mapping[str, list[str]] = SENSES) -> Path:
    """A database in the form of wndb(5WN)."""
    folder.mkdir(parents=True, exist_ok=True)
    data, index = LICENCE, LICENCE
    for lemma, glosses in sorted(senses.items()):
        offsets = []
        for gloss in glosses:
            offset = len(data.encode())
            data += f"{offset:08d} 06 n 01 {lemma} 0 001 @ 00001740 n 0000 | {gloss}  \n"
            offsets.append(f"{offset:08d}")
        index += f"{lemma} n {len(offsets)} 2 @ ~ {len(offsets)} 1 {' '.join(offsets)}  \n"
    counts = "".join(f"{key} {number} {count}\n" for number, (key, count) in enumerate(COUNTS.items(), 1))
    for name, text in (("data.noun", data), ("index.noun", index), ("cntlist.rev", counts)):
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "noun.exc").write_text("children child\nmen man\nmice mouse\n", encoding="utf-8")
    return folder


@pytest.fixture
def known(tmp_path: Path) -> WordNet:
    return WordNet(write(tmp_path / "dict"))


@pytest.mark.parametrize(
    ("phrase", "lemma"),
    [
        ("lantern", "lantern"),
        ("Lanterns", "lantern"),
        ("boxes", "box"),
        ("children", "child"),
        ("men", "man"),  # the exception before the lemma men
        ("ice creams", "ice_cream"),
        ("mice", None),  # the exception's base is no noun here, and rules are not for exceptions
        ("kites's", None),
        ("lanternes", None),
        ("chapmen", None),
        ("", None),
    ],
)
def test_lemmas(known: WordNet, phrase: str, lemma: str | None) -> None:
    assert known.lemma(phrase) == lemma


@pytest.mark.parametrize(
    ("word", "lemma"),
    [
        ("buses", "bus"), ("taxes", "tax"), ("waltzes", "waltz"), ("churches", "church"), ("brushes", "brush"),
        ("postmen", "postman"), ("ponies", "pony"), ("drums", "drum"),
    ],
)  # fmt: skip
def test_the_rules_of_detachment(tmp_path: Path, word: str, lemma: str) -> None:
    assert WordNet(write(tmp_path / "dict", {lemma: ["…"]})).lemma(word) == lemma


def test_the_first_gloss_without_its_examples(known: WordNet) -> None:
    assert known.gloss("kite") == "a bank check that has been altered"
    assert known.gloss("man") == "an adult person who is male (as opposed to a woman)"
    assert known.gloss("box") == "a (usually rectangular) container; may have a lid"
    assert (known.longest, known.version) == (2, "3.0")


def test_the_nouns_of_a_text(known: WordNet) -> None:
    text = "A red lantern, ice; cream and two men with ice creams. The lanterns of a child"
    assert nouns(text, known) == ["lantern", "ice", "cream", "man", "ice_cream", "child"]
    assert nouns("", known) == nouns("红色的风筝 42", known) == []
    assert known.mostly_noun("kite") and known.mostly_noun("box") and not known.mostly_noun("red")


def glosses(folder: Path, searcher: Searcher, words: int) -> Glosses:
    made = Glosses(Glosses.Settings(wordnet=folder, words=words), Setup("mini", "translate", 0, folder))
    made.attach(searcher)
    return made


def test_as_many_glosses_as_fit(tmp_path: Path, searcher: Searcher) -> None:
    folder = write(tmp_path / "dict")
    query = Query("q", "a red lantern beside a child.")

    def found(words: int) -> str:
        (rewrite,) = glosses(folder, searcher, words).rewrite([query])
        return rewrite.texts[0]

    lantern = "lantern, light in a transparent protective case"
    child = "child, a young person of either sex"
    assert found(100) == f"a red lantern beside a child. {lantern}. {child}"
    assert found(6 + 7 + 6) == f"a red lantern beside a child. {lantern}"
    assert found(6 + 7 - 1) == query.text  # neither has room
    assert found(6 + 7) == f"a red lantern beside a child. {lantern}"
    assert found(3) == query.text


def test_a_shorter_gloss_takes_the_room_that_a_longer_one_leaves(tmp_path: Path, searcher: Searcher) -> None:
    folder = write(tmp_path / "dict", {"lantern": ["one two three four"], "child": ["five"]})
    (rewrite,) = glosses(folder, searcher, 7).rewrite([Query("q", "a red lantern, a child")])
    assert rewrite.texts == ("a red lantern, a child. child, five",)


def test_only_english_queries_have_english_nouns(tmp_path: Path, searcher: Searcher) -> None:
    asked = [Query(language, "Die Ente im box", language=language) for language in ("de", "en")]
    german, english = glosses(write(tmp_path / "dict"), searcher, 50).rewrite(asked)
    assert german.texts == ("Die Ente im box",)
    assert english.texts[0].startswith("Die Ente im box. box, a (usually")


def test_where_the_database_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup("mini", "translate", 0, tmp_path)
    monkeypatch.delenv(wordnet.VARIABLE, raising=False)
    monkeypatch.setattr(wordnet, "INSTALLED", tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"nowhere: WordNet's database is not there; install Debian's package"):
        open_rewriter("detclip", setup)
    monkeypatch.setenv(wordnet.VARIABLE, str(write(tmp_path / "dict")))
    first = open_rewriter("detclip", setup)
    assert first.description["wordnet"]["version"] == "3.0"
    assert str(tmp_path) not in str(first.description)
    write(tmp_path / "dict", SENSES | {"drum": ["a musical percussion instrument"]})
    assert open_rewriter("detclip", setup).fingerprint != first.fingerprint
    (tmp_path / "dict" / "noun.exc").unlink()
    with pytest.raises(UserError, match=r"dict: no WordNet database: it lacks noun\.exc; .*WNSEARCHDIR"):
        open_rewriter("detclip", setup)
    # A card's own folder goes first, and is relative to the card.
    write(tmp_path / "cards" / "mine")
    card = tmp_path / "cards" / "near.toml"
    card.write_text('name = "near"\ntitle = ""\nabout = ""\nmechanism = "detclip"\n[settings]\nwordnet = "mine"\n')
    assert open_rewriter(str(card), setup).description["wordnet"] == first.description["wordnet"]


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    folder = write(tmp_path / "dict")
    (folder / "data.noun").write_text("\n" + (folder / "data.noun").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(UserError, match=r"data\.noun: the sense of 'box' is not at byte .* from one release"):
        WordNet(folder).gloss("box")
    with (folder / "index.noun").open("a", encoding="utf-8") as file:
        file.write("box n\n")
    with pytest.raises(UserError, match=r"index\.noun:14: not a line of WordNet's database"):
        WordNet(folder).lemma("box")
