"""Japanese: attributes before the noun, in い, な or の form; verbs that suit things and animals alike."""

from __future__ import annotations

from grapebench.world.languages.phrases import Noun, Phrases, by_classifier, table
from grapebench.world.languages.sentences import Language, places, relations

_WORDS = {
    "circle": "円 | 丸", "square": "正方形 | 四角", "triangle": "三角形 | 三角", "star": "星",
    "heart": "ハート | ハートマーク", "moon": "月 | 三日月", "cross": "十字 | 十字マーク", "ring": "輪 | リング",
    "arrow": "矢印 | 矢", "house": "家 | 住宅", "tree": "木 | 樹木", "fish": "魚", "lantern": "提灯 | ちょうちん",
    "kite": "凧 | カイト", "fan": "扇子 | うちわ", "teapot": "急須 | ティーポット", "drum": "太鼓",
    "gourd": "ひょうたん | 瓢箪", "pagoda": "五重塔 | 仏塔", "umbrella": "傘",
}  # fmt: skip
_NOUNS = {shape: tuple(Noun((word,)) for word in words.split(" | ")) for shape, words in _WORDS.items()}
_TABLES = {
    "colour": table(
        red="赤い | 赤色の", orange="オレンジ色の | 橙色の", yellow="黄色い | 黄色の", green="緑の | 緑色の",
        blue="青い | 青色の", purple="紫の | 紫色の", pink="ピンクの | 桃色の", brown="茶色い | 茶色の",
        black="黒い | 黒色の", white="白い | 白色の", grey="灰色の | グレーの",
        turquoise="ターコイズ色の | ターコイズブルーの",
    ),
    "size": table(small="小さな | 小さい", large="大きな | 大きい"),
    "texture": table(
        striped="縞模様の | ストライプ柄の", dotted="水玉模様の | ドット柄の", checked="チェック柄の | 格子模様の"
    ),
}  # fmt: skip

LANGUAGE = Language(
    phrases=Phrases(
        # Texture first: after the colour it would read as the colour of the stripes.
        _NOUNS, _TABLES, ("texture size colour noun", "texture colour size noun"), by_classifier, space=""
    ),
    relations=relations(
        left="の左|の左側", right="の右|の右側", above="の上|の上方", below="の下|の下方"
    ),
    places=places(
        sky="空 | 空中", grass="草の上 | 芝生の上", sand="砂の上 | 砂浜", snow="雪の上 | 雪の中",
        night="夜の景色の中 | 夜の暗がり", water="水の上 | 水面", wall="レンガの壁の前 | レンガ塀の前",
        wood="板張りの床の上 | フローリングの上",
    ),
    related=(
        "[{place}で、]{b}{rel}に{a}が見えます[。ほかに{rest}も見えます]。",
        "[{place}で、]{a}が{b}{rel}に描かれています[。さらに{rest}も描かれています]。",
        "[{place}で、]{b}{rel}に{a}が写っています[。{rest}も写っています]。",
        "[{place}で、]{a}が{b}{rel}に位置しています[。そのほかに{rest}が見えます]。",
        "[{place}で、]{b}{rel}に{a}[。ほかに{rest}]。",
    ),
    listed=(
        "[{place}に]{all}が見えます。",
        "[{place}に]{all}が描かれています。",
        "画像には[、{place}に]{all}が写っています。",
        "{all}が[{place}に]描かれています。",
        "[{place}に]{all}。",
    ),
    lists=(
        ("、", "、", "、"), ("、", "、そして", "、そして"), ("と、", "と、", "と、"), ("、", "、それに", "、それに"),
    ),
)  # fmt: skip
