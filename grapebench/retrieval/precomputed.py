"""The retriever mechanism 'precomputed': vectors that the user has computed already, in place of a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from grapebench.errors import UserError
from grapebench.files import explain_os_error, sha256_json
from grapebench.names import Spellings
from grapebench.records import Retriever
from grapebench.retrieval.weights import file_hash
from grapebench.text import decoded


class PrecomputedSettings(BaseModel):
    """`settings` of a retriever card with mechanism 'precomputed'; paths are relative to the card.

    Vectors are a 2-D array in a .npy file, or the only tensor of a .safetensors file. Ids and texts are a .txt file,
    one a line, or a .json list, in the order of the vectors.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_vectors: Path | None = None
    image_ids: Path | None = None
    text_vectors: Path | None = None
    texts: Path | None = None
    """The exact texts: queries, and rewrites if those are to be searched."""
    encoder: str | None = None
    """A retriever for the side whose vectors are not given: a card's name, MODEL@PRETRAINED, a directory."""

    @model_validator(mode="after")
    def _sides(self) -> PrecomputedSettings:
        if (self.image_vectors is None) != (self.image_ids is None):
            raise ValueError("image_vectors and image_ids belong together")
        if (self.text_vectors is None) != (self.texts is None):
            raise ValueError("text_vectors and texts belong together")
        if self.encoder is None and (self.image_vectors is None or self.text_vectors is None):
            raise ValueError("give vectors of images and of texts, or an encoder for one of them")
        return self


class _Table:
    """Unit vectors by name."""

    def __init__(self, vectors: Path, names: Path, noun: str) -> None:
        self.path, self.noun = vectors, noun
        self.vectors = _read_vectors(vectors)
        listed = _read_names(names, len(self.vectors))
        if len(listed) != len(self.vectors):
            raise UserError(f"{len(listed)} {noun}s for the {len(self.vectors)} vectors of {vectors.name}", file=names)
        self.rows = {name: row for row, name in enumerate(listed)}
        if len(self.rows) != len(listed):
            repeated = next(name for row, name in enumerate(listed) if self.rows[name] != row)
            raise UserError(f"{noun} {repeated!r} stands there more than once", file=names)
        # Of images, whose ids are names of files; a text is found by its exact words.
        self._spelled: Callable[[str], str] = Spellings(self.rows) if noun == "image" else str

    def look_up(self, names: Sequence[str]) -> np.ndarray:
        names = [self._spelled(name) for name in names]
        missing = list(dict.fromkeys(name for name in names if name not in self.rows))
        if missing:
            shown = ", ".join(repr(name) for name in missing[:10]) + (", …" if len(missing) > 10 else "")
            raise UserError(f"no vector for {len(missing)} {self.noun}s: {shown}", file=self.path)
        rows = [self.rows[name] for name in names]
        vectors = np.asarray(self.vectors[rows], np.float64)
        lengths = np.linalg.norm(vectors, axis=1)
        bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
        if len(bad):
            raise UserError(f"the vector of {self.noun} {names[bad[0]]!r} is zero or not finite", file=self.path)
        unit: np.ndarray = (vectors / lengths[:, None]).astype(np.float32)
        return unit


class Precomputed:
    """Looks images up by id and texts by their exact words; vectors are divided by their length.

    Raises UserError where one is not there, zero or not finite, or a file is not what it should be.
    """

    Settings = PrecomputedSettings

    def __init__(self, settings: PrecomputedSettings, *, base: Path) -> None:
        self.settings, self.base = settings, base

    @cached_property
    def encoder(self) -> Retriever | None:
        if self.settings.encoder is None:
            return None
        from grapebench.retrieval import open_retriever

        return open_retriever(self.settings.encoder)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the files, and of the encoder if there is one."""
        return sha256_json(["precomputed", self._hashes, self.encoder.fingerprint if self.encoder else None])

    @cached_property
    def description(self) -> dict[str, Any]:
        """What a result records of the retriever."""
        told = {"mechanism": "precomputed", "files_sha256": self._hashes}
        return told | ({"encoder": self.encoder.description} if self.encoder else {})

    @cached_property
    def _hashes(self) -> dict[str, str]:
        paths = {name: getattr(self.settings, name) for name in ("image_vectors", "image_ids", "text_vectors", "texts")}
        return {name: file_hash(self.base / path) for name, path in paths.items() if path is not None}

    @cached_property
    def _images(self) -> _Table | None:
        if self.settings.image_vectors is None or self.settings.image_ids is None:
            return None
        return _Table(self.base / self.settings.image_vectors, self.base / self.settings.image_ids, "image")

    @cached_property
    def _texts(self) -> _Table | None:
        if self.settings.text_vectors is None or self.settings.texts is None:
            return None
        return _Table(self.base / self.settings.text_vectors, self.base / self.settings.texts, "text")

    def look_up_images(self, names: Sequence[str]) -> np.ndarray | None:
        """Unit vectors `(names, dimension)`, float32; None where the encoder has to see the images."""
        return self._images.look_up(names) if self._images else None

    def look_up_texts(self, texts: Sequence[str]) -> np.ndarray | None:
        """Unit vectors `(texts, dimension)`, float32; None where the encoder has to read the texts."""
        return self._texts.look_up(texts) if self._texts else None

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        """Unit vectors `(images, dimension)`, float32, of the images called `names`."""
        if self._images or self.encoder is None:
            return self._images.look_up(names) if self._images else np.zeros((0, 0), np.float32)
        return self.encoder.encode_images(images, names)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors `(texts, dimension)`, float32."""
        if self._texts or self.encoder is None:
            return self._texts.look_up(texts) if self._texts else np.zeros((0, 0), np.float32)
        return self.encoder.encode_texts(texts)


def _read_vectors(path: Path) -> np.ndarray:
    try:
        if path.suffix == ".safetensors":
            from safetensors.numpy import load_file

            tensors = load_file(path)
            if len(tensors) != 1:
                raise UserError(f"one tensor is needed and there is: {', '.join(sorted(tensors)) or 'none'}", file=path)
            vectors = next(iter(tensors.values()))
        elif path.suffix == ".npy":
            vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            raise UserError("vectors come as .npy or .safetensors", file=path)
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError("there is no such file", file=path) from error
    except OSError as error:
        raise explain_os_error(error, path) from error
    except Exception as error:  # safetensors has its own exception, and numpy's readers several
        raise UserError(f"is not a readable {path.suffix} file: {error}", file=path) from error
    if vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise UserError(f"holds {vectors.dtype} of shape {vectors.shape} instead of rows of floats", file=path)
    return vectors


def _read_names(path: Path, count: int) -> list[str]:
    """The names in a file; `count` is how many there should be."""
    try:
        text = decoded(path.read_bytes(), path)
    except FileNotFoundError as error:
        raise UserError("there is no such file", file=path) from error
    except OSError as error:
        raise explain_os_error(error, path) from error
    if path.suffix != ".json":
        # A blank line in the middle is the text ''; how many there are at the end, the vectors say.
        names = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []
        while len(names) > count and not names[-1].strip():
            names.pop()
        return names
    try:
        names = json.loads(text)
    except ValueError as error:
        raise UserError("is not valid JSON", file=path, line=getattr(error, "lineno", None)) from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError("is not a list of texts", file=path)
    return names
