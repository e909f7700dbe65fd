"""Data for the pages' scripts: files of one call each, for a page that is opened from a folder may not fetch JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# What would end a <script>, and what older readers of JavaScript take for the end of a line.
_ESCAPES = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})


def dump(value: Any) -> str:
    """A JSON value that may stand in a script, in a file or within a page. Raises ValueError for NaN."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def write(path: Path, name: str, value: Any) -> None:
    """A file that calls `grapebench.<name>(value)`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Half of a surrogate pair is no UTF-8, but as an escape it is JSON.
    path.write_bytes(f"grapebench.{name}({dump(value)});\n".encode("utf-8", "backslashreplace"))
