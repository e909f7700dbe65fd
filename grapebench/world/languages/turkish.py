"""Turkish: the second thing stands in the genitive before a possessed place word; "bir" stands before the noun."""

from __future__ import annotations

from grapebench.world.languages.phrases import Noun, Phrases, by_classifier, table
from grapebench.world.languages.sentences import Language, places, relations

# Nominative/genitive.
_WORDS = {
    "circle": "daire/dairenin", "square": "kare/karenin", "triangle": "üçgen/üçgenin", "star": "yıldız/yıldızın",
    "heart": "kalp/kalbin", "moon": "ay/ayın | hilal/hilalin", "cross": "haç/haçın",
    "ring": "halka/halkanın | yüzük/yüzüğün", "arrow": "ok/okun", "house": "ev/evin", "tree": "ağaç/ağacın",
    "fish": "balık/balığın", "lantern": "fener/fenerin", "kite": "uçurtma/uçurtmanın", "fan": "yelpaze/yelpazenin",
    "teapot": "çaydanlık/çaydanlığın | demlik/demliğin", "drum": "davul/davulun",
    "gourd": "su kabağı/su kabağının", "pagoda": "pagoda/pagodanın", "umbrella": "şemsiye/şemsiyenin",
}  # fmt: skip
_NOUNS = {
    shape: tuple(Noun(tuple(word.split("/")), determiner="bir ") for word in words.split(" | "))
    for shape, words in _WORDS.items()
}
_TABLES = {
    "colour": table(
        red="kırmızı", orange="turuncu", yellow="sarı", green="yeşil", blue="mavi", purple="mor", pink="pembe",
        brown="kahverengi", black="siyah | kara", white="beyaz", grey="gri", turquoise="turkuaz",
    ),
    "size": table(small="küçük | ufak", large="büyük | iri"),
    "texture": table(striped="çizgili", dotted="puantiyeli | benekli", checked="kareli | damalı"),
}  # fmt: skip


def _capital(letter: str) -> str:
    return "İ" if letter == "i" else letter.upper()


LANGUAGE = Language(
    phrases=Phrases(
        _NOUNS, _TABLES, ("size colour texture noun", "texture size colour noun"), by_classifier, cases=2
    ),
    relations=relations(
        left="solunda|sol tarafında", right="sağında|sağ tarafında", above="üstünde|yukarısında",
        below="altında|aşağısında",
    ),
    places=places(
        sky="gökyüzünde | gökte", grass="çimlerin üzerinde | otların üzerinde",
        sand="kumun üzerinde | kumların üzerinde", snow="karda | karların üzerinde", night="geceleyin | gece vakti",
        water="suyun üzerinde | su üzerinde", wall="bir tuğla duvarın önünde | tuğla bir duvarın önünde",
        wood="ahşap zeminde | ahşap zeminin üzerinde",
    ),
    related=(
        "[{place} ]{b:gen} {rel} {a} var[; ayrıca {rest} var].",
        "[{place} ]{b:gen} {rel} {a} görülüyor[, bunun yanı sıra {rest} var].",
        "resimde[ {place}] {a}, {b:gen} {rel} duruyor[; ayrıca {rest} görülüyor].",
        "bu resimde[ {place}] {b:gen} {rel} {a} bulunuyor[; ayrıca {rest} var].",
        "[{place} ]{b:gen} {rel} {a}[, ayrıca {rest}].",
    ),
    listed=(
        "[{place} ]{all} var.",
        "[{place} ]{all} görülüyor.",
        "resimde[ {place}] {all} görülüyor.",
        "[{place} ]{all}.",
        "bu resimde[ {place}] {all} bulunuyor.",
    ),
    lists=((", ", " ve ", " ve "),),
    cases={"": 0, "gen": 1},
    capital=_capital,
)  # fmt: skip
