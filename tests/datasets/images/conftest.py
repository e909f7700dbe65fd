"""The same images as each kind of container, written by the libraries that users' archives are written by."""

from __future__ import annotations

import base64
import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

LONG_AGO = 1_600_000_000
Writer = Callable[[Path, Mapping[str, bytes]], Path]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def write_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, (LONG_AGO, LONG_AGO))
    return path


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_tar(path: Path, files: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def write_tsv(path: Path, files: Mapping[str, bytes]) -> Path:
    lines = [f"{Path(name).stem}\t{base64.urlsafe_b64encode(data).decode()}\n" for name, data in files.items()]
    path.write_text("".join(lines))
    return path


def write_lmdb(path: Path, files: Mapping[str, bytes]) -> Path:
    """As Chinese-CLIP writes its `imgs`."""
    import lmdb

    environment = lmdb.open(str(path), map_size=2**26)
    with environment.begin(write=True) as transaction:
        for name, data in files.items():
            transaction.put(Path(name).stem.encode(), base64.b64encode(data))
        transaction.put(b"num_images", str(len(files)).encode())
    environment.close()
    return path


WRITERS: dict[str, Writer] = {
    "folder": write_folder,
    "zip": write_zip,
    "tar": write_tar,
    "tsv": write_tsv,
    "lmdb": write_lmdb,
}


@pytest.fixture
def writers() -> dict[str, Writer]:
    return WRITERS


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest) -> Writer:
    """Each kind of container in turn."""
    return WRITERS[request.param]
