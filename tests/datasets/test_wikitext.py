from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.datasets.wikitext import plain, resolve_entities

STRIPPED = [
    ("''Banksia spinulosa'' var.", "Banksia spinulosa var.", "bold and italics"),
    ("the '''Kern Vulture''', '''''S. kernense'''''", "the Kern Vulture, S. kernense", "bold and italics"),
    ("one of ''Lion'''s shots hit ''Seydlitz''", "one of Lion's shots hit Seydlitz", "bold and italics"),
    ("''Candide'''s parody and ''Candide'''s closest", "Candide's parody and Candide's closest", "bold and italics"),
    ("''New Ironsides''' naval career", "New Ironsides' naval career", "bold and italics"),
    ("as ''Sarcor'''h'''amphus''", "as Sarcorhamphus", "bold and italics"),
    ("''Lion'''s guns, '''bold''' words", "Lion's guns, bold words", "bold and italics"),
    ("a voltage ''V''''m'', kept", "a voltage Vm, kept", "bold and italics"),
    ("a bronze tube ('''') on ships", "a bronze tube () on ships", "bold and italics"),
    ("''open\nnext ''line''", "open\nnext line", "bold and italics"),
    ("* Rick\n** Ilsa\n:# Sam\n; Term", "Rick\nIlsa\nSam\nTerm", "lists"),
    (": : inner", "inner", "lists"),
    ("above\n----\nbelow", "above\n\nbelow", "lists"),
    ("== Early life ==\nBorn", "Early life\nBorn", "headings"),
    ("=== A = B ===", "A = B", "headings"),
    ("the [[Battle of Shiloh|battle]] of [[Shiloh]]", "the battle of Shiloh", "links"),
    ("[[Mercury (planet)|]] and [[:Category:Seas|seas]]", "Mercury (planet) and seas", "links"),
    ("a [[File:x.jpg|thumb|A [[cat]] here]] b", "a  b", "links"),
    ("end[[Category:Cats]][[de:Katze]]", "end", "links"),
    ("see [http://example.org/a the page] [https://example.org]", "see the page", "links"),
    ("x {{cite|a={{lang|fr|b}}}} y", "x  y", "templates"),
    ("{{{1}}}text __NOTOC__", "text", "templates"),
    ("a<ref name=x>Smith, ''p''. 3</ref> b<ref name=x /> c", "a b c", "footnotes"),
    ("so <math>x < y</math> holds", "so  holds", "footnotes"),
    ("a<!-- hidden -->b", "ab", "comments"),
    ("rest of a comment --> Swarming", "rest of a comment  Swarming", "comments"),
    ("H<sub>2</sub>O, <span style='x'>red</span>, a<br />b", "H2O, red, a b", "tags"),
    ("<abbr>km</abbr>", "km", "tags"),
    ("1914&ndash;1918 &#8211; &#x2013;", "1914–1918 – –", "entities"),
    (
        '{| class="wikitable"\n|+ Votes\n! Party !! Seats\n|-\n| style="width: 9px" |Green || align=right|7\n|}\nafter',
        "Votes\nParty Seats\n\nGreen 7\n\nafter",
        "tables",
    ),
    ('|align="right"|56\n|5.5%', "56\n5.5%", "tables"),
    ("above\nImage:A map.png|thumb|left|A map\nbelow", "above\nbelow", "bare links"),
    (" File: x.JPG\nbelow", "below", "bare links"),
    ("above\nCategory:Battles\nbelow", "above\nbelow", "bare links"),
    ("The end.\n\nCategory:Battles\nCategory:Union\n\nda:Slaget\nzh-yue:戰役\n", "The end.", "categories"),
]


@pytest.mark.parametrize(("source", "text", "kind"), STRIPPED)
def test_markup_goes_and_what_a_reader_sees_stays(source: str, text: str, kind: str) -> None:
    found, kinds = plain(source)
    assert found == text
    assert kind in kinds
    assert plain(found)[0] == text, "a second time there is nothing left to take"


@pytest.mark.parametrize(
    "text",
    [
        "5 < 6 & 7 > 6",
        "<b and no end",
        "<unknown>tag</unknown>",
        "an [[open link and {{an open template",
        "the dogs' bowls and 'quoted' words",
        "a | b, |c| and x = y == z",
        "?x=1&lt=2&copy=3",
        "&nosuchentity;",
        "kuþ hialbi hons| |salu| |uk|",
        "Note: a colon: no list",
        "da:Slaget ved Shiloh",
        "!Kung San\nlive here",
        "–5 °C\n\n  and – dashes",
    ],
)
def test_what_only_looks_like_markup_stays(text: str) -> None:
    assert plain(text) == (text, ())


@given(st.text(alphabet="ab \n'[]{}|<>&;=*#:!-/", max_size=60))
def test_any_text_is_read_to_the_end(text: str) -> None:
    found, kinds = plain(text)
    assert found == found.strip()
    assert kinds or found == text.strip()


def test_a_bare_ampersand_stays() -> None:
    assert resolve_entities("R&B &ndash; soul &lt;b&gt; &amp;c") == "R&B – soul <b> &c"
