"""Chinese: a classifier opens each phrase; the most varied language, for two benchmarks are written in it."""

from __future__ import annotations

from grapebench.world.languages.phrases import Noun, Phrases, by_classifier, table
from grapebench.world.languages.sentences import Language, relations

# Classifier and word; listed twice with two classifiers where both are common.
_WORDS = {
    "circle": "个圆形 | 个圆盘", "square": "个正方形 | 个方块", "triangle": "个三角形 | 个三角",
    "star": "颗星星 | 颗五角星 | 个星星", "heart": "颗爱心 | 颗心 | 个爱心", "moon": "个月亮 | 弯月牙 | 轮月亮",
    "cross": "个十字 | 个十字形", "ring": "个圆环 | 个环", "arrow": "个箭头 | 支箭",
    "house": "座房子 | 栋房屋 | 间房子", "tree": "棵树 | 株树", "fish": "条鱼 | 尾鱼",
    "lantern": "盏灯笼 | 个灯笼 | 只灯笼", "kite": "只风筝 | 个风筝 | 只纸鸢", "fan": "把扇子 | 把折扇",
    "teapot": "把茶壶 | 个茶壶", "drum": "面鼓 | 个鼓", "gourd": "个葫芦 | 只葫芦", "pagoda": "座宝塔 | 座佛塔",
    "umbrella": "把伞 | 把雨伞",
}  # fmt: skip
_NOUNS = {
    shape: tuple(Noun((word[1:],), classifier="一" + word[0]) for word in words.split(" | "))
    for shape, words in _WORDS.items()
}
_COLOURS = {
    "red": "红色 | 朱红色", "orange": "橙色 | 橘色", "yellow": "黄色 | 金黄色", "green": "绿色 | 翠绿色",
    "blue": "蓝色 | 宝蓝色", "purple": "紫色 | 紫罗兰色", "pink": "粉色 | 粉红色", "brown": "棕色 | 褐色",
    "black": "黑色 | 墨黑色", "white": "白色 | 纯白色", "grey": "灰色 | 银灰色", "turquoise": "青色 | 青碧色",
}  # fmt: skip
_TABLES = {
    "colour": table(**_COLOURS),
    "colour_de": table(**{c: " | ".join(w + "的" for w in words.split(" | ")) for c, words in _COLOURS.items()}),
    "size": table(small="小", large="大"),
    "size_long": table(small="小小的 | 小巧的", large="大大的 | 巨大的"),
    "texture": table(striped="条纹", dotted="波点 | 斑点", checked="格子 | 格纹"),
    "texture_de": table(
        striped="带条纹的 | 印着条纹的 | 条纹图案的", dotted="带斑点的 | 印着波点的 | 波点图案的",
        checked="带格子的 | 印着格纹的 | 格子图案的",
    ),
}  # fmt: skip


class _Phrases(Phrases):
    def join(self, words: list[str]) -> str:
        # A noun of one syllable does not follow a bare colour: 红色的鱼, but 红色灯笼 and 条纹鱼.
        if len(words) > 1 and len(words[-1]) == 1 and words[-2][-1] == "色":
            words.insert(-1, "的")
        return "".join(words)


_PLACES = {  # where something stands | what the background is
    "sky": ("天空中 天上 空中", "天空"),
    "grass": ("草地上 草坪上", "草地 草坪"),
    "sand": ("沙滩上 沙地上", "沙滩 沙地"),
    "snow": ("雪地里 雪地上", "雪地"),
    "night": ("夜里 夜色中 夜晚", "夜晚 夜色"),
    "water": ("水面上 水上", "水面"),
    "wall": ("砖墙前 砖墙前面", "砖墙"),
    "wood": ("木地板上 木板上", "木地板 木板"),
}

LANGUAGE = Language(
    phrases=_Phrases(
        _NOUNS,
        _TABLES,
        (
            "texture_de colour size noun",
            "colour_de texture size noun",
            "colour texture_de size noun",
            "size_long texture_de colour noun",
        ),
        by_classifier,
    ),
    relations=relations(
        left="左边|左侧|左面|左方", right="右边|右侧|右面|右方", above="上面|上方|上边", below="下面|下方|下边"
    ),
    places={
        name: {"": tuple(where.split()), "bg": tuple(what.split())} for name, (where, what) in _PLACES.items()
    },
    related=(
        "[在{place}，]{a}在{b}的{rel}[，还有{rest}]。",
        "[{place}，]{b}的{rel}有{a}[，另外还有{rest}]。",
        "图中{a}位于{b}的{rel}[，此外还有{rest}][，背景是{place:bg}]。",
        "[{place}]有{a}，它在{b}的{rel}[，此外还有{rest}]。",
        "{rel}是{a}，{inv}是{b}[，还有{rest}][，背景是{place:bg}]。",
        "画面[的背景是{place:bg}，/中，]{b}的{rel}是{a}[，还画着{rest}]。",
        "[在{place}]可以看到{a}在{b}的{rel}[，也能看到{rest}]。",
        "这张图[以{place:bg}为背景，/里，]{a}出现在{b}的{rel}[，另有{rest}]。",
        "[{place}，]{rel}有{a}，{inv}有{b}[，还能看到{rest}]。",
        "[{place}，]{b}{rel}画着{a}[，图里还有{rest}]。",
    ),
    listed=(
        "[{place}]有{all}。",
        "[在{place}]可以看到{all}。",
        "图中有{all}[，背景是{place:bg}]。",
        "{all}[，在{place}]。",
        "画面[以{place:bg}为背景，/里]画着{all}。",
        "这张图里[，{place}]有{all}。",
        "[{place}的]{all}。",
        "这里有{all}[，背景是{place:bg}]。",
    ),
    lists=(("、", "和", "和"), ("、", "以及", "以及"), ("，", "和", "和"), ("、", "、", "、"), ("、", "，还有", "与")),
)  # fmt: skip
