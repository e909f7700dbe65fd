"""Whether a folder holds a model that transformers can load here, said in a whole sentence where it does not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from grapebench.errors import UserError

INDEX = "model.safetensors.index.json"
_CONFIG, _ADAPTER = "config.json", "adapter_config.json"
_TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_LFS = b"version https://git-lfs"
_AGAIN = "fetch the model again, whole"


def check_model(folder: Path) -> None:
    """Raises UserError for a folder without configuration, weights as safetensors, all of their parts, or a tokenizer.

    What is in the files is not read: a broken one is found when it is loaded.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=folder) from error
    weights = [name for name in names if name.endswith(".safetensors")]
    if _CONFIG not in names:
        raise _no_model(folder, names)
    for name in (_CONFIG, *weights):
        _check_fetched(folder / name)
    if not weights:
        raise _no_weights(folder, names)
    if INDEX in names and (lacking := sorted(_parts(folder / INDEX) - set(names))):
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise UserError(f"lacks {lacking[0]}{more}, which {INDEX} names", file=folder, fix=_AGAIN)
    if not any(name in _TOKENIZERS or name.startswith("tokenizer_config") for name in names):
        raise UserError("holds no tokenizer", file=folder, fix="copy tokenizer.json and tokenizer_config.json beside")


def _no_model(folder: Path, names: Sequence[str]) -> UserError:
    if _ADAPTER in names:
        fix = "name it in the card as `adapter`, and as `model` the one that it was trained on"
        return UserError("holds an adapter, not a model", file=folder, fix=fix)
    if ggufs := [name for name in names if name.endswith(".gguf")]:
        return _gguf(folder, ggufs[0])
    what = f"holds no {_CONFIG}" if names else "is empty"
    return UserError(
        f"{what}, so it is no model in Hugging Face format",
        file=folder,
        fix=f"name a folder with {_CONFIG}, *.safetensors and a tokenizer, or a hub id",
    )


def _gguf(folder: Path, name: str) -> UserError:
    return UserError(
        f"holds its weights as GGUF ({name}), which are not read here",
        file=folder,
        fix="fetch the model in Hugging Face format (*.safetensors), or serve it and ask by the mechanism 'api'",
    )


def _no_weights(folder: Path, names: Sequence[str]) -> UserError:
    if pickles := [name for name in names if name.endswith(_PICKLES)]:
        return UserError(
            f"holds its weights as a pickle ({pickles[0]}) alone, which may run code when it is read",
            file=folder,
            fix="fetch a revision with *.safetensors, or load and save it with transformers where you trust it",
        )
    if ggufs := [name for name in names if name.endswith(".gguf")]:
        return _gguf(folder, ggufs[0])
    return UserError("holds no weights (*.safetensors)", file=folder, fix=_AGAIN)


def _check_fetched(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(len(_LFS))
    if start == _LFS:
        raise UserError("is a pointer of git LFS, not the file itself", file=path, fix="run there: git lfs pull")
    if not start:
        raise UserError("is empty", file=path, fix=_AGAIN)


def _parts(index: Path) -> set[str]:
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError("is no index of weights", file=index, fix=_AGAIN) from error
