"""No rewriting: what the retriever makes of the raw query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from grapebench.errors import UserError
from grapebench.files import sha256_json
from grapebench.records import Query, Rewrite
from grapebench.rewriters.setup import Setup


class Identity:
    """Searches the query's own text, its reference image, or the sum of both."""

    language_model = False
    sampled = False
    stored = False

    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        use: Literal["text", "image", "sum"] = "text"
        """'image' and 'sum' need a reference image: composed retrieval only."""

    def __init__(self, settings: Settings, setup: Setup) -> None:
        if settings.use != "text" and setup.family != "compose":
            raise UserError(
                f"use = {settings.use!r} needs a reference image, and a {setup.family!r} task has none",
                fix="use = 'text' works for every task",
            )
        self.settings = settings

    @property
    def fingerprint(self) -> str:
        return sha256_json(["identity", self.settings.model_dump()])

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        """One rewrite for each query. Raises UserError for a composed query without a reference image."""
        for query in queries:
            texts = () if self.settings.use == "image" else (query.text,)
            images: tuple[str, ...] = ()
            if self.settings.use != "text":
                if query.reference is None:
                    raise UserError(f"query {query.id!r} has no reference image")
                images = (query.reference,)
            yield Rewrite(query.id, texts=texts, images=images)
