"""The two files that the scorer of CVLUE's image-text retrieval takes."""

from __future__ import annotations

from grapebench.errors import UserError
from grapebench.export.source import Source, ranked
from grapebench.leaderboard.results import I2T_RUN_FILE, RUN_FILE

DATASET = "cvlue"
MOST_BYTES = None
ANSWERS = 10
"""How many answers each caption and each image gets, where there are as many."""


def submission(source: Source) -> dict[str, dict[str, list[str]]]:
    """`t2i_submit.json`, from caption to paths of images, and `i2t_submit.json`, from path to captions; best first.

    A caption that several images share is one entry and one answer, as it is one query. Raises UserError where a
    caption or an image has too few answers.
    """
    images = source.task.gallery.ids
    texts = {query.id: query.text for query in source.task.queries}
    by_text = ranked(source, RUN_FILE, list(texts), source.task.gallery.index, ANSWERS)
    by_image = ranked(source, I2T_RUN_FILE, images, texts, ANSWERS)
    t2i = {texts[query]: paths for query, paths in by_text.items()}
    i2t = {image: [texts[query] for query in queries] for image, queries in by_image.items()}
    for file, entries, there_are in ((RUN_FILE, t2i, len(images)), (I2T_RUN_FILE, i2t, len(texts))):
        wanted = min(ANSWERS, there_are)
        for asked, answers in entries.items():
            if len(answers) != wanted:
                what = f"{asked!r} has {len(answers)} answers where the scorer takes {wanted}"
                raise UserError(what, file=source.folder / file)
    return {"t2i_submit.json": t2i, "i2t_submit.json": i2t}
