"""The miniature in each benchmark's official files, which the ordinary loaders read without knowing.

Each writer fills an empty folder with one split and returns nothing; `Folder` keeps the running content hash.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grapebench.files import sha256
from grapebench.world import english, official_english
from grapebench.world.articles import CATEGORIES, article
from grapebench.world.content import CULTURE_SHAPES, Content, Scene
from grapebench.world.drawing import draw, png
from grapebench.world.languages import LANGUAGES, realise
from grapebench.world.scenes import observe, random_scene, sample
from grapebench.world.wishes import look_alikes, word_wishes


@dataclass
class Folder:
    """A folder being written, and the hash of what it holds: texts as bytes, pictures as pixels.

    File bytes of a PNG depend on the compression library; its pixels do not.
    """

    path: Path
    digest: Any = field(default_factory=hashlib.sha256)
    oracle: list[str] = field(default_factory=list)

    def text(self, name: str, content: str) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        self.digest.update(f"{name}\n{sha256(content)}\n".encode())

    def image(self, name: str, image_id: str, scene: Scene) -> None:
        pixels = draw(scene)
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(png(pixels))
        self.digest.update(f"{name}\n{sha256(pixels.tobytes())}\n".encode())
        caption = english.realise(scene.content(), english.CANONICAL, random.Random(0))
        self.oracle.append(json.dumps({"image": image_id, "caption": caption}))

    def close(self) -> str:
        """Write the oracle's captions and return the content hash."""
        self.text("oracle.jsonl", "\n".join(self.oracle) + "\n")
        return str(self.digest.hexdigest())


def _scenes(rng: random.Random, split: str, count: int, culture: bool = False) -> Iterable[Scene]:
    endless = sample(lambda: random_scene(rng, culture=culture), split)
    return (next(endless) for _ in range(count))


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def flickr30k_cn(folder: Folder, split: str, images: int, rng: random.Random) -> None:
    """`image,caption` lines without quoting, five Chinese captions an image."""
    lines = ["image,caption"]
    for number, scene in enumerate(_scenes(rng, split, images)):
        image = str(1_000_000_000 + number * 7_919 + rng.randrange(7_919))
        folder.image(f"images/{image}.png", image, scene)
        lines += [f"{image}.jpg,{realise(observe(scene, rng), 'zh', rng)}" for _ in range(5)]
    folder.text(f"flickr30k_cn_{split}.txt", "\n".join(lines) + "\n")


def cvlue(folder: Folder, split: str, images: int, rng: random.Random) -> None:
    """Gold JSON; the category is the second-to-last element of an image's path."""
    records = []
    for number, scene in enumerate(_scenes(rng, split, images, culture=True)):
        shape = scene.things[0].shape
        category = CULTURE_SHAPES.index(shape) + 1
        name = f"images/{split}/A/{category}-{shape}/A-{category}-{number}.png"
        folder.image(name, name, scene)
        records.append({"image": name, "caption": [realise(observe(scene, rng), "zh", rng) for _ in range(5)]})
    folder.text(f"{split}.json", _dump(records))


def xm3600(folder: Folder, split: str, images: int, rng: random.Random) -> None:
    """`captions.jsonl`, one line an image, one to three captions a language."""
    lines = []
    languages = sorted((*LANGUAGES, "en"))
    for scene in _scenes(rng, split, images):
        key = f"{rng.getrandbits(64):016x}"
        folder.image(f"{split}/images/{key}.png", key, scene)
        record: dict[str, Any] = {"image/key": key, "image/locale": rng.choice(languages)}
        for language in languages:
            count = 1 + (rng.random() < 0.08) + (rng.random() < 0.02)
            captions = [_say(observe(scene, rng), language, rng) for _ in range(count)]
            record[language] = {
                "caption": captions,
                "caption/tokenized": captions,
                "caption/tokenized/lowercase": [caption.lower() for caption in captions],
            }
        lines.append(json.dumps(record, ensure_ascii=False))
    folder.text(f"{split}/captions.jsonl", "\n".join(lines) + "\n")


def _say(content: Content, language: str, rng: random.Random) -> str:
    return english.realise(content, english.PEOPLE, rng) if language == "en" else realise(content, language, rng)


def wikipedia(folder: Folder, split: str, images: int, rng: random.Random) -> None:
    """Lists and XML; as in the original, some entities are undefined, so that not every file is well formed."""
    lines = []
    for number, scene in enumerate(_scenes(rng, split, images)):
        category = rng.randrange(len(CATEGORIES))
        article_id = sha256(f"article {split} {number}")[:32]
        text_id, image = f"{article_id}-{1 + number % 7}", sha256(f"picture {split} {number}")[:32]
        folder.image(f"images/{CATEGORIES[category]}/{image}.png", image, scene)
        body = article(observe(scene, rng), CATEGORIES[category], rng).replace("–", "&ndash;")
        head = f'<document id="{text_id}" name="Article_{number}" cat="{category + 1}">'
        folder.text(f"texts/{text_id}.xml", f"{head}\n<text>\n{body}\n</text>\n</document>\n")
        lines.append(f"{text_id}\t{image}\t{category + 1}")
    folder.text(f"{split}set_txt_img_cat.list", "\n".join(lines) + "\n")
    folder.text("categories.list", "\n".join(CATEGORIES) + "\n")


_CIRR_SPLITS = {"train": "train", "val": "val", "test1": "test"}


def cirr(folder: Folder, split: str, images: int, rng: random.Random) -> None:
    """Captions, the split file, and subsets of six; each member is once a reference and once a target."""
    subsets = look_alikes(rng, _CIRR_SPLITS[split])
    records: list[dict[str, Any]] = []
    paths = {}
    for number in range(images // 6):
        subset = next(subsets)
        names = [f"{split}-{number}-0-img{i}" for i in range(6)]
        for name, scene in zip(names, subset.members, strict=True):
            paths[name] = f"./{split}/{name}.png"
            folder.image(f"{split}/{name}.png", name, scene)
        shown = list(names)
        rng.shuffle(shown)
        for i, wishes in enumerate(subset.wishes):
            target = names[(i + 1) % 6]
            records.append(
                {
                    "pairid": len(records),
                    "reference": names[i],
                    "target_hard": target,
                    "target_soft": {target: 1.0},
                    "caption": word_wishes(wishes, english.PEOPLE, rng),
                    "img_set": {
                        "id": number,
                        "members": shown,
                        "reference_rank": shown.index(names[i]),
                        "target_rank": shown.index(target),
                    },
                }
            )
    folder.text(f"captions/cap.rc2.{split}.json", _dump(records))
    folder.text(f"image_splits/split.rc2.{split}.json", _dump(paths))
    folder.text("caption_bank.txt", "\n".join(caption_bank()) + "\n")


BANK = 16_000


def caption_bank() -> list[str]:
    """The captions a reference image may be given: those of scenes that belong to no task, the same for every split."""
    rng = random.Random("caption bank")
    endless = sample(lambda: random_scene(rng, sizes=(2, 3)), "pretrain")
    return [english.realise(next(endless).content(), english.CANONICAL, rng) for _ in range(BANK)]


WRITERS: dict[str, Callable[[Folder, str, int, random.Random], None]] = {
    "flickr30k-cn": flickr30k_cn,
    "cvlue": cvlue,
    "xm3600": xm3600,
    "wikipedia": wikipedia,
    "cirr": cirr,
    **official_english.WRITERS,
}
