"""Spanish: adjectives follow the noun and agree; size may precede it."""

from __future__ import annotations

from grapebench.world.languages.phrases import Phrases, by_slot, gendered, table
from grapebench.world.languages.sentences import Language, places, relations

_NOUNS = gendered(
    "mf",
    circle="m círculo | m disco", square="m cuadrado", triangle="m triángulo", star="f estrella", heart="m corazón",
    moon="f luna", cross="f cruz", ring="m anillo | m aro", arrow="f flecha", house="f casa", tree="m árbol",
    fish="m pez", lantern="m farolillo | m farol", kite="f cometa | m barrilete", fan="m abanico",
    teapot="f tetera", drum="m tambor", gourd="f calabaza", pagoda="f pagoda", umbrella="m paraguas | f sombrilla",
)  # fmt: skip
_COLOURS = table(
    red="rojo/roja", orange="naranja | anaranjado/anaranjada", yellow="amarillo/amarilla", green="verde", blue="azul",
    purple="morado/morada | violeta", pink="rosa | rosado/rosada", brown="marrón | pardo/parda", black="negro/negra",
    white="blanco/blanca", grey="gris", turquoise="turquesa",
)  # fmt: skip
_TABLES = {
    "colour": _COLOURS,
    "size": table(small="pequeño/pequeña", large="grande"),
    "size_before": table(small="pequeño/pequeña", large="gran"),
    "texture": table(striped="a rayas | de rayas", dotted="de lunares | con lunares", checked="a cuadros | de cuadros"),
}

LANGUAGE = Language(
    phrases=Phrases(
        _NOUNS,
        _TABLES,
        ("size_before noun colour texture", "noun colour size texture"),
        by_slot("un ", "una "),
        genders=2,
    ),
    relations=relations(
        left="a la izquierda de ", right="a la derecha de ", above="encima de |por encima de ",
        below="debajo de |por debajo de ",
    ),
    places=places(
        sky="en el cielo", grass="sobre la hierba | en el césped", sand="sobre la arena | en la arena",
        snow="en la nieve | sobre la nieve", night="de noche | por la noche", water="sobre el agua | en el agua",
        wall="delante de una pared de ladrillo | delante de un muro de ladrillos",
        wood="sobre un suelo de madera | en un suelo de madera",
    ),
    related=(
        "hay {a} {rel}{b}[ {place}][; también hay {rest}].",
        "[{place} ]se ve {a} {rel}{b}[, además de {rest}].",
        "la imagen muestra {a} {rel}{b}[ {place}][, junto con {rest}].",
        "{a} está {rel}{b}[ {place}][; también aparece<|n> {rest}].",
        "{a} {rel}{b}[ {place}][, y también {rest}].",
        "{rel}{b} hay {a}[ {place}][; además se ve<|n> {rest}].",
    ),
    listed=(
        "hay {all}[ {place}].",
        "[{place} ]se ve<|n> {all}.",
        "la imagen muestra {all}[ {place}].",
        "{all}[ {place}].",
        "en la imagen aparece<|n> {all}[ {place}].",
    ),
    lists=((", ", " y ", " y "),),
)  # fmt: skip
