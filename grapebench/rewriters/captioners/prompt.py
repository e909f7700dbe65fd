"""What a captioning model is asked, from the files that its card names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grapebench.errors import UserError
from grapebench.files import sha256_json
from grapebench.rewriters.prompts import read_file


@dataclass(frozen=True)
class CaptionPrompt:
    """The words that go with the image. They have no variables: the image is all that changes."""

    user: str
    system: str = ""

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of both texts."""
        return sha256_json({"system": self.system, "user": self.user})

    @property
    def instructions(self) -> tuple[str, ...]:
        """The words that every image is shown with: a caption that repeats them is none."""
        return (self.system, self.user) if self.system else (self.user,)

    @property
    def messages(self) -> tuple[dict[str, str], ...]:
        """As chat messages; the image belongs to the last one."""
        user = {"role": "user", "content": self.user}
        return ({"role": "system", "content": self.system}, user) if self.system else (user,)


def load(files: Mapping[str, str], base: Path, card: Path) -> CaptionPrompt | None:
    """The prompt in the files that a card names under 'user' and 'system' (relative to `base`); None where it names
    none. Raises UserError for another key, for 'system' alone, and for a file that is unreadable or empty."""
    if not files:
        return None
    for key in files:
        if key not in ("system", "user"):
            raise UserError(f"prompts.{key}: unknown key", file=card, fix="allowed are system, user")
    if "user" not in files:
        raise UserError("prompts.user is missing", file=card)
    return CaptionPrompt(**{key: read_file(base / name) for key, name in files.items()})
