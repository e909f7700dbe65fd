"""Images where users have them: a folder, a zip or tar archive, Chinese-CLIP's `_imgs.tsv` or its LMDB; read in place.

An image is found by the end of the path that the annotation files give it, so that any layout of the same files will
do (`matching`). Nothing outside the folder or archive can be reached, whatever an annotation file says: its paths are
compared with what is there, never opened.
"""

from __future__ import annotations

from grapebench.datasets.images.containers import Container, holds_ids, open_container
from grapebench.datasets.images.matching import EXTENSIONS
from grapebench.datasets.images.pictures import Pictures

__all__ = ["EXTENSIONS", "Container", "Pictures", "holds_ids", "open_container"]
