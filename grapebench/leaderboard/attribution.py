"""Who submitted a published result: `attribution.json` beside it, outside of what the result says and hashes.

A result stays as it was made, bit for bit; who sent it in is no part of that, and may be put right later.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from grapebench.errors import UserError
from grapebench.files import explain_os_error

FILE = "attribution.json"


class Attribution(BaseModel):
    """The content of the file. A text of strangers: whoever shows it escapes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")
    """A person, a group, an account: as they wish to be named."""


def read(folder: Path) -> str | None:
    """Who submitted a result; None where nobody is named. Raises UserError where the file is not what it should be."""
    path = folder / FILE
    try:
        return Attribution.model_validate_json(path.read_bytes()).by
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain_os_error(error, path) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UserError(f"does not say who submitted the result: {first['msg']}", file=path) from None


def text(by: str) -> str:
    """What the file holds. Raises UserError where `by` is no name."""
    try:
        told = Attribution(by=by)
    except ValidationError:
        raise UserError(f"not a name: {by!r}", fix="give up to 100 characters, in one line") from None
    return json.dumps(told.model_dump(), ensure_ascii=False) + "\n"
