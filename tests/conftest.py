"""What every test stands on: a home of its own, one generated world for all, one thread a worker."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Before torch is imported anywhere: two workers with as many threads as there are cores only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

CACHE = "GRAPEBENCH_TEST_CACHE"
"""A folder that keeps the generated data between runs of the tests; without it, one is made and removed."""

CHAT_TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)

_created: Path | None = None


def pytest_configure(config: pytest.Config) -> None:
    from hypothesis import settings

    # A deadline measures the machine, which may be busy; no example database, so that a run leaves nothing behind.
    settings.register_profile("grapebench", deadline=None, database=None)
    settings.load_profile("grapebench")
    global _created
    if CACHE not in os.environ:
        # The workers of xdist start after this and inherit the variable, and with it the folder.
        _created = Path(tempfile.mkdtemp(prefix="grapebench-tests-"))
        os.environ[CACHE] = str(_created)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _created is not None:
        shutil.rmtree(_created, ignore_errors=True)
        del os.environ[CACHE]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "GRAPEBENCH_ANNOTATIONS" not in os.environ:
        skip = pytest.mark.skip(reason="GRAPEBENCH_ANNOTATIONS does not name a folder of official annotation files")
        for item in items:
            if item.get_closest_marker("annotations"):
                item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """GRAPEBENCH_HOME for the session: results of this worker only, a cache shared by all workers."""
    home = tmp_path_factory.mktemp("home")
    cache = Path(os.environ[CACHE])
    cache.mkdir(parents=True, exist_ok=True)
    (home / "cache").symlink_to(cache.resolve(), target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPEBENCH_HOME", str(home))
        yield home


@pytest.fixture
def fresh_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """GRAPEBENCH_HOME for one test: no results and an empty cache, except for the shared generated world."""
    home = tmp_path / "home"
    world = Path(os.environ[CACHE]).resolve() / "world"
    world.mkdir(parents=True, exist_ok=True)
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "world").symlink_to(world, target_is_directory=True)
    monkeypatch.setenv("GRAPEBENCH_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def count_calls() -> Callable[[Callable[[], object]], Counter[str]]:
    """Counts what is called while some work is done, in this thread, by qualified name; builtins too.

    It stands for a clock in tests of speed: the count is the same on every machine, however busy.
    """

    def count(work: Callable[[], object]) -> Counter[str]:
        calls: Counter[str] = Counter()

        def seen(frame: Any, event: str, argument: Any) -> None:
            if event == "call":
                calls[frame.f_code.co_qualname] += 1
            elif event == "c_call":
                calls[argument.__qualname__] += 1

        before = sys.getprofile()
        sys.setprofile(seen)
        try:
            work()
        finally:
            sys.setprofile(before)
        return calls

    return count


@pytest.fixture(scope="session")
def annotations() -> Path:
    """The folder of official annotation files; a test that asks for it is marked `annotations`."""
    return Path(os.environ["GRAPEBENCH_ANNOTATIONS"])


@pytest.fixture(scope="session")
def tiny_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a byte-level Llama; its context is 160 tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("lm")
    alphabet = ["<pad>", "<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    raw = Tokenizer(models.BPE(vocab={token: place for place, token in enumerate(alphabet)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>", chat_template=CHAT_TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(alphabet),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=160,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
