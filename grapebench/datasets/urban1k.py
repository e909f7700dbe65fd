"""Urban1K (Long-CLIP): photographs of city scenes, each with one long English caption."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from grapebench.datasets import formats
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from grapebench.records import Dataset, Gallery, Query


def load(place: Place, split: str) -> Dataset:
    """Read `caption/*.txt`, in `<split>/` under the annotations' folder where that exists, else there itself.

    The official data is one split, 'test'. The image of `caption/<id>.txt` is `image/<id>.jpg`, and `<id>` is the id of
    both. As in the authors' code a caption is its file's first line. The gallery is the images of all captions, and
    what else is in the folder `image` beside them.
    """
    folder = place.annotations / split
    if not folder.is_dir():
        if split != "test":
            raise UserError(f"there is no split {split!r}: the folder is missing", file=folder)
        folder = place.annotations
    captions = folder / "caption"
    # What begins with a dot is no caption: archives made on a Mac hold such a twin of every file.
    files = sorted(path for path in captions.glob("*.txt") if not path.name.startswith("."))
    if not files:
        what = "the folder holds no captions (*.txt)" if captions.is_dir() else "the folder is missing"
        raise UserError(what, file=captions)
    texts = {path.stem: formats.read_text(path).split("\n") for path in files}
    queries = tuple(Query(image, lines[0].removesuffix("\r"), (image,)) for image, lines in texts.items())
    notes = formats.caption_notes([query.text for query in queries])
    if longer := sum(any(line.strip() for line in lines[1:]) for lines in texts.values()):
        notes.append(f"{longer} captions have further lines; as in the authors' code only the first is taken")
    images = dict.fromkeys([*texts, *_pictures(folder / "image")])
    if silent := len(images) - len(texts):
        notes.append(f"{silent} images have no caption and are searched all the same")
    gallery = Gallery(tuple(images), place.pictures({image: f"image/{image}.jpg" for image in images}))
    return Dataset(queries, gallery, notes=tuple(notes))


def _pictures(folder: Path) -> list[str]:
    """The ids of the images in the split's own folder of them; none where it lies elsewhere."""
    from grapebench.datasets.images import open_container

    return sorted(PurePosixPath(name).stem for name in open_container(folder).entries()) if folder.is_dir() else []
