"""mini-clip with another geometry: ordinary checkpoints that open_clip loads and any command takes as a folder.

One is trained from nothing at the temperature that CLIP ends with, so that it never has to leave the cone in which its
towers begin. The others need no training, and differ from mini-clip in nothing else.

Both towers of CLIP end in a layer norm and a projection without a bias. The layer norm has one, and what it holds
passes through the projection: a bias b adds b @ projection to every vector before it is normalised. That is the
constant offset of the cone effect, put into weights that the model has anyway.
"""

from __future__ import annotations

import random
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grapebench import catalog, files

SCENES = 500
"""How many pictures and captions say where vectors vary."""
WEIGHTS = "open_clip_model.safetensors"


@dataclass(frozen=True)
class Trained:
    """From nothing, with a logit scale that stays."""

    about: str
    scale: float
    steps: int


@dataclass(frozen=True)
class Variant:
    """Offsets of both towers, in units of the mean length of the tower's vectors."""

    about: str
    image: float
    text: float
    cosine: float
    """Between the two offsets."""
    tilt: float
    """0: the images' offset points where neither images nor texts vary, and no text is nearer to all images than
    another. 1: it points where texts vary most. Between: the share of its length that does."""


VARIANTS: dict[str, Variant | Trained] = {
    "hot": Trained("trained at a temperature of 0.01 from the first step on", 100.0, 400),
    "cone": Variant("CLIP's cosines: a cone for images, one for texts, and a gap", 1.0, 1.36, 0.35, 0.0),
    "leaning": Variant("the same cosines, and texts vary somewhat along the images' mean", 1.0, 1.36, 0.35, 0.5),
    "tilted": Variant("the same cosines, and texts vary most along the images' mean", 1.0, 1.36, 0.35, 1.0),
}


def model_folder() -> Path:
    """mini-clip's."""
    return catalog.folder() / "baselines" / "models" / "mini-clip"


def folder_of(name: str, out: Path) -> Path:
    """Of a variant's checkpoint under `out`, made unless it is there."""
    variant = VARIANTS[name]
    identity = [asdict(variant), files.sha256_file(model_folder() / WEIGHTS), SCENES]
    folder = out / f"mini-clip-{name}-{files.sha256_json(identity)[:8]}"
    if not folder.is_dir():
        work = folder.with_name(f"{folder.name}.making")
        with files.alone(work, "making this retriever"), files.atomic_folder(folder) as temporary:
            if isinstance(variant, Trained):
                _train(variant, temporary, work)
            else:
                _write(variant, temporary)
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _train(variant: Trained, folder: Path, work: Path) -> None:
    """`work` keeps the checkpoint of a training that was stopped."""
    from dataclasses import replace

    from grapebench.world.training import clip

    clip.train(folder, work, scale=variant.scale, schedule=replace(clip.SCHEDULE, steps=variant.steps))


def _write(variant: Variant, folder: Path) -> None:
    import open_clip
    import torch
    from safetensors.torch import load_file, save_file

    source = model_folder()
    shutil.copytree(source, folder, dirs_exist_ok=True)
    model = open_clip.create_model(f"local-dir:{source}").eval()
    images, texts = features(model, open_clip.get_tokenizer(f"local-dir:{source}"))
    image, text = offsets(variant, images, texts)
    state = load_file(source / WEIGHTS)
    for offset, bias, projection in (
        (image, "visual.ln_post.bias", "visual.proj"),
        (text, "ln_final.bias", "text_projection"),
    ):
        solved = offset @ np.linalg.pinv(state[projection].double().numpy())
        state[bias] = (state[bias].double() + torch.from_numpy(solved)).to(state[bias].dtype)
    save_file(state, folder / WEIGHTS)


def features(model: Any, tokenise: Any) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of scenes and of captions in everybody's words, not normalised, each `(scenes, dimension)`."""
    import torch

    from grapebench.world import english
    from grapebench.world.drawing import draw
    from grapebench.world.scenes import observe, random_scene, sample

    rng = random.Random("study/geometry")
    endless = sample(lambda: random_scene(rng), "pretrain")
    scenes = [next(endless) for _ in range(SCENES)]
    captions = [english.realise(observe(scene, rng), english.PEOPLE, rng) for scene in scenes]
    pixels = (
        torch.from_numpy(np.stack([draw(scene) for scene in scenes])).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    )
    with torch.inference_mode():
        images = torch.cat([model.encode_image(part) for part in pixels.split(64)])
        texts = torch.cat([model.encode_text(part) for part in tokenise(captions).split(64)])
    return images.double().numpy(), texts.double().numpy()


def offsets(variant: Variant, images: np.ndarray, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is added to the vectors of either tower, `(dimension,)` each."""
    centred = np.concatenate([rows - rows.mean(axis=0) for rows in (images, texts)])
    quiet = np.linalg.eigh(centred.T @ centred)[1].T
    loud = np.linalg.eigh(np.cov(texts.T))[1].T[-1]
    first = variant.tilt * loud + np.sqrt(1 - variant.tilt**2) * quiet[0]
    first /= np.linalg.norm(first)
    second = quiet[1] - (quiet[1] @ first) * first
    second /= np.linalg.norm(second)
    sine = np.sqrt(1 - variant.cosine**2)
    lengths = [float(np.linalg.norm(rows, axis=1).mean()) for rows in (images, texts)]
    return variant.image * lengths[0] * first, variant.text * lengths[1] * (variant.cosine * first + sine * second)
