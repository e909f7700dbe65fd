"""Hashes of model files, remembered: hashing gigabytes at every start would take longer than a cached run."""

from __future__ import annotations

from pathlib import Path

from grapebench.datasets.memo import HashMemo, Stamp
from grapebench.errors import UserError
from grapebench.files import explain_os_error, sha256_file

CHECKPOINTS = (".safetensors", ".bin", ".pth", ".pt")
_OTHERS = (".json", ".txt", ".model", ".vocab")


def file_hash(path: Path) -> str:
    """Hex SHA-256 of a file; not read again while its size and time are unchanged. Raises UserError."""
    try:
        resolved = path.resolve()
        status = resolved.stat()
        stamp = Stamp(str(resolved), status.st_size, status.st_mtime_ns)
        memo = HashMemo()
        if known := memo.get([stamp]).get(stamp.path):
            return known
        digest = sha256_file(resolved)
    except OSError as error:
        raise explain_os_error(error, path) from error
    memo.put({stamp: digest})
    return digest


def checkpoint_in(folder: Path) -> Path:
    """The only weights file of a model folder. Raises UserError where there is none, or a choice."""
    found = sorted(path for path in folder.iterdir() if path.suffix in CHECKPOINTS)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise UserError(f"one weights file is needed and there is: {names}", file=folder)
    return found[0]


def folder_hashes(folder: Path) -> dict[str, str]:
    """Hashes by name of the weights, configuration and tokeniser files that lie in a model folder."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in CHECKPOINTS + _OTHERS and path.is_file())
    return {path.name: file_hash(path) for path in paths}
