"""Swedish: en-words and ett-words, indefinite adjective agreement."""

from __future__ import annotations

from grapebench.world.languages.phrases import Phrases, by_slot, gendered, table
from grapebench.world.languages.sentences import Language, places, relations

# "n" marks en-words, "t" ett-words.
_NOUNS = gendered(
    "nt",
    circle="n cirkel", square="n kvadrat | n fyrkant", triangle="n triangel | n trekant", star="n stjärna",
    heart="t hjärta", moon="n måne | n månskära", cross="t kors", ring="n ring", arrow="n pil", house="t hus",
    tree="t träd", fish="n fisk", lantern="n lykta | n lanterna", kite="n drake | n pappersdrake", fan="n solfjäder",
    teapot="n tekanna", drum="n trumma", gourd="n kalebass", pagoda="n pagod", umbrella="t paraply",
)  # fmt: skip
_COLOURS = table(
    red="röd/rött", orange="orange", yellow="gul/gult", green="grön/grönt", blue="blå/blått",
    purple="lila | violett", pink="rosa", brown="brun/brunt", black="svart", white="vit/vitt",
    grey="grå/grått", turquoise="turkos/turkost",
)  # fmt: skip
_TABLES = {
    "colour": _COLOURS,
    "size": table(small="liten/litet", large="stor/stort"),
    "texture": table(striped="randig/randigt", dotted="prickig/prickigt", checked="rutig/rutigt"),
    "texture_after": table(striped="med ränder", dotted="med prickar", checked="med rutor"),
}

LANGUAGE = Language(
    phrases=Phrases(
        _NOUNS,
        _TABLES,
        ("size texture colour noun", "size colour noun texture_after"),
        by_slot("en ", "ett "),
        genders=2,
    ),
    relations=relations(
        left="till vänster om |på vänster sida om ", right="till höger om |på höger sida om ", above="ovanför ",
        below="under |nedanför ",
    ),
    places=places(
        sky="på himlen", grass="på gräset | i gräset", sand="på sanden | i sanden",
        snow="i snön | på snön", night="på natten | nattetid", water="på vattnet",
        wall="framför en tegelvägg | framför en tegelmur", wood="på ett trägolv",
    ),
    related=(
        "[{place} finns det/det finns] {a} {rel}{b}[, och dessutom {rest}].",
        "[{place} ser man/man ser] {a} {rel}{b}[ samt {rest}].",
        "bilden visar {a} {rel}{b}[ {place}][, tillsammans med {rest}].",
        "{a} befinner sig {rel}{b}[ {place}][; dessutom finns det {rest}].",
        "{a} {rel}{b}[ {place}][, och även {rest}].",
        "{rel}{b} syns {a}[ {place}][; där finns också {rest}].",
    ),
    listed=(
        "[{place} finns det/det finns] {all}.",
        "[{place} ser man/man ser] {all}.",
        "bilden visar {all}[ {place}].",
        "{all}[ {place}].",
        "på bilden syns {all}[ {place}].",
    ),
    lists=((", ", " och ", " och "),),
)  # fmt: skip
