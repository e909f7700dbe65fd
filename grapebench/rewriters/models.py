"""Chat models on disk: where they are, which they are, and loading them once."""

from __future__ import annotations

import contextlib
import functools
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench.errors import UserError, missing_extra
from grapebench.files import sha256_json
from grapebench.rewriters import turns
from grapebench.rewriters.engines import Message
from grapebench.rewriters.folders import check_model

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Located:
    """A model's folder, and the commit it was published under if it came from the hub."""

    folder: Path
    commit: str | None = None

    @functools.cached_property
    def identity(self) -> dict[str, str]:
        """What tells its weights from all others: the hub's commit, or the hash of the folder's files."""
        if self.commit:
            return {"commit": self.commit}
        from grapebench.retrieval.weights import file_hash, folder_hashes

        templates = {path.name: file_hash(path) for path in self.folder.glob("*.jinja")}
        return {"sha256": sha256_json(folder_hashes(self.folder) | templates)}


def locate_folder(name: str, base: Path) -> Located:
    """A model's folder, relative to `base`. Raises UserError where there is none."""
    folder = base / Path(name).expanduser()
    if not folder.is_dir():
        raise UserError("no such folder", file=folder)
    return Located(folder)


BASE = "base.json"
"""In an adapter's folder: the `identity` of the model that it was trained on."""


def write_base(adapter: Path, model: Located) -> None:
    (adapter / BASE).write_text(json.dumps(model.identity) + "\n", encoding="utf-8")


def check_base(adapter: Located, model: Located) -> None:
    """Raises UserError for an adapter that was trained on other weights, where its folder says on which."""
    path = adapter.folder / BASE
    if not path.is_file():
        return
    try:
        trained_on = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError("does not say which model the adapter was trained on", file=path) from error
    if trained_on != model.identity:
        what = f"the adapter was trained on other weights than those in {model.folder}"
        raise UserError(what, file=adapter.folder, fix="name its own model, or train it again")


def locate(name: str, base: Path, revision: str) -> Located:
    """The folder of a model: relative to `base`, else from the hub's cache, else downloaded from the hub.

    A name that starts with '.', '/' or '~' is never looked for on the hub.
    """
    if name.startswith((".", "/", "~")) or (folder := base / Path(name).expanduser()).is_dir():
        return locate_folder(name, base)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    # Weights are taken as safetensors only: the older format is a pickle, which runs code.
    patterns = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
    try:
        try:
            path = snapshot_download(name, revision=revision, allow_patterns=patterns, local_files_only=True)
        except HFValidationError:
            raise
        except Exception:  # not in the cache, or not whole: the hub's client has many errors for it
            path = snapshot_download(name, revision=revision, allow_patterns=patterns)
    except Exception as error:
        raise UserError(
            f"no model {name!r}: there is no folder {folder}, and the hub says: {reason(error)}",
            fix=f"give a folder, or on a machine with access run: hf download {name}",
        ) from error
    return Located(Path(path), commit=Path(path).name)


@dataclass(frozen=True)
class Chat:
    """A loaded chat model and its tokeniser."""

    model: Any
    tokenizer: Any
    device: torch.device
    ends: frozenset[int]
    """Tokens that end an answer."""
    padding: int
    context: int | None
    """How many tokens prompt and answer may come to; None where the model sets no limit."""

    def render(self, messages: Sequence[Message]) -> str:
        """Chat messages as the text the model is prompted with, thinking switched off where the template can."""
        import jinja2

        options: dict[str, Any] = {"tokenize": False, "add_generation_prompt": True, "enable_thinking": False}
        try:
            return str(self.tokenizer.apply_chat_template(list(messages), **options))
        except jinja2.TemplateError:
            # Some templates know no system role; then it opens the user's turn.
            if messages[0]["role"] != "system" or len(messages) == 1:
                raise
            joined = messages[0]["content"] + "\n\n" + messages[1]["content"]
            turns = [{"role": "user", "content": joined}, *messages[2:]]
            return str(self.tokenizer.apply_chat_template(turns, **options))

    def tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text; the chat template has put the special tokens in already."""
        if not texts:
            return []
        ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        return decode(self.tokenizer, tokens)


def decode(tokenizer: Any, tokens: Sequence[int]) -> str:
    """The text of an answer's tokens, without the special ones unless some of them mark thinking."""
    whole = str(tokenizer.decode(list(tokens), skip_special_tokens=False))
    return whole if turns.marked(whole) else str(tokenizer.decode(list(tokens), skip_special_tokens=True))


def marks_thinking(tokenizer: Any) -> bool:
    """Whether a tokenizer's special tokens mark thinking, so that an answer must be decoded with them."""
    added = (getattr(tokenizer, "added_tokens_decoder", None) or {}).values()
    special = [str(token) for token in added if getattr(token, "special", False)]
    return any(map(turns.marked, [*special, *getattr(tokenizer, "all_special_tokens", ())]))


@functools.lru_cache(maxsize=1)
def load(folder: Path, adapter: Path | None, dtype: str, device: str, compiled: bool = False) -> Chat:
    """Load a chat model; the last one is kept, so that several seeds or tasks share it.

    Raises UserError where the folder holds no chat model or the device does not exist.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    from grapebench.retrieval.device import resolve_device

    place = torch.device(resolve_device(device))
    check_model(folder)
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder)
            model, found = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype if dtype == "auto" else getattr(torch, dtype),
                use_safetensors=True,
                output_loading_info=True,
            )
            if adapter is not None:
                model = _with_adapter(model, adapter)
            model = model.to(place).eval()
        except UserError:
            raise
        except Exception as error:  # each library below has errors of its own for a broken file
            raise UserError(f"cannot be loaded as a language model: {reason(error)}", file=folder) from error
    if found["missing_keys"]:
        # transformers would fill them with random numbers.
        raise UserError(f"the weights lack {min(found['missing_keys'])!r}", file=folder, fix="fetch the model again")
    if not tokenizer.chat_template:
        raise UserError("the tokeniser has no chat template", file=folder, fix="choose an instruction-tuned model")
    known = model.generation_config.eos_token_id
    ends = known if isinstance(known, list) else [known if known is not None else tokenizer.eos_token_id]
    if None in ends:
        raise UserError(
            "the model names no token that ends an answer", file=folder, fix="set eos_token_id in its config"
        )
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else ends[0]
    # The card alone says how to generate: sampling defaults that a model ships with would be a hidden setting.
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=ends, pad_token_id=padding)
    if compiled:
        # Prompts differ in length from batch to batch: without `dynamic` each length would be compiled anew.
        model.forward = torch.compile(model.forward, dynamic=True)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return Chat(model, tokenizer, place, frozenset(ends), padding, context)


def reason(error: BaseException) -> str:
    """The first line of what a library said."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _with_adapter(model: Any, adapter: Path) -> Any:
    try:
        from peft import PeftModel
    except ImportError as error:
        raise missing_extra("peft", "train") from error
    return PeftModel.from_pretrained(model, adapter).merge_and_unload()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the loading bars and advice of transformers: they would break into the run's own progress."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # peft calls what transformers is going to rename.
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
