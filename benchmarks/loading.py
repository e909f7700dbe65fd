"""How busy the loader keeps the encoder, and how fast the largest annotation set is read, as ratios within one run.

    python benchmarks/loading.py

Images: ViT-B/32 with random weights over photographs that are made up (gradients and noise, JPEG), through the same
call that `grapebench run` makes, from a folder, a zip and a tar. The unit is the encoder alone: the same batches of
tensors, decoded before and kept in memory. Every repetition runs every method once, in turn.

Captions: a file of Crossmodal-3600's shape through the task's own loader. The unit is parsing its JSON and no more.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median

import numpy as np

from grapebench.datasets import xm3600
from grapebench.datasets.images import Pictures
from grapebench.datasets.place import Place
from grapebench.records import Gallery
from grapebench.retrieval.encode import gallery_vectors
from grapebench.retrieval.open_clip import OpenClip, OpenClipSettings
from grapebench.retrieval.store import EmbeddingStore

MODEL = "ViT-B-32"
SIZE = (500, 375)
"""Of a photograph of Flickr30k."""
CAPTIONS = (0, 1, 1, 2, 2, 2, 2, 3, 3, 4)
"""How many captions an image has in a language, drawn from these."""
Method = Callable[[], object]


def photograph(rng: np.random.Generator) -> bytes:
    """A JPEG of some 100 KB: large soft shapes under fine grain."""
    from PIL import Image

    shapes = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
    grain = rng.normal(0, 12, (SIZE[1], SIZE[0], 1)) + rng.normal(0, 5, (SIZE[1], SIZE[0], 3))
    file = io.BytesIO()
    Image.fromarray(np.clip(np.asarray(shapes) + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def write_containers(root: Path, files: Mapping[str, bytes]) -> dict[str, Path]:
    """The same files three times."""
    found = {kind: root / f"images-{kind}" for kind in ("folder", "zip", "tar")}
    found["folder"].mkdir()
    with zipfile.ZipFile(found["zip"], "w", zipfile.ZIP_DEFLATED) as packed, tarfile.open(found["tar"], "w") as taped:
        for name, data in files.items():
            (found["folder"] / name).write_bytes(data)
            packed.writestr(name, data)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            taped.addfile(member, io.BytesIO(data))
    return found


def random_retriever(root: Path) -> OpenClip:
    """The architecture with the weights that it is initialised with, in open_clip's own folder format."""
    import open_clip
    from safetensors.torch import save_file

    folder = root / MODEL
    folder.mkdir()
    config = {"model_cfg": open_clip.get_model_config(MODEL), "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(open_clip.create_model(MODEL).state_dict(), folder / "open_clip_model.safetensors")
    return OpenClip(OpenClipSettings(model=f"local-dir:{MODEL}", device="cpu"), base=root)


def encoding_methods(root: Path, count: int) -> tuple[dict[str, Method], float]:
    """The methods, the unit first, and the mean size of a file in bytes."""
    rng = np.random.default_rng(0)
    files = {f"{number}.jpg": photograph(rng) for number in range(count)}
    retriever = random_retriever(root)
    size = retriever.batch_size
    pixels = [retriever.preprocess(data, name) for name, data in files.items()]

    def from_memory() -> None:
        for start in range(0, count, size):
            retriever.encode_pixels(pixels[start : start + size])

    def in_turn(folder: Path) -> Method:
        def run() -> None:
            for start in range(0, count, size):
                names = list(files)[start : start + size]
                retriever.encode_pixels([retriever.preprocess((folder / name).read_bytes(), name) for name in names])

        return run

    def through_the_loader(path: Path) -> Method:
        wanted = {name: f"images/{name}" for name in files}

        def run() -> None:
            with tempfile.TemporaryDirectory() as empty:
                gallery = Gallery(tuple(wanted), Pictures(path, wanted))
                gallery_vectors(gallery, retriever, EmbeddingStore(Path(empty)))

        return run

    places = write_containers(root, files)
    methods: dict[str, Method] = {"from memory (the encoder alone)": from_memory}
    methods |= {f"**from a {kind}**": through_the_loader(path) for kind, path in places.items()}
    methods["from a folder, one thing after the other"] = in_turn(places["folder"])
    return methods, sum(map(len, files.values())) / count


def caption_lines(images: int) -> Iterator[str]:
    """Made-up words: some ten a caption, of all alphabets that the official file is written in."""
    rng = random.Random(0)
    words = ["".join(chr(rng.randrange(*rng.choice(_SCRIPTS))) for _ in range(5)) for _ in range(5000)]
    for _ in range(images):
        record: dict[str, object] = {"image/key": f"{rng.getrandbits(64):016x}", "image/locale": "en"}
        for language in _LANGUAGES.split():
            captions = [" ".join(rng.choices(words, k=rng.randint(4, 16))) for _ in range(rng.choice(CAPTIONS))]
            forms = ("caption", "caption/tokenized", "caption/tokenized/lowercase")
            record[language] = dict.fromkeys(forms, captions)
        yield json.dumps(record, ensure_ascii=False) + "\n"


_LANGUAGES = (
    "ar bn cs da de el en es fa fi fil fr hi hr hu id it he ja ko mi nl no pl pt quz ro ru sv sw te th tr uk vi zh"
)
_SCRIPTS = ((97, 123), (97, 123), (0x430, 0x450), (0x627, 0x64A), (0x905, 0x939), (0x4E00, 0x9000))


def measure(methods: Mapping[str, Method], repetitions: int) -> dict[str, float]:
    """Median seconds of each method."""
    times: dict[str, list[float]] = {name: [] for name in methods}
    for repetition in range(repetitions):
        for name, method in methods.items():
            start = time.perf_counter()
            method()
            times[name].append(time.perf_counter() - start)
            print(f"  {repetition + 1}/{repetitions} {name}: {times[name][-1]:.2f} s", file=sys.stderr)
    return {name: median(found) for name, found in times.items()}


def table(found: Mapping[str, float], count: int, noun: str) -> None:
    """The first method is the unit."""
    unit = next(iter(found.values()))
    print(f"| method | ratio | {noun}/s | seconds |\n|---|---|---|---|")
    for name, seconds in found.items():
        print(f"| {name} | {unit / seconds:.2f} | {count / seconds:,.1f} | {seconds:.2f} |")


def compare_encoding(count: int, repetitions: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        methods, size = encoding_methods(Path(folder), count)
        next(iter(methods.values()))()  # threads and memory pools are set up
        found = measure(methods, repetitions)
    print(f"\n### {count:,} photographs of {SIZE[0]} x {SIZE[1]}, {size / 1000:.0f} KB on average, {MODEL}\n")
    table(found, count, "images")


def compare_reading(images: int, repetitions: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "captions.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(caption_lines(images))
        place = Place.of(Path(folder))
        captions = len(xm3600.load(place, "test").queries)

        def bare() -> None:
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    json.loads(line)

        found = measure({"json.loads, line by line": bare, "**load**": lambda: xm3600.load(place, "test")}, repetitions)
        shape = f"{images:,} images in {len(_LANGUAGES.split())} languages, {path.stat().st_size / 1e6:.0f} MB"
    print(f"\n### {captions:,} captions of {shape}\n")
    table(found, captions, "captions")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512, help="how many photographs are encoded")
    parser.add_argument("--captioned", type=int, default=3600, help="how many images the annotation file has")
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    import torch

    versions = f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}"
    print(f"{versions}, {os.cpu_count()} cores, {torch.get_num_threads()} threads of the encoder")
    with tempfile.TemporaryDirectory() as home:
        os.environ["GRAPEBENCH_HOME"] = home
        compare_encoding(arguments.images, arguments.repetitions)
        compare_reading(arguments.captioned, arguments.repetitions)


if __name__ == "__main__":
    main()
