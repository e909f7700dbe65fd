"""What rewriters are tested with: a chat model of a few thousand random weights, and a retriever without a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from grapebench.records import Gallery
from grapebench.retrieval.searcher import Searcher
from grapebench.retrieval.store import EmbeddingStore

TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
CONTEXT = 160


@pytest.fixture(scope="session")
def tiny_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a byte-level Llama; its context is CONTEXT tokens."""
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
        tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>", chat_template=TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(alphabet),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


class Hashing:
    """A retriever without a model: a vector is drawn from the hash of what it stands for."""

    fingerprint = "hashing"
    description: ClassVar[dict[str, Any]] = {}

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        return np.stack([self.vector(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self.vector(text.encode()) for text in texts])

    @staticmethod
    def vector(thing: bytes) -> np.ndarray:
        drawn = np.random.default_rng(list(sha256(thing).digest())).normal(size=6)
        return (drawn / np.linalg.norm(drawn)).astype(np.float32)


class Memory:
    """Images whose files are their ids."""

    def read(self, image_id: str) -> bytes:
        return image_id.encode()

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        return []

    def sha256(self, image_ids: Sequence[str]) -> list[str]:
        return [sha256(image.encode()).hexdigest() for image in image_ids]


@pytest.fixture
def searcher(fresh_home: Path) -> Searcher:
    """Twelve images, i0 to i11."""
    gallery = Gallery(tuple(f"i{number}" for number in range(12)), Memory())
    return Searcher(gallery, Hashing(), EmbeddingStore())
