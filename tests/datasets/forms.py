"""The miniature's splits in other forms that the official files have, made from the one that it writes itself."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import json
import random
import shutil
from pathlib import Path

from grapebench.datasets import wikipedia, wit
from grapebench.datasets.place import Place
from grapebench.world import official


def miniature(task: str, folder: Path, split: str = "test", images: int = 6) -> Path:
    """A small split of a task, drawn into `folder`; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    written = official.Folder(folder)
    official.WRITERS[task](written, split, images, random.Random(f"{task} {split}"))
    written.close()
    return folder


def cvlue_blind(gold_file: Path, folder: Path) -> None:
    """A gold file of CVLUE as `images.json` and `captions.json`, in an order of their own."""
    records = json.loads(gold_file.read_text(encoding="utf-8"))
    rng = random.Random(0)
    images = [record["image"] for record in records]
    captions = [caption for record in records for caption in record["caption"]]
    for name, texts in (("images.json", images), ("captions.json", captions)):
        rng.shuffle(texts)
        (folder / name).write_text(json.dumps(texts, ensure_ascii=False, indent=1), encoding="utf-8")


def wit_shards(source: Path, folder: Path, split: str = "test") -> None:
    """A split of the Wikipedia task as two shards of WIT, one of them gzipped, with pictures named by address."""
    dataset = wikipedia.load(Place.of(source), split)
    (folder / "images").mkdir(parents=True)
    rows = []
    for query in dataset.queries:
        address = f"https://pictures.example.org/{query.positives[0]}.png"
        page, section = query.text.split("\n", 1)
        rows.append(wit_row(address, page, section))
        name = hashlib.md5(address.encode()).hexdigest()
        picture = next(source.rglob(f"{query.positives[0]}.png"))
        shutil.copy(picture, folder / "images" / f"{name}.png")
    half = len(rows) // 2
    write_wit(folder / f"wit_v1.{split}.all-00000-of-00002.tsv", rows[:half])
    write_wit(folder / f"wit_v1.{split}.all-00001-of-00002.tsv.gz", rows[half:])


def wit_row(address: str, page: str, section: str = "", language: str = "en", main: str = "true") -> list[str]:
    """A row of WIT; what no loader reads is left empty, as many a column of the real files is."""
    values = dict.fromkeys(wit.COLUMNS, "") | {
        "language": language,
        "image_url": address,
        "is_main_image": main,
        "context_page_description": page,
        "context_section_description": section,
    }
    return list(values.values())


def write_wit(path: Path, rows: list[list[str]]) -> Path:
    """Rows under the header, gzipped where the name says so; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows([wit.COLUMNS, *rows])
    return path


def flickr30k_cn(source: Path, folder: Path, split: str) -> dict[str, Place]:
    """A split of the miniature's Flickr30k-CN, by the name of each other form that circulates.

    All have their pictures where `source` has them, but for Chinese-CLIP's forms, which hold them themselves.
    """
    lines = (source / f"flickr30k_cn_{split}.txt").read_text(encoding="utf-8").splitlines()[1:]
    captions: dict[str, list[str]] = {}
    for line in lines:
        image, _, caption = line.partition(".jpg,")
        captions.setdefault(image, []).append(caption)
    pairs = [(image, caption) for image, said in captions.items() for caption in said]
    # As in the file that circulates: grouped by a number that counts from 0 and is not in order, no final line feed.
    grouped = [f"{i}#zhm#{n}\t{said[at]}" for at, n in enumerate((1, 3, 2, 0, 4)) for i, said in captions.items()]
    texts = {
        f"zhm-tab/flickr30k_cn_{split}.txt": "\n".join(grouped),
        f"id-tab/{split}.txt": "".join(f"{image}\t{caption}\n" for image, caption in pairs),
        f"jpg-tab/{split}.csv": "".join(f"{image}.jpg\t{caption}\n" for image, caption in pairs),
        f"headless/{split}.txt": "".join(line + "\n" for line in lines),
    }
    archive = f"flickr30kzhmboson{split}"
    rows = [f"{i}.jpg#zhm#{n} {_tagged(text)}\n" for i, said in captions.items() for n, text in enumerate(said)]
    texts[f"archive/{archive}/TextData/seg.{archive}.caption.txt"] = "".join(rows)
    texts[f"archive/{archive}/ImageSets/{archive}.txt"] = "".join(f"{image}\n" for image in captions)
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    names = dict.fromkeys(name.partition("/")[0] for name in texts)
    places = {name: Place(folder / name, source / "images") for name in names}
    for name, write in (("imgs-tsv", write_imgs_tsv), ("lmdb", write_lmdb)):
        places[name] = Place.of(folder / name)
        pictures = {image: (source / "images" / f"{image}.png").read_bytes() for image in captions}
        write_texts_jsonl(folder / name / f"{split}_texts.jsonl", pairs)
        write(folder / name, split, pictures)
    return places


def _tagged(text: str) -> str:
    """Words of up to three characters, each with a part of speech, as a segmenter leaves them."""
    rng = random.Random(text)
    words = []
    while text:
        length = 1 if text[0] in "，。" else rng.randint(1, 3)
        words.append(f"{text[:length]}:{'wd' if text[0] in '，。' else rng.choice(('n', 'v', 'ude', 'n2'))}")
        text = text[length:]
    return " ".join(words)


def write_texts_jsonl(path: Path, pairs: list[tuple[str, str]]) -> None:
    """Chinese-CLIP's texts: image ids are numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"text_id": number, "text": text, "image_ids": [int(image)]} for number, (image, text) in enumerate(pairs)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_imgs_tsv(folder: Path, split: str, pictures: dict[str, bytes]) -> None:
    """Chinese-CLIP's images, in an order of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{image}\t{base64.b64encode(data).decode()}\n" for image, data in sorted(pictures.items(), reverse=True)]
    (folder / f"{split}_imgs.tsv").write_text("".join(lines))


def write_lmdb(folder: Path, split: str, pictures: dict[str, bytes]) -> None:
    """Chinese-CLIP's images as its own tool stores them."""
    import lmdb

    path = folder / "lmdb" / split / "imgs"
    path.mkdir(parents=True)
    with lmdb.open(str(path), map_size=2**24) as store, store.begin(write=True) as transaction:
        for image, data in pictures.items():
            transaction.put(image.encode(), base64.b64encode(data))
        transaction.put(b"num_images", str(len(pictures)).encode())
