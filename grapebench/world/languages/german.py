"""German: mixed declension after ein, in three cases; the verb stands second."""

from __future__ import annotations

from grapebench.world.languages.phrases import Forms, Phrases, by_slot, gendered, table
from grapebench.world.languages.sentences import Language, places, relations

# Slots run masculine, feminine, neuter within nominative, accusative, dative.
_ENDINGS = ("er", "e", "es", "en", "e", "es", "en", "en", "en")

_NOUNS = gendered(
    "mfn",
    circle="m Kreis | f Scheibe", square="n Quadrat", triangle="n Dreieck", star="m Stern", heart="n Herz",
    moon="m Mond | f Mondsichel", cross="n Kreuz", ring="m Ring", arrow="m Pfeil", house="n Haus", tree="m Baum",
    fish="m Fisch", lantern="f Laterne | m Lampion", kite="m Drachen | m Papierdrachen", fan="m Fächer",
    teapot="f Teekanne", drum="f Trommel", gourd="m Kürbis | f Kalebasse", pagoda="f Pagode",
    umbrella="m Regenschirm | m Schirm",
)  # fmt: skip


def _declined(**words: str) -> dict[str, tuple[Forms, ...]]:
    """Stems with all endings; a word in brackets takes none."""
    return {
        value: tuple((w[1:-1],) if w[0] == "(" else tuple(w + e for e in _ENDINGS) for w in text.split(" | "))
        for value, text in words.items()
    }


_TABLES = {
    "colour": _declined(
        red="rot", orange="orangefarben | (orange)", yellow="gelb", green="grün", blue="blau",
        purple="violett | (lila)", pink="(rosa) | rosafarben", brown="braun", black="schwarz", white="weiß",
        grey="grau", turquoise="türkisfarben",
    ),
    "size": _declined(small="klein", large="groß"),
    "texture": _declined(striped="gestreift", dotted="gepunktet | getupft", checked="kariert"),
    "texture_after": table(
        striped="mit Streifen | mit Streifenmuster", dotted="mit Punkten | mit Tupfen",
        checked="mit Karomuster | mit Karos",
    ),
}  # fmt: skip

LANGUAGE = Language(
    phrases=Phrases(
        _NOUNS,
        _TABLES,
        ("size texture colour noun", "size colour noun texture_after"),
        by_slot("ein ", "eine ", "ein ", "einen ", "eine ", "ein ", "einem ", "einer ", "einem "),
        genders=3,
        cases=3,
    ),
    relations=relations(
        left="links von |links neben ", right="rechts von |rechts neben ", above="über |oberhalb von ",
        below="unter |unterhalb von ",
    ),
    places=places(
        sky="am Himmel", grass="auf dem Gras | auf dem Rasen | im Gras", sand="auf dem Sand | im Sand",
        snow="im Schnee | auf dem Schnee", night="bei Nacht | in der Nacht", water="auf dem Wasser",
        wall="vor einer Ziegelmauer | vor einer Backsteinmauer", wood="auf einem Holzboden | auf einem Dielenboden",
    ),
    related=(
        "[{place} gibt es/es gibt] {a:acc} {rel}{b:dat}[, außerdem {rest:acc}].",
        "[{place} sieht man/man sieht] {a:acc} {rel}{b:dat}[ und außerdem {rest:acc}].",
        "[{place} ist {rel}{b:dat}/{rel}{b:dat} ist] {a} zu sehen[; außerdem gibt es {rest:acc}].",
        "das Bild zeigt {a:acc} {rel}{b:dat}[ {place}][ sowie {rest:acc}].",
        "{a} befindet sich {rel}{b:dat}[ {place}][; außerdem sieht man {rest:acc}].",
        "{a} {rel}{b:dat}[ {place}][, dazu {rest}].",
    ),
    listed=(
        "[{place} gibt es/es gibt] {all:acc}.",
        "[{place} sieht man/man sieht] {all:acc}.",
        "das Bild zeigt {all:acc}[ {place}].",
        "{all}[ {place}].",
        "[{place} <ist|sind> {all} zu sehen/zu sehen <ist|sind> {all}].",
    ),
    lists=((", ", " und ", " und "),),
    cases={"": 0, "acc": 1, "dat": 2},
)  # fmt: skip
