"""The ten languages, read back: what a caption says is recovered from its words and compared with the content."""

# ruff: noqa: E501 - the sentences written by hand stand on one line each

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from functools import cache

import pytest

from grapebench.errors import UserError
from grapebench.world.content import (
    BACKGROUNDS,
    COLOURS,
    INVERSE,
    RELATIONS,
    SHAPES,
    SIZES,
    TEXTURES,
    Content,
    Thing,
)
from grapebench.world.languages import LANGUAGES, realise, vocabulary

# What opens a noun phrase; in Japanese and Turkish a phrase ends with its noun instead.
OPENERS = {
    "zh": "一[个颗弯轮支座栋间棵株条尾盏只把面]", "de": r"\bein(?:e|en|em|er)?\b", "es": r"\buna?\b", "fr": r"\bune?\b",
    "it": r"\bun(?:o\b|a\b|\b'?)", "nl": r"\been\b", "sv": r"\b(?:en|ett)\b", "id": r"\bse(?:buah|ekor|batang)\b",
}  # fmt: skip
POSTFIX = ("zh", "ja", "tr")  # the second thing stands before the word for the relation


def random_content(rng: random.Random) -> Content:
    def maybe(values: tuple[str, ...], share: float) -> str | None:
        return rng.choice(values) if rng.random() < share else None

    share = rng.choice((1.0, 0.6))
    shapes = rng.sample(SHAPES, rng.randrange(1, 5))
    things = tuple(Thing(s, maybe(COLOURS, share), maybe(SIZES, share), maybe(TEXTURES, share)) for s in shapes)
    return Content(things, maybe(RELATIONS, share) if len(things) > 1 else None, maybe(BACKGROUNDS, share))


def lower(text: str) -> str:
    return text.replace("İ", "i").lower()


@cache
def lexicon(language: str) -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
    """All forms as one expression, the longest first, and what each means."""
    meaning: dict[str, tuple[str, str]] = {}
    for concept, forms in vocabulary(language).items():
        for form in forms:
            word = lower(form).strip()
            assert meaning.setdefault(word, concept) == concept, f"{word} means two things in {language}"
    spaced = language not in ("zh", "ja")

    def bounded(word: str) -> str:
        return rf"\b{re.escape(word)}" + (r"\b" if word[-1].isalpha() else "") if spaced else re.escape(word)

    words = "|".join(bounded(word) for word in sorted(meaning, key=len, reverse=True))
    opener = OPENERS.get(language)
    return re.compile(f"(?P<word>{words})" + (f"|(?P<open>{opener})" if opener else "")), meaning


def read(text: str, language: str) -> Content:
    """The content that a caption states, in the order of mention, the two related things first."""
    expression, meaning = lexicon(language)
    phrases: list[dict[str, str]] = [{}]
    relations: list[tuple[str, int]] = []  # the relation, and how many things were named before it
    background = None
    for match in expression.finditer(lower(text)):
        if match["word"] is None:
            phrases.append({})
            continue
        kind, value = meaning[match["word"]]
        if kind == "relation":
            relations.append((value, sum("object" in p for p in phrases)))
        elif kind == "background":
            assert background is None, f"two places in {text!r}"
            background = value
        else:
            assert kind not in phrases[-1], f"{kind} twice in one phrase of {text!r}"
            phrases[-1][kind] = value
            if kind == "object" and language not in OPENERS:
                phrases.append({})
    things = [Thing(p["object"], p.get("colour"), p.get("size"), p.get("texture")) for p in phrases if p]
    if not relations:
        return Content(tuple(things), None, background)
    relation, before = relations[0]
    if len(relations) == 2:  # "A on the left, B on the right"
        assert (before, relations[1]) == (0, (INVERSE[relation], 1))
        second = 1
    else:
        assert len(relations) == 1, f"several relations in {text!r}"
        second = before - 1 if language in POSTFIX else before
    return Content((things[1 - second], things[second], *things[2:]), relation, background)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_fact_and_nothing_else_is_read_back(language: str) -> None:
    rng = random.Random(11)
    for _ in range(600):
        content = random_content(rng)
        text = realise(content, language, rng)
        found = read(text, language)
        assert found.facts() == content.facts(), text
        assert [t.shape for t in found.things] == [t.shape for t in content.things], text
        assert "  " not in text and not re.search(r"[{}\[\]<>|/%]", text), text
        assert text[0] == text[0].upper() and text[-1] in ".。"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_concept_has_words_of_its_own(language: str) -> None:
    kinds = {
        "object": SHAPES, "colour": COLOURS, "size": SIZES, "texture": TEXTURES[1:], "relation": RELATIONS,
        "background": BACKGROUNDS,
    }  # fmt: skip
    words = vocabulary(language)
    assert set(words) == {(kind, value) for kind, values in kinds.items() for value in values}
    assert all(words.values())
    lexicon(language)  # fails if a word means two things


def test_half_of_the_chinese_concepts_have_synonyms() -> None:
    words = vocabulary("zh")
    shapes = [forms for (kind, _), forms in words.items() if kind == "object"]
    assert sum(len(forms) > 1 for forms in shapes) >= len(shapes) / 2
    for kind in ("relation", "background", "colour", "texture", "size"):
        assert all(len(forms) > 1 for (k, _), forms in words.items() if k == kind)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("related", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("place", [None, "grass"])
def test_three_patterns_for_whatever_is_said(language: str, related: bool, count: int, place: str | None) -> None:
    if related and count == 1:
        return
    content = Content(tuple(Thing(s) for s in SHAPES[:count]), "above" if related else None, place)
    rng = random.Random(0)
    expression, meaning = lexicon(language)

    def skeleton(match: re.Match[str]) -> str:
        return meaning[match["word"]][0][0] if match["word"] else ""

    found = Counter(expression.sub(skeleton, lower(realise(content, language, rng))) for _ in range(150))
    assert len(found) >= 3


def test_five_chinese_captions_of_a_picture_differ() -> None:
    rng = random.Random(3)
    distinct = []
    for _ in range(300):
        things = tuple(
            Thing(s, rng.choice(COLOURS), rng.choice(SIZES), rng.choice(TEXTURES)) for s in rng.sample(SHAPES, 3)
        )
        content = Content(things, rng.choice(RELATIONS), rng.choice(BACKGROUNDS))
        distinct.append(len({realise(content, "zh", rng) for _ in range(5)}))
    assert sum(n == 5 for n in distinct) >= 299


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_seed_gives_the_same_texts(language: str) -> None:
    def texts(seed: int) -> list[str]:
        rng = random.Random(seed)
        return [realise(random_content(rng), language, rng) for _ in range(50)]

    assert texts(1) == texts(1)
    assert texts(1) != texts(2)


def test_the_texts_are_the_ones_the_weights_were_trained_on() -> None:
    digest = hashlib.sha256()
    for language in LANGUAGES:
        rng = random.Random(7)
        for _ in range(300):
            digest.update(realise(random_content(rng), language, rng).encode())
    assert digest.hexdigest()[:16] == "34086cf06eef7dc7"


def test_an_unknown_language_is_a_plain_error() -> None:
    with pytest.raises(UserError, match="no language 'xx'; one of zh, de"):
        realise(Content((Thing("star"),)), "xx", random.Random(0))


RED_STAR = Thing("star", "red", "small", None)
TREE = Thing("tree", "green", None, "plain")
HOUSE = Thing("house", "white", "large", "striped")
FISH = Thing("fish", "blue", None, "dotted")
MOON = Thing("moon", "yellow", None, None)
HEART = Thing("heart", None, "large", None)
STAR_LEFT_OF_HOUSE = Content((RED_STAR, HOUSE), "left", "grass")
TREE_BELOW_MOON = Content((TREE, MOON, FISH), "below", None)
HEART_ALONE = Content((HEART,), None, "wood")
FISH_AND_STAR = Content((FISH, RED_STAR), None, "water")
HOUSE_ABOVE_STAR = Content((HOUSE, RED_STAR, TREE, HEART), "above", None)
MOON_ABOVE_HEART = Content((MOON, HEART, TREE), "above", None)
PAGODA_AND_KITE = Content((Thing("pagoda", "black"), Thing("kite", "grey", "small", "checked")), "right", "wall")
# fmt: off
GOLDEN: dict[str, list[tuple[Content, str]]] = {
    "zh": [
        (STAR_LEFT_OF_HOUSE, "草地上，一座带条纹的白色大房子的左边有一颗红色的小星星。"),
        (TREE_BELOW_MOON, "图中一棵绿色的树位于一个黄色月亮的下方，此外还有一条带斑点的蓝色的鱼。"),
        (HEART_ALONE, "木地板上有一颗大爱心。"),
        (FISH_AND_STAR, "画面以水面为背景，画着一尾蓝色的斑点鱼和一颗小小的红色五角星。"),
        (MOON_ABOVE_HEART, "上面是一轮黄色月亮，下面是一颗大爱心，还有一株绿色的树。"),
        (PAGODA_AND_KITE, "在砖墙前，一座黑色宝塔在一只灰色的格子小风筝的右侧。"),
    ],
    "de": [
        (STAR_LEFT_OF_HOUSE, "Auf dem Gras gibt es einen kleinen roten Stern links von einem großen gestreiften weißen Haus."),
        (TREE_BELOW_MOON, "Unter einer gelben Mondsichel ist ein grüner Baum zu sehen; außerdem gibt es einen blauen Fisch mit Punkten."),
        (HEART_ALONE, "Auf einem Holzboden ist ein großes Herz zu sehen."),
        (FISH_AND_STAR, "Das Bild zeigt einen gepunkteten blauen Fisch und einen kleinen roten Stern auf dem Wasser."),
        (HOUSE_ABOVE_STAR, "Ein großes weißes Haus mit Streifen über einem kleinen roten Stern, dazu ein grüner Baum und ein großes Herz."),
        (PAGODA_AND_KITE, "Eine schwarze Pagode befindet sich rechts von einem kleinen karierten grauen Drachen vor einer Ziegelmauer."),
        (Content((Thing("lantern", "purple", "small"), Thing("teapot", "pink")), None, None), "Zu sehen sind eine kleine violette Laterne und eine rosa Teekanne."),
    ],
    "es": [
        (STAR_LEFT_OF_HOUSE, "Hay una pequeña estrella roja a la izquierda de una casa blanca grande a rayas sobre la hierba."),
        (TREE_BELOW_MOON, "Se ve un árbol verde debajo de una luna amarilla, además de un pez azul de lunares."),
        (HEART_ALONE, "Sobre un suelo de madera se ve un gran corazón."),
        (FISH_AND_STAR, "Sobre el agua se ven un pez azul con lunares y una estrella roja pequeña."),
        (HOUSE_ABOVE_STAR, "Una gran casa blanca a rayas está encima de una pequeña estrella roja; también aparecen un árbol verde y un corazón grande."),
        (PAGODA_AND_KITE, "La imagen muestra una pagoda negra a la derecha de una pequeña cometa gris a cuadros delante de una pared de ladrillo."),
    ],
    "fr": [
        (STAR_LEFT_OF_HOUSE, "Il y a une petite étoile rouge à gauche d'une grande maison blanche à rayures sur l'herbe."),
        (TREE_BELOW_MOON, "Un arbre vert se trouve sous une lune jaune ; il y a aussi un poisson bleu à pois."),
        (HEART_ALONE, "Un grand cœur sur un plancher en bois."),
        (FISH_AND_STAR, "Sur l'eau, on voit un poisson bleu à pois et une petite étoile rouge."),
        (HOUSE_ABOVE_STAR, "Il y a une grande maison blanche rayée au-dessus d'une petite étoile rouge, ainsi qu'un arbre vert et un grand cœur."),
        (PAGODA_AND_KITE, "À droite d'un petit cerf-volant gris à carreaux, il y a une pagode noire devant un mur de briques."),
    ],
    "id": [
        (STAR_LEFT_OF_HOUSE, "Ada sebuah bintang merah kecil di sebelah kiri sebuah rumah putih besar bergaris-garis di atas rumput."),
        (TREE_BELOW_MOON, "Sebatang pohon hijau berada di bawah sebuah bulan kuning; terlihat juga seekor ikan biru berbintik-bintik."),
        (HEART_ALONE, "Di atas lantai kayu terdapat sebuah hati besar."),
        (FISH_AND_STAR, "Seekor ikan biru berbintik-bintik dan sebuah bintang kecil berwarna merah di atas air."),
        (HOUSE_ABOVE_STAR, "Terdapat sebuah rumah putih besar bergaris-garis di atas sebuah bintang merah kecil, serta sebatang pohon hijau dan sebuah hati besar."),
        (PAGODA_AND_KITE, "Di sebelah kanan sebuah layang-layang abu-abu kecil bermotif kotak-kotak ada sebuah pagoda hitam di depan dinding bata."),
    ],
    "it": [
        (STAR_LEFT_OF_HOUSE, "Sull'erba si vede una piccola stella rossa a sinistra di un'abitazione bianca grande a righe."),
        (TREE_BELOW_MOON, "C'è un albero verde sotto uno spicchio di luna giallo; c'è anche un pesce blu a pois."),
        (HEART_ALONE, "Nell'immagine c'è un cuore grande su un pavimento di legno."),
        (FISH_AND_STAR, "Sull'acqua si vedono un pesce blu a pois e una piccola stella rossa."),
        (HOUSE_ABOVE_STAR, "Una grande casa bianca a strisce si trova sopra una piccola stella rossa e ci sono anche un albero verde e un grande cuore."),
        (PAGODA_AND_KITE, "L'immagine mostra una pagoda nera a destra di un piccolo aquilone grigio a quadretti davanti a un muro di mattoni."),
    ],
    "ja": [
        (STAR_LEFT_OF_HOUSE, "草の上で、縞模様の大きな白い家の左に小さな赤い星が見えます。"),
        (TREE_BELOW_MOON, "緑の木が黄色い月の下に描かれています。さらに水玉模様の青い魚も描かれています。"),
        (HEART_ALONE, "板張りの床の上に大きなハートが描かれています。"),
        (FISH_AND_STAR, "画像には、水の上に水玉模様の青い魚と、小さな赤い星が写っています。"),
        (MOON_ABOVE_HEART, "大きなハートの上に黄色い月が見えます。ほかに緑の木も見えます。"),
        (PAGODA_AND_KITE, "レンガの壁の前で、黒い五重塔が格子模様の小さな灰色の凧の右に位置しています。"),
    ],
    "nl": [
        (STAR_LEFT_OF_HOUSE, "Op het gras zie je een kleine rode ster links van een groot gestreept wit huis."),
        (TREE_BELOW_MOON, "Een groene boom bevindt zich onder een gele maan; verder is er een blauwe vis met stippen."),
        (HEART_ALONE, "Op een houten vloer is er een groot hart."),
        (FISH_AND_STAR, "De afbeelding toont een gestippelde blauwe vis en een kleine rode ster op het water."),
        (HOUSE_ABOVE_STAR, "Boven een kleine rode ster is een groot wit huis met strepen te zien; ook zie je een groene boom en een groot hart."),
        (PAGODA_AND_KITE, "Voor een bakstenen muur is er een zwarte pagode rechts van een kleine geruite grijze vlieger."),
    ],
    "tr": [
        (STAR_LEFT_OF_HOUSE, "Çimlerin üzerinde büyük beyaz çizgili bir evin solunda küçük kırmızı bir yıldız var."),
        (TREE_BELOW_MOON, "Sarı bir ayın altında yeşil bir ağaç var; ayrıca mavi puantiyeli bir balık var."),
        (HEART_ALONE, "Ahşap zeminde büyük bir kalp görülüyor."),
        (FISH_AND_STAR, "Suyun üzerinde benekli mavi bir balık ve küçük kırmızı bir yıldız var."),
        (HOUSE_ABOVE_STAR, "Küçük kırmızı bir yıldızın üstünde büyük beyaz çizgili bir ev görülüyor, bunun yanı sıra yeşil bir ağaç ve büyük bir kalp var."),
        (PAGODA_AND_KITE, "Resimde bir tuğla duvarın önünde siyah bir pagoda, kareli küçük gri bir uçurtmanın sağında duruyor."),
        (Content((RED_STAR, Thing("tree", "white", "large")), "right"), "İri beyaz bir ağacın sağında küçük kırmızı bir yıldız görülüyor."),
    ],
    "sv": [
        (STAR_LEFT_OF_HOUSE, "På gräset ser man en liten röd stjärna till vänster om ett stort randigt vitt hus."),
        (TREE_BELOW_MOON, "Ett grönt träd befinner sig under en gul måne; dessutom finns det en blå fisk med prickar."),
        (HEART_ALONE, "Bilden visar ett stort hjärta på ett trägolv."),
        (FISH_AND_STAR, "På vattnet finns det en prickig blå fisk och en liten röd stjärna."),
        (HOUSE_ABOVE_STAR, "Ovanför en liten röd stjärna syns ett stort vitt hus med ränder; där finns också ett grönt träd och ett stort hjärta."),
        (PAGODA_AND_KITE, "Framför en tegelvägg ser man en svart pagod till höger om en liten rutig grå drake."),
    ],
}
# fmt: on


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_written_by_hand_are_among_the_captions(language: str) -> None:
    assert len(GOLDEN[language]) >= 6
    rng = random.Random(0)
    for content, sentence in GOLDEN[language]:
        captions = (realise(content, language, rng) for _ in range(100_000))
        assert any(caption == sentence for caption in captions), sentence
