"""Italian: un, uno, una or un' by the word that follows; size may precede the noun."""

from __future__ import annotations

from grapebench.world.languages.phrases import Noun, Phrases, gendered, table
from grapebench.world.languages.sentences import Language, places, relations

_NOUNS = gendered(
    "mf",
    circle="m cerchio | m disco", square="m quadrato", triangle="m triangolo", star="f stella", heart="m cuore",
    moon="f luna | m spicchio di luna", cross="f croce", ring="m anello", arrow="f freccia",
    house="f casa | f abitazione", tree="m albero", fish="m pesce", lantern="f lanterna", kite="m aquilone",
    fan="m ventaglio", teapot="f teiera", drum="m tamburo", gourd="f zucca", pagoda="f pagoda",
    umbrella="m ombrello | m parasole",
)  # fmt: skip
_COLOURS = table(
    red="rosso/rossa", orange="arancione", yellow="giallo/gialla", green="verde", blue="blu", purple="viola",
    pink="rosa", brown="marrone | bruno/bruna", black="nero/nera", white="bianco/bianca", grey="grigio/grigia",
    turquoise="turchese",
)  # fmt: skip
_TABLES = {
    "colour": _COLOURS,
    "size": table(small="piccolo/piccola", large="grande"),
    "texture": table(striped="a righe | a strisce", dotted="a pois | a puntini", checked="a quadretti | a quadri"),
}


def _article(noun: Noun, slot: int, following: str) -> str:
    if noun.gender:
        return "un'" if following[0] in "aeiou" else "una "
    return "uno " if following[0] == "s" and following[1] not in "aeiou" else "un "


LANGUAGE = Language(
    phrases=Phrases(
        _NOUNS,
        _TABLES,
        ("size noun colour texture", "noun colour size texture"),
        _article,
        genders=2,
    ),
    relations=relations(
        left="a sinistra di |alla sinistra di ", right="a destra di |alla destra di ", above="sopra |al di sopra di ",
        below="sotto |al di sotto di ",
    ),
    places=places(
        sky="nel cielo | in cielo", grass="sull'erba | sul prato", sand="sulla sabbia | nella sabbia",
        snow="sulla neve | nella neve", night="di notte | nella notte", water="sull'acqua",
        wall="davanti a un muro di mattoni | davanti a una parete di mattoni",
        wood="su un pavimento di legno | su un pavimento in legno",
    ),
    related=(
        "c'è {a} {rel}{b}[ {place}][; <c'è|ci sono> anche {rest}].",
        "[{place} ]si vede {a} {rel}{b}[, oltre a {rest}].",
        "l'immagine mostra {a} {rel}{b}[ {place}][, insieme a {rest}].",
        "{a} si trova {rel}{b}[ {place}][ e <c'è|ci sono> anche {rest}].",
        "{a} {rel}{b}[ {place}][, e inoltre {rest}].",
        "{rel}{b} c'è {a}[ {place}][; si ved<e|ono> anche {rest}].",
    ),
    listed=(
        "<c'è|ci sono> {all}[ {place}].",
        "[{place} ]si ved<e|ono> {all}.",
        "l'immagine mostra {all}[ {place}].",
        "{all}[ {place}].",
        "nell'immagine <c'è|ci sono> {all}[ {place}].",
    ),
    lists=((", ", " e ", " e "),),
)  # fmt: skip
