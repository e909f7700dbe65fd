"""Dutch: after een the adjective takes -e with de-words and none with het-words."""

from __future__ import annotations

from grapebench.world.languages.phrases import Phrases, by_slot, gendered, table
from grapebench.world.languages.sentences import Language, places, relations

_NOUNS = gendered(
    "dh",
    circle="d cirkel | d schijf", square="h vierkant", triangle="d driehoek", star="d ster", heart="h hart",
    moon="d maan", cross="h kruis", ring="d ring", arrow="d pijl", house="h huis", tree="d boom", fish="d vis",
    lantern="d lantaarn | d lampion", kite="d vlieger", fan="d waaier", teapot="d theepot",
    drum="d trommel | d trom", gourd="d kalebas", pagoda="d pagode", umbrella="d paraplu",
)  # fmt: skip
_COLOURS = table(
    red="rode/rood", orange="oranje", yellow="gele/geel", green="groene/groen", blue="blauwe/blauw",
    purple="paarse/paars", pink="roze", brown="bruine/bruin", black="zwarte/zwart", white="witte/wit",
    grey="grijze/grijs", turquoise="turquoise",
)  # fmt: skip
_TABLES = {
    "colour": _COLOURS,
    "size": table(small="kleine/klein", large="grote/groot"),
    "texture": table(striped="gestreepte/gestreept", dotted="gestippelde/gestippeld", checked="geruite/geruit"),
    "texture_after": table(striped="met strepen", dotted="met stippen", checked="met ruitjes"),
}

LANGUAGE = Language(
    phrases=Phrases(
        _NOUNS,
        _TABLES,
        ("size texture colour noun", "size colour noun texture_after"),
        by_slot("een ", "een "),
        genders=2,
    ),
    relations=relations(
        left="links van |aan de linkerkant van ", right="rechts van |aan de rechterkant van ", above="boven ",
        below="onder ",
    ),
    places=places(
        sky="in de lucht | aan de hemel", grass="op het gras | in het gras", sand="op het zand | in het zand",
        snow="in de sneeuw | op de sneeuw", night="in de nacht | bij nacht", water="op het water",
        wall="voor een bakstenen muur", wood="op een houten vloer | op een planken vloer",
    ),
    related=(
        "[{place} is er/er is] {a} {rel}{b}[, en ook {rest}].",
        "[{place} zie je/je ziet] {a} {rel}{b}[ en verder {rest}].",
        "de afbeelding toont {a} {rel}{b}[ {place}][, samen met {rest}].",
        "{a} bevindt zich {rel}{b}[ {place}][; verder <is|zijn> er {rest}].",
        "{a} {rel}{b}[ {place}][, en verder {rest}].",
        "{rel}{b} is[ {place}] {a} te zien[; ook zie je {rest}].",
    ),
    listed=(
        "[{place} <is|zijn> er/er <is|zijn>] {all}.",
        "[{place} zie je/je ziet] {all}.",
        "de afbeelding toont {all}[ {place}].",
        "{all}[ {place}].",
        "[{place} <is|zijn>/hier <is|zijn>] {all} te zien.",
    ),
    lists=((", ", " en ", " en "),),
)  # fmt: skip
