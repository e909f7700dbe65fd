"""Text files as users have them: UTF-8, with or without a byte order mark. Anything else is refused in one sentence."""

from __future__ import annotations

import codecs
from pathlib import Path

from grapebench.errors import UserError
from grapebench.files import explain_os_error

_WIDE = {
    codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32", codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}  # fmt: skip


def read_text(path: Path) -> str:
    """A whole file. UserError where it is missing, unreadable or in another encoding."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError("the file is missing", file=path) from error
    except OSError as error:
        raise explain_os_error(error, path) from error
    return decoded(data, path)


def decoded(data: bytes, path: Path) -> str:
    """A file's content as text, without its byte order mark. UserError, with the line, for another encoding."""
    try:
        return without_mark(data, path).decode("utf-8")
    except UnicodeDecodeError as error:
        bad = error.object[error.start]
        line = error.object.count(b"\n", 0, error.start) + 1
        fix = "convert it, for example with: iconv -t UTF-8"
        raise UserError(f"not UTF-8 (byte 0x{bad:02x})", file=path, line=line, fix=fix) from error


def lines_of(text: str) -> list[str]:
    """Its lines without their ends. Only line feeds, after a carriage return or not, end a line: texts may hold other
    separators of Unicode. Blank lines at the end are none."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def without_mark(head: bytes, path: Path) -> bytes:
    """The beginning of a file without UTF-8's byte order mark. UserError where it is that of UTF-16 or UTF-32."""
    wide = next((name for mark, name in _WIDE.items() if head.startswith(mark)), None)
    if wide is None and len(head) > 3 and (head[0] == 0) != (head[1] == 0) and (head[2] == 0) != (head[3] == 0):
        wide = "UTF-16"  # without a mark, of a text that begins with two letters of ASCII
    if wide is not None:
        raise UserError(f"is {wide}, not UTF-8", file=path, fix=f"save it as UTF-8, or: iconv -f {wide} -t UTF-8")
    return head.removeprefix(codecs.BOM_UTF8)
