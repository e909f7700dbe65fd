"""The 92 categories of CVLUE, as its image folders are named, in their 15 groups."""

from __future__ import annotations

_NAMES = {
    "Animals": "panda cow fish dog horse chicken mouse bird human cat",
    "Food": "hot_pot rice dumpling noodles baozi",
    "Drinks": "milk_tea coke milk tea porridge alcohol",
    "Clothes": "hanfu tangzhuang chi_pao suit t_shirt",
    "Plants": "willow ginkgo sycamore birch pine chrysanthemum peony orchid lotus lily",
    "Fruits": "lychee hawthorn apple cantaloupe longan",
    "Vegetables": "xiaobaicai potato dabaicai carrot cauliflower",
    "Agriculture": "hoe plow harrow sickle staff",
    "Tools": "spoon bowl cutting_board chopsticks wok fan chinese_cleaver spatula",
    "Furniture": "tv table chair refrigerator stove",
    "Sports": "ping_pong basketball swimming football running",
    "Celebrations": "lion_dance dragon_boat national_flag mooncake couplet lantern",
    "Education": "pencil blackboard brush_pen chalk ballpen scissors",
    "Musical Instruments": "guzheng erhu suona drums pipa",
    "Art": "calligraphy shadowplay papercutting bingmayong tripod ceramic",
}

GROUPS = tuple(_NAMES)
_ALL = [(name, group) for group, names in _NAMES.items() for name in names.split()]
CATEGORIES = {f"{number}-{name}": group for number, (name, group) in enumerate(_ALL, start=1)}
"""Category ('1-panda') to group ('Animals'), in the official order."""


def category_of(path: str) -> str:
    """The category of an image: the folder it lies in; empty for a path without folders."""
    return path.rpartition("/")[0].rpartition("/")[2]


def group_of(category: str) -> str | None:
    """The group of an official category; None for any other name."""
    return CATEGORIES.get(category)
