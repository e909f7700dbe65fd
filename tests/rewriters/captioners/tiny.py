"""Image-to-text models of a few thousand random weights, in Hugging Face format, one of each kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORDS = [f"w{number}" for number in range(40)]
SPECIAL = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[DEC]",
    "<image>",
    "<look>",
    "</look>",
    "<|image_pad|>",
    "<|video_pad|>",
]
ID = {word: place for place, word in enumerate([*SPECIAL, *WORDS])}
CHAT = (
    "{% for m in messages %}[CLS] {{ m['role'] }} {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<look><|image_pad|></look> {% else %}{{ c['text'] }} {% endif %}{% endfor %}[SEP]"
    "{% endfor %}{% if add_generation_prompt %}[CLS] {% endif %}"
)
SIZE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = {"vocab_size": len(ID), "max_position_embeddings": 256, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
EYE = {"image_size": 32, "patch_size": 8}


def tokenizer(bert: bool = True) -> Any:
    """A word a token; `bert` frames each text with [CLS] and [SEP]."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordLevel(ID, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if bert:
        raw.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="[PAD]",
        unk_token="[UNK]",
        bos_token="[CLS]",
        eos_token="[SEP]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        additional_special_tokens=SPECIAL[4:],
    )


def _eye_processor() -> Any:
    from transformers import BlipImageProcessor

    return BlipImageProcessor(size={"height": 32, "width": 32})


def _save(folder: Path, model: Any, *processors: Any) -> Path:
    import torch

    torch.manual_seed(7)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1:
                weights.normal_(std=1.0 if "embed" in name else 0.4)
    model.save_pretrained(folder)
    for one in processors:
        one.save_pretrained(folder)
    return folder


def blip(folder: Path) -> Path:
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipProcessor

    text = TEXT | SIZE | {"encoder_hidden_size": 32, "bos_token_id": ID["[DEC]"], "sep_token_id": 3}
    config = BlipConfig(text_config=text, vision_config=SIZE | EYE, projection_dim=32)
    return _save(folder, BlipForConditionalGeneration(config), BlipProcessor(_eye_processor(), tokenizer()))


def git(folder: Path) -> Path:
    from transformers import GitConfig, GitForCausalLM, GitProcessor

    config = GitConfig(**TEXT, **SIZE, vision_config=SIZE | EYE)
    return _save(folder, GitForCausalLM(config), GitProcessor(_eye_processor(), tokenizer()))


def blip2(folder: Path) -> Path:
    from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor

    t5 = {"model_type": "t5", "vocab_size": len(ID), "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2}
    t5 |= {
        "num_heads": 2,
        "pad_token_id": 0,
        "eos_token_id": 3,
        "decoder_start_token_id": 0,
        "is_encoder_decoder": True,
    }
    former = SIZE | {"vocab_size": len(ID), "encoder_hidden_size": 32, "cross_attention_frequency": 1}
    config = Blip2Config(
        vision_config=SIZE | EYE,
        qformer_config=former,
        text_config=t5,
        num_query_tokens=4,
        image_token_index=ID["<image>"],
    )
    processor = Blip2Processor(_eye_processor(), tokenizer(), num_query_tokens=4)
    return _save(folder, Blip2ForConditionalGeneration(config), processor)


def encoder_decoder(folder: Path) -> Path:
    from transformers import (
        GPT2Config,
        VisionEncoderDecoderConfig,
        VisionEncoderDecoderModel,
        ViTConfig,
        ViTImageProcessor,
    )

    gpt = GPT2Config(vocab_size=len(ID), n_positions=64, n_embd=32, n_layer=2, n_head=2, bos_token_id=2, eos_token_id=3)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(**SIZE, **EYE), gpt)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 2, 0, 3
    model = VisionEncoderDecoderModel(config=config)
    model.generation_config.decoder_start_token_id, model.generation_config.pad_token_id = 2, 0
    model.generation_config.eos_token_id = 3
    eye = ViTImageProcessor(size={"height": 32, "width": 32})
    return _save(folder, model, eye, tokenizer(bert=False))


def chat(folder: Path) -> Path:
    """A Qwen2-VL, whose prompts are longer for larger images."""
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    text = TEXT | SIZE | {"num_key_value_heads": 2, "max_position_embeddings": 512}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]}
    eye = {"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": 4}
    config = Qwen2VLConfig(
        text_config=text,
        vision_config=eye,
        image_token_id=ID["<|image_pad|>"],
        video_token_id=ID["<|video_pad|>"],
        vision_start_token_id=ID["<look>"],
        vision_end_token_id=ID["</look>"],
    )
    sizes = {"patch_size": 4, "merge_size": 2, "temporal_patch_size": 2, "min_pixels": 64, "max_pixels": 8192}
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(**sizes),
        tokenizer=tokenizer(bert=False),
        video_processor=Qwen2VLVideoProcessor(**sizes),
        chat_template=CHAT,
    )
    return _save(folder, Qwen2VLForConditionalGeneration(config), processor)
