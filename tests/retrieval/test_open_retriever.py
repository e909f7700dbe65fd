from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grapebench import catalog
from grapebench.errors import UserError
from grapebench.retrieval import open_retriever
from grapebench.retrieval.open_clip import OpenClip

CARD = 'name = "{name}"\ntitle = "t"\nabout = "a"\nmechanism = "open_clip"\n'


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "catalogue" / "baselines" / "retrievers"
    place.mkdir(parents=True)
    monkeypatch.setattr(catalog, "folder", lambda: tmp_path / "catalogue")
    return place


def write(place: Path, name: str, more: str) -> None:
    (place / f"{name}.toml").write_text(CARD.format(name=name) + more)


def test_a_directory_is_a_model(tiny_clip: Path) -> None:
    retriever = open_retriever(str(tiny_clip))
    assert isinstance(retriever, OpenClip)
    assert retriever.description["model"] == "tiny-clip"
    assert open_retriever(f"local-dir:{tiny_clip}").fingerprint == retriever.fingerprint


def test_names_as_open_clip_has_them() -> None:
    retriever = open_retriever("ViT-B-32-quickgelu@openai")
    assert isinstance(retriever, OpenClip)
    assert (retriever.settings.model, retriever.settings.pretrained) == ("ViT-B-32-quickgelu", "openai")
    hub = open_retriever("hf-hub:someone/something")
    assert isinstance(hub, OpenClip)
    assert hub.settings.model == "hf-hub:someone/something"


def test_a_card_is_read_relative_to_itself(cards: Path, tiny_clip: Path) -> None:
    (cards / "models").symlink_to(tiny_clip.parent)
    write(cards, "tiny", 'default_for = ["mini"]\n[settings]\nmodel = "local-dir:models/tiny-clip"\n')
    expected = open_retriever(str(tiny_clip)).fingerprint
    assert open_retriever("tiny").fingerprint == expected
    assert open_retriever(None, "mini").fingerprint == expected
    assert open_retriever(str(cards / "tiny.toml")).fingerprint == expected
    with pytest.raises(UserError, match="default of suite 'full' and there is: none"):
        open_retriever(None, "full")
    with pytest.raises(UserError, match="unknown retriever 'tinny'; did you mean 'tiny'"):
        open_retriever("tinny")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('model = "x"\nmodels = "y"', "bad.toml: settings.models: unknown setting; allowed are model, pretrained"),
        ("", "bad.toml: settings.model: Field required"),
        ('model = "x"\nbatch_size = 0', "settings.batch_size: .*greater than or equal to 1, not 0"),
        ('model = "x"\nprecision = "fp8"', "settings.precision: .*'fp32', 'bf16' or 'fp16', not 'fp8'"),
        ('model = "local-dir:x"\npretrained = "y"', "a model folder holds its own weights"),
    ],
)
def test_wrong_settings_are_one_sentence(cards: Path, settings: str, message: str) -> None:
    write(cards, "bad", f"[settings]\n{settings}\n")
    with pytest.raises(UserError, match=message):
        open_retriever("bad")


def test_a_class_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "class Mine:\n"
        "    def __init__(self):\n        self.fingerprint, self.description = 'mine', {}\n"
        "    def encode_images(self, images, names): ...\n"
        "    def encode_texts(self, texts): ...\n"
        "class Half:\n    def encode_texts(self, texts): ...\n"
        "class Broken:\n    def __init__(self): 1 / 0\n"
        "nothing = 1\n"
    )
    assert open_retriever(f"{file}:Mine").fingerprint == "mine"
    with pytest.raises(UserError, match="Half is no retriever: it has no encode_images"):
        open_retriever(f"{file}:Half")
    with pytest.raises(UserError, match="Broken cannot be made: ZeroDivisionError"):
        open_retriever(f"{file}:Broken")
    with pytest.raises(UserError, match="is no class"):
        open_retriever(f"{file}:nothing")


def test_a_retriever_that_inherits_from_the_precomputed_is_known_by_both(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.eye(2, dtype=np.float32))
    (tmp_path / "ids.txt").write_text("a\nb\n")
    code = "from grapebench.retrieval.precomputed import Precomputed\n\n\nclass Mine(Precomputed):\n    turned = {}\n"
    settings = "".join(
        f'{key} = "{file}"\n'
        for key, file in (
            ("image_vectors", "v.npy"),
            ("image_ids", "ids.txt"),
            ("text_vectors", "v.npy"),
            ("texts", "ids.txt"),
        )
    )
    card = 'name = "mine"\ntitle = "t"\nabout = "a"\nmechanism = "mine.py:Mine"\n[settings]\n' + settings
    (tmp_path / "mine.toml").write_text(card)
    found = []
    for turned in (False, False, True):
        (tmp_path / "mine.py").write_text(code.format(turned))
        found.append(open_retriever(str(tmp_path / "mine.toml")).fingerprint)
    np.save(tmp_path / "v.npy", 2 * np.eye(2, dtype=np.float32))
    found.append(open_retriever(str(tmp_path / "mine.toml")).fingerprint)
    assert found[0] == found[1] and len(set(found)) == 3


def test_a_class_with_slots_and_a_frozen_one_are_described_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n\n\nclass Slots:\n    __slots__ = ()\n"
        "    def encode_images(self, images, names): ...\n    def encode_texts(self, texts): ...\n\n\n"
        "@dataclass(frozen=True)\nclass Frozen(Slots):\n    pass\n"
    )
    slots, frozen = (open_retriever(f"{tmp_path / 'mine.py'}:{name}") for name in ("Slots", "Frozen"))
    assert slots.fingerprint != frozen.fingerprint and len(slots.fingerprint) == 64
    assert slots.description["source_sha256"] == frozen.description["source_sha256"]
    assert type(slots).__name__ == "Slots"
