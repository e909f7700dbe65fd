"""mini-clip: open_clip's own CLIP class, trained on short English captions of 'pretrain' scenes."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from grapebench.files import write_text
from grapebench.retrieval.trimmed import trimmed
from grapebench.world import english
from grapebench.world.drawing import draw
from grapebench.world.scenes import observe, random_scene, sample
from grapebench.world.training.loop import Report, Schedule, fit
from grapebench.world.training.tokenisers import clip_tokeniser

CONTEXT = 48
POOL = 30_000
BATCH = 256
SCHEDULE = Schedule(steps=1000, learning_rate=1e-3)

_PREPROCESS = {"size": [64, 64], "mode": "RGB", "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}


def _model_config(vocabulary: int) -> dict[str, Any]:
    return {
        "embed_dim": 96,
        "vision_cfg": {"image_size": 64, "patch_size": 8, "width": 128, "layers": 4, "head_width": 32},
        "text_cfg": {
            "context_length": CONTEXT,
            "vocab_size": vocabulary,
            "width": 128,
            "heads": 4,
            "layers": 3,
            "hf_tokenizer_name": "mini-clip",
            "pool_type": "eos",
            "eos_id": 2,
            "pad_id": 0,
        },
    }


def train(
    folder: Path,
    work: Path,
    seed: int = 0,
    scale: float | None = None,
    schedule: Schedule = SCHEDULE,
    report: Report = lambda *_: None,
) -> None:
    """Write an open_clip local directory to `folder`; `work` keeps the checkpoint of an unfinished training.

    `scale` is a logit scale (1 / temperature) that stays as it is; None: it is learnt, up to 100, as CLIP's is.
    """
    import numpy as np
    import open_clip
    import torch
    from safetensors.torch import save_file

    rng = random.Random(f"mini-clip/{seed}")
    scenes_of = sample(lambda: random_scene(rng), "pretrain")
    scenes = [next(scenes_of) for _ in range(POOL)]
    folder.mkdir(parents=True, exist_ok=True)
    # The tokeniser has read more than the model, as CLIP's has: words the model never saw are whole tokens still.
    texts = [
        english.realise(observe(scene, rng), style, rng)
        for scene in scenes[:10_000]
        for style in (english.RETRIEVER, english.PEOPLE)
    ]
    tokeniser = clip_tokeniser(texts, 860, CONTEXT, folder)
    config = _model_config(len(tokeniser))
    write_text(
        folder / "open_clip_config.json",
        json.dumps({"model_cfg": config, "preprocess_cfg": _PREPROCESS}, indent=2) + "\n",
    )
    torch.manual_seed(seed)
    model = open_clip.CLIP(**config)
    tokenise = open_clip.get_tokenizer(f"local-dir:{folder}")
    texts_without_padding = trimmed(model)
    assert texts_without_padding is not None
    pixels = torch.from_numpy(np.stack([draw(scene) for scene in scenes])).permute(0, 3, 1, 2).contiguous()

    def gradients_at(step: int) -> Sequence[torch.Tensor]:
        order = random.Random(f"{seed}/{step}")
        chosen = [order.randrange(POOL) for _ in range(BATCH)]
        captions = [english.realise(observe(scenes[i], order), english.RETRIEVER, order) for i in chosen]
        images = pixels[chosen].float().div_(127.5).sub_(1.0)
        image = model.encode_image(images, normalize=True)
        text = torch.nn.functional.normalize(texts_without_padding.encode(tokenise(captions)), dim=-1)
        logits = (model.logit_scale.exp().clamp(max=100.0) if scale is None else scale) * image @ text.T
        target = torch.arange(BATCH)
        cross = torch.nn.functional.cross_entropy
        loss = (cross(logits, target) + cross(logits.T, target)) / 2
        return torch.autograd.grad(loss, [one for one in model.parameters() if one.requires_grad])

    if scale is not None:
        model.logit_scale = torch.nn.Parameter(torch.tensor(math.log(scale)), requires_grad=False)
    fit(model, gradients_at, schedule, work, report=partial(report, "mini-clip"))
    state = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
