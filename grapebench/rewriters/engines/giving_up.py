"""When a server is given up, and what to do about it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from grapebench.errors import UserError
from grapebench.rewriters.engines import Answer, replies

MOST = 20
"""So many failures in a row end a run, whatever they are."""
MOST_BEFORE = {"error 404": 1, replies.REFUSED: 1, "error 400": 5, "error 403": 5, "error 422": 5}
"""So many of one kind, before the first answer: then the address, the model's name or the card is wrong."""

_FORMAT = re.compile(r"response_format|json_schema|structured.?output|guided", re.IGNORECASE)


def is_hopeless(row: Sequence[str], answered: int) -> bool:
    """Whether failures in a row, given by their reasons, end a run that had so many answers before."""
    last = row[-1]
    if last in ("error 401", replies.NO_CREDIT) or len(row) >= MOST:
        return True
    return not answered and last in MOST_BEFORE and row.count(last) >= MOST_BEFORE[last]


def given_up(server: str, model: str, key_env: str, last: Answer, row: Sequence[str]) -> UserError:
    """The error that ends a run; `key_env` is the environment variable of the key."""
    match last.failure:
        case "error 401" if os.environ.get(key_env):
            return UserError(f"{server} refuses the key in {key_env} (error 401)", fix="correct that variable")
        case "error 401":
            fix = f"set the environment variable {key_env}, or name another one as key_env in the card"
            return UserError(f"{server} wants a key (error 401)", fix=fix)
        case "error 404":
            fix = f"{server}/models lists those it has; base_url usually ends in /v1"
            return UserError(f"{server} knows no model {model!r} (error 404)", fix=fix)
        case replies.REFUSED:
            return UserError(f"no connection to {server}", fix="start the server, or correct base_url in the card")
        case "error 400" | "error 422" if _FORMAT.search(last.trace.get("error", "")):
            return UserError(
                f"{server} holds no model to a JSON Schema ({last.failure}: {last.trace['error']})",
                fix="set answer = 'text' in the card, or ask a server or model that takes response_format",
            )
        case replies.NO_CREDIT:
            return UserError(f"the account at {server} has no credit left", fix="the same command goes on later")
    times = f"{len(row)} requests in a row" if len(row) > 1 else "a request"
    told = f" ({last.trace['error']})" if "error" in last.trace else ""
    return UserError(
        f"{server} failed {times}, the last with: {last.failure}{told}",
        fix="what was answered is kept, and the same command goes on from there",
    )
