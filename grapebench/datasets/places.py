"""The places of the official files, as the user has named them once: one small file a task.

A file of its own for each, so that two processes that remember different tasks cannot undo each other.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from grapebench.datasets.place import Place
from grapebench.errors import UserError
from grapebench.files import explain_os_error, write_text
from grapebench.paths import config_dir


def file_of(task: str) -> Path:
    """Where the place of a task is remembered."""
    return config_dir() / "places" / f"{task}.json"


def add_command(task: str) -> str:
    """What the user is told to type; `task` is a card's name or path."""
    return f"grapebench data add {shlex.quote(task)} --images DIR --annotations DIR"


def remember(task: str, place: Place) -> Path:
    """Keep the place for later calls, in the file that is returned; what was remembered of the task before is replaced.

    Raises UserError where the file cannot be written.
    """
    path = file_of(task)
    write_text(path, json.dumps({"annotations": str(place.annotations), "images": str(place.images)}, indent=2) + "\n")
    return path


def remembered(task: str) -> Place | None:
    """The place that was remembered, which need not be there any more; None where there is none.

    Raises UserError, with a way out, where the file does not hold two absolute paths.
    """
    path = file_of(task)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain_os_error(error, path) from error
    except UnicodeDecodeError as error:
        raise _broken(path, task, "it is not UTF-8") from error
    try:
        values = json.loads(text)
    except ValueError as error:
        raise _broken(path, task, f"it is not JSON ({error})") from error
    if not isinstance(values, dict):
        raise _broken(path, task, "it is not a JSON object")
    found = {}
    for key in ("annotations", "images"):
        value = values.get(key)
        if not isinstance(value, str) or not Path(value).is_absolute():
            raise _broken(path, task, f"{key!r} must be an absolute path")
        found[key] = Path(value)
    return Place(**found)


def _broken(path: Path, task: str, why: str) -> UserError:
    what = f"the remembered place of {task} cannot be read: {why}"
    return UserError(what, file=path, fix=f"delete the file and say it again: {add_command(task)}")
