"""Where the official files of a task are: annotations and images may lie apart."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grapebench.errors import UserError
from grapebench.records import ImageSource


@dataclass(frozen=True)
class Place:
    """What a loader reads from."""

    annotations: Path
    """A folder; for formats of one file also that file."""
    images: Path
    """A folder (searched with all folders in it), or one of the archives that images are given out in."""

    @classmethod
    def of(cls, folder: Path) -> Place:
        """One folder for everything."""
        return cls(folder, folder)

    @classmethod
    def named(cls, annotations: Path | None, images: Path | None) -> Place:
        """What the user names, as absolute paths. Where one is left out, the folder of the other holds both.

        Raises UserError where both are left out, or where something is not there.
        """
        if annotations is None:
            if images is None:
                what, fix = "it is not said where the files are", "give --images PATH, --annotations PATH or both"
                raise UserError(what, fix=fix)
            if images.expanduser().is_file():
                what = "this is a file, and annotations are not looked for in archives"
                raise UserError(what, file=images, fix="say where the annotations are with --annotations PATH")
            annotations = images
        elif images is None:
            images = _folder(annotations.expanduser())
        place = cls(_absolute(annotations), _absolute(images))
        place.check()
        return place

    def check(self, images: bool = True) -> None:
        """Raises UserError where the annotations (or, with `images`, the images) are not there."""
        for path, noun in ((self.annotations, "annotations"), (self.images, "images")):
            if (images or noun == "annotations") and not path.exists():
                what = "there is no such file or folder"
                raise UserError(f"{what}, and the {noun} are to be there", file=path)

    @property
    def root(self) -> Path:
        """The folder of the annotations."""
        return _folder(self.annotations)

    def pictures(self, wanted: Mapping[str, str]) -> ImageSource:
        """The images by id; `wanted` gives for each id the path that the annotation files, or usage, give it.

        Only the end of that path has to be right: see `grapebench.datasets.images`. Nothing is opened before the first
        image is asked for.
        """
        from grapebench.datasets.images import Pictures

        return Pictures(self.images, wanted)


def _absolute(path: Path) -> Path:
    """Links stay what they are: one that is turned elsewhere later still says what the user means."""
    return Path(os.path.abspath(path.expanduser()))


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent
