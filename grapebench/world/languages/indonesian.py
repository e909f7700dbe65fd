"""Indonesian: a classifier by noun (sebuah, seekor, sebatang), attributes after it, nothing inflected."""

from __future__ import annotations

from grapebench.world.languages.phrases import Noun, Phrases, by_classifier, table
from grapebench.world.languages.sentences import Language, places, relations

_WORDS = {
    "circle": "lingkaran | bulatan", "square": "persegi | bujur sangkar", "triangle": "segitiga", "star": "bintang",
    "heart": "hati | bentuk hati", "moon": "bulan | bulan sabit", "cross": "salib | palang", "ring": "cincin",
    "arrow": "panah | anak panah", "house": "rumah", "tree": "pohon", "fish": "ikan", "lantern": "lampion | lentera",
    "kite": "layang-layang | layangan", "fan": "kipas", "teapot": "teko | poci teh", "drum": "gendang | genderang",
    "gourd": "labu", "pagoda": "pagoda", "umbrella": "payung",
}  # fmt: skip
_CLASSIFIERS = {"fish": "seekor ", "tree": "sebatang "}
_NOUNS = {
    shape: tuple(Noun((word,), classifier=_CLASSIFIERS.get(shape, "sebuah ")) for word in words.split(" | "))
    for shape, words in _WORDS.items()
}
_COLOURS = {
    "red": "merah", "orange": "oranye | jingga", "yellow": "kuning", "green": "hijau", "blue": "biru",
    "purple": "ungu", "pink": "merah muda | merah jambu", "brown": "cokelat", "black": "hitam", "white": "putih",
    "grey": "abu-abu | kelabu", "turquoise": "toska | pirus",
}  # fmt: skip
_TABLES = {
    "colour": table(**_COLOURS),
    "colour_long": table(**{c: "berwarna " + words.replace(" | ", " | berwarna ") for c, words in _COLOURS.items()}),
    "size": table(small="kecil", large="besar"),
    "texture": table(
        striped="bergaris-garis | bermotif garis", dotted="berbintik-bintik | bermotif polkadot",
        checked="bermotif kotak-kotak | bercorak kotak-kotak",
    ),
}  # fmt: skip

LANGUAGE = Language(
    phrases=Phrases(
        _NOUNS,
        _TABLES,
        ("noun colour size texture", "noun size colour_long texture"),
        by_classifier,
    ),
    relations=relations(
        left="di sebelah kiri |di kiri ", right="di sebelah kanan |di kanan ", above="di atas ",
        below="di bawah ",
    ),
    places=places(
        sky="di langit", grass="di atas rumput | di rerumputan", sand="di atas pasir | di hamparan pasir",
        snow="di atas salju | di tengah salju", night="pada malam hari | di malam hari",
        water="di atas air | di permukaan air", wall="di depan dinding bata | di depan tembok bata",
        wood="di atas lantai kayu | di lantai kayu",
    ),
    related=(
        "ada {a} {rel}{b}[ {place}][; ada juga {rest}].",
        "[{place} ]terdapat {a} {rel}{b}[, serta {rest}].",
        "gambar ini memperlihatkan {a} {rel}{b}[ {place}][, bersama {rest}].",
        "{a} berada {rel}{b}[ {place}][; terlihat juga {rest}].",
        "{a} {rel}{b}[ {place}][, dan juga {rest}].",
        "{rel}{b} ada {a}[ {place}][; selain itu ada {rest}].",
    ),
    listed=(
        "ada {all}[ {place}].",
        "[{place} ]terdapat {all}.",
        "gambar ini memperlihatkan {all}[ {place}].",
        "{all}[ {place}].",
        "dalam gambar terlihat {all}[ {place}].",
    ),
    lists=((", ", ", dan ", " dan "),),
)  # fmt: skip
