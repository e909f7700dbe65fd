"""Byte-level BPE tokenisers in Hugging Face format, trained on the miniature's own texts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def clip_tokeniser(texts: Iterable[str], size: int, context: int, folder: Path) -> Any:
    """Lower-casing, `<bos> … <eos>`, padded with id 0, as open_clip's HFTokenizer expects it."""
    from tokenizers import normalizers, processors
    from transformers import PreTrainedTokenizerFast

    core = _train(texts, size, ["<pad>", "<bos>", "<eos>"])
    core.normalizer = normalizers.Lowercase()
    core.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 1), ("<eos>", 2)]
    )
    tokeniser = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", model_max_length=context
    )
    tokeniser.save_pretrained(folder)
    return tokeniser


def chat_tokeniser(texts: Iterable[str], size: int, context: int, folder: Path) -> Any:
    """ChatML with `<|im_end|>` as the end of an answer."""
    from transformers import PreTrainedTokenizerFast

    core = _train(texts, size, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokeniser = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
        model_max_length=context,
        padding_side="left",
    )
    tokeniser.chat_template = CHAT_TEMPLATE
    tokeniser.save_pretrained(folder)
    return tokeniser


def _train(texts: Iterable[str], size: int, special: list[str]) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    # Chinese knows no spaces: without the split, frequent pairs of neighbours would be merged across words.
    characters = pre_tokenizers.Split(Regex(r"\p{Han}"), behavior="isolated")
    core.pre_tokenizer = pre_tokenizers.Sequence([characters, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return core
