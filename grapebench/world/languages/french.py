"""French: size precedes the noun, the rest follows; every phrase begins with un or une, hence d' and qu'."""

from __future__ import annotations

from grapebench.world.languages.phrases import Phrases, by_slot, gendered, table
from grapebench.world.languages.sentences import Language, places, relations

_NOUNS = gendered(
    "mf",
    circle="m cercle | m disque", square="m carré", triangle="m triangle", star="f étoile", heart="m cœur",
    moon="f lune", cross="f croix", ring="m anneau", arrow="f flèche", house="f maison", tree="m arbre",
    fish="m poisson", lantern="f lanterne | m lampion", kite="m cerf-volant", fan="m éventail", teapot="f théière",
    drum="m tambour", gourd="f calebasse", pagoda="f pagode", umbrella="m parapluie | f ombrelle",
)  # fmt: skip
_COLOURS = table(
    red="rouge", orange="orange", yellow="jaune", green="vert/verte", blue="bleu/bleue",
    purple="violet/violette | mauve", pink="rose", brown="marron | brun/brune", black="noir/noire",
    white="blanc/blanche", grey="gris/grise", turquoise="turquoise",
)  # fmt: skip
_TABLES = {
    "colour": _COLOURS,
    "size": table(small="petit/petite", large="grand/grande"),
    "texture": table(striped="à rayures | rayé/rayée", dotted="à pois", checked="à carreaux"),
}

LANGUAGE = Language(
    phrases=Phrases(_NOUNS, _TABLES, ("size noun colour texture",), by_slot("un ", "une "), genders=2),
    relations=relations(
        left="à gauche d'|à la gauche d'", right="à droite d'|à la droite d'", above="au-dessus d'",
        below="sous |en dessous d'",
    ),
    places=places(
        sky="dans le ciel", grass="sur l'herbe | dans l'herbe | sur la pelouse", sand="sur le sable | dans le sable",
        snow="dans la neige | sur la neige", night="de nuit | pendant la nuit", water="sur l'eau",
        wall="devant un mur de briques | devant un mur en briques",
        wood="sur un plancher en bois | sur un sol en bois",
    ),
    related=(
        "il y a {a} {rel}{b}[ {place}][, ainsi qu'{rest}].",
        "[{place}, ]on voit {a} {rel}{b}[, et aussi {rest}].",
        "l'image montre {a} {rel}{b}[ {place}][, et aussi {rest}].",
        "{a} se trouve {rel}{b}[ {place}][ ; il y a aussi {rest}].",
        "{a} {rel}{b}[ {place}][, ainsi qu'{rest}].",
        "{rel}{b}, il y a {a}[ {place}][ ; on voit aussi {rest}].",
    ),
    listed=(
        "il y a {all}[ {place}].",
        "[{place}, ]on voit {all}.",
        "l'image montre {all}[ {place}].",
        "{all}[ {place}].",
        "sur l'image, on aperçoit {all}[ {place}].",
    ),
    lists=((", ", " et ", " et "),),
)  # fmt: skip
