"""The miniature: a generated world that writes each benchmark's official files."""

from __future__ import annotations

from pathlib import Path

VERSION = "1"
"""Raised with every change that changes a byte of the miniature."""


def prepare(task: str, split: str) -> Path:
    """The folder of one split of one task in its official layout; made on first use, in seconds.

    What is made must have the content hash that the task card states: pictures and texts are the same on every machine.
    """
    import random
    import sys

    from grapebench import catalog
    from grapebench.errors import UserError
    from grapebench.files import atomic_folder
    from grapebench.paths import cache_dir

    root = cache_dir() / "world" / VERSION / f"{task}-{split}"
    if root.is_dir():
        return root
    from grapebench.world.official import WRITERS, Folder

    suite = catalog.task_card(task).card.mini
    if suite is None or split not in suite.splits or task not in WRITERS:
        raise UserError(f"the miniature has no split '{split}' of task '{task}'")
    expected = suite.splits[split]
    assert expected.images is not None
    print(f"drawing the miniature's {task} {split} split: {expected.images} images", file=sys.stderr)
    with atomic_folder(root) as temporary:
        folder = Folder(temporary)
        WRITERS[task](folder, split, expected.images, random.Random(f"{VERSION}/{task}/{split}"))
        found = folder.close()
        if expected.sha256 is not None and found != expected.sha256:
            raise UserError(
                f"the generated {task} {split} split has the content hash {found[:16]}…, the task card states "
                f"{expected.sha256[:16]}…",
                fix="the generator was changed without raising the world's version and the card's hashes",
            )
    return root
