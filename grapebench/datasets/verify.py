"""Every image of a split, read and decoded: what a run would stumble over after hours is found beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from grapebench.datasets.survey import SplitSurvey
from grapebench.errors import UserError
from grapebench.files import sha256

Report = Callable[[int, int], None]
"""Called with how many images were looked into and how many there are."""
WINDOW = 64
"""Images that are read ahead of the one that is waited for."""


@dataclass(frozen=True)
class SplitVerification:
    """A split with its images looked into."""

    survey: SplitSurvey
    decoded: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    """What is wrong with each image that cannot be decoded, by its id."""
    duplicates: tuple[tuple[str, ...], ...] = ()
    """Groups of images that are the same file. No fault: some benchmarks have them, and results count them."""

    @property
    def faults(self) -> list[str]:
        """What keeps the split from being used, in a few words each; a split that is not there has none."""
        found = self.survey
        if not found.there:
            return []
        if found.problem is not None:
            return [found.problem]
        faults = list(found.differences)
        if found.images_problem is not None:
            faults.append(found.images_problem)
        if found.missing:
            faults.append(f"missing images: {len(found.missing):,}")
        if self.broken:
            faults.append(f"broken images: {len(self.broken):,}")
        return faults


def verify(found: SplitSurvey, report: Report | None = None) -> SplitVerification:
    """Decode every image of a surveyed split that is there, in threads; images that are missing are left out."""
    if found.dataset is None or found.images_problem is not None:
        return SplitVerification(found)
    from grapebench.retrieval.ahead import ahead
    from grapebench.retrieval.decode import decode

    gallery, missing = found.dataset.gallery, set(found.missing)
    ids = [image for image in gallery.ids if image not in missing]

    def look(image: str) -> tuple[str | None, str | None]:
        """Hash of the file and what is wrong with it; None for what is not known."""
        digest = None
        try:
            data = gallery.images.read(image)
            digest = sha256(data)
            decode(data, image, lambda picture: picture.convert("RGB"))
        except UserError as error:
            return digest, str(error).removeprefix(f"image {image!r} ")
        return digest, None

    broken: dict[str, str] = {}
    same: dict[str, list[str]] = {}
    with ahead(look, ids, window=WINDOW) as looked:
        for place, (image, (digest, fault)) in enumerate(zip(ids, looked, strict=True), 1):
            if digest is not None:
                same.setdefault(digest, []).append(image)
            if fault is not None:
                broken[image] = fault
            if report is not None:
                report(place, len(ids))
    groups = tuple(tuple(images) for images in same.values() if len(images) > 1)
    return SplitVerification(found, len(ids) - len(broken), broken, groups)
