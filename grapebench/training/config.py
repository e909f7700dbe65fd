"""The settings of a training: one model, filled from a TOML file and flags."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from grapebench.cards import Suite
from grapebench.errors import UserError
from grapebench.files import explain_os_error
from grapebench.registry import unknown_name
from grapebench.rewards.pool import Size
from grapebench.rewards.reward import Recipe
from grapebench.text import decoded
from grapebench.training.collapse import Bounds

Model = TypeVar("Model", bound=BaseModel)


Loss = Literal["grpo", "dapo", "dr_grpo", "bnpo"]
"""How the losses of tokens are added up, by TRL's names (`loss_type`).

'grpo': the mean over a rollout's tokens, then over rollouts (Shao et al., DeepSeekMath, 2024, equation 3). 'dapo': the
mean over all tokens of the step. 'dr_grpo': the sum over all tokens, divided by rollouts × `max_new_tokens`. 'bnpo': as
'dapo', but over the tokens that are learnt from at once (`micro_batch`), then over these. TRL's others differ in what
is done with old rollouts; here each is learnt from once, when it is new."""


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Tasks = Annotated[
    tuple[str, ...],
    Field(min_length=1),
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    PlainSerializer(lambda tasks: tasks[0] if len(tasks) == 1 else list(tasks)),
]
"""Names or paths of task cards; one is written, and may be given, as a plain text."""


class Lora(_Settings):
    """The adapter (peft)."""

    r: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    """Names of modules; 'all-linear' is all of them but the output layer."""


class GrapeConfig(_Settings):
    """Everything that determines a GRPO training, but the data and the weights that it names.

    The defaults are what the shipped rewriters of the miniature were trained with.
    """

    task: Tasks
    """What is trained on. Several tasks take turns, and what is learnt is one rewriter for all of them."""
    suite: Suite = "mini"
    retriever: str | None = None
    """As in `grapebench run`; None is the suite's own."""
    rewriter: str = "llm"
    """The card that training starts from (mechanism `lm`): its model, prompts and captioner."""
    model: str | None = None
    """Another causal language model in Hugging Face format: a folder, or an id of the hub."""
    name: str | None = None
    """Of the card that is written; None is grape-<task>, and grape-multi for several."""
    full: bool = False
    """Train all weights, and not an adapter."""
    lora: Lora = Lora()
    reward: Recipe = Recipe()
    pool: Size = "corpus"
    """What an attempt is ranked among: 'corpus', so many images of it, or 'batch'."""
    steps: int = Field(40, ge=1)
    batch: int = Field(16, ge=1)
    """Queries a step, over all processes."""
    group: int = Field(8, ge=2)
    """Attempts at each query."""
    micro_batch: int | None = Field(None, ge=1)
    """Attempts that a process takes through the model at once when it learns; None is all of its own."""
    learning_rate: float | None = Field(None, gt=0)
    """None: by the size of the model (`training.rates`); 3e-3 for the miniature's."""
    warmup: int = Field(5, ge=0)
    """With w of them step k of the first w learns at k / w of the rate, which then falls to zero as a cosine does."""
    loss: Loss = "grpo"
    """How the losses of tokens are added up."""
    beta: float = Field(0.02, ge=0)
    """Weight of the KL divergence from the model that training started from."""
    temperature: float = Field(1.0, gt=0)
    max_new_tokens: int | None = Field(None, ge=1)
    """Of an attempt; None is the rewriter's own. An attempt that does not end within it breaks a rule of form."""
    seed: int = Field(0, ge=0)
    sft: int = Field(0, ge=0)
    """Steps of supervised training before, on the captions that are known of training images."""
    sft_learning_rate: float = Field(1e-3, gt=0)
    val: Literal["val", "holdout"] = "val"
    """What the best checkpoint is chosen by: the split val, or the queries of every twentieth training image, which
    are then not trained on (where val is the split that figures are reported on)."""
    val_queries: int = Field(500, ge=1)
    """How many of its queries are asked, spread evenly over it; of several tasks, so many of each."""
    val_every: int = Field(10, ge=1)
    save_every: int = Field(10, ge=1)
    """Steps between checkpoints; there is one at each validation too."""
    headroom: int = Field(8, ge=0)
    """Best of how many attempts is measured before training begins; 0 leaves it out."""
    headroom_queries: int = Field(100, ge=1)
    collapse: Bounds = Bounds()
    """When the training is given up; the best checkpoint is kept."""
    tensorboard: bool = False
    trl: dict[str, Any] = Field(default_factory=dict)
    """More settings of TRL's GRPOConfig, under its names: use_vllm, vllm_mode, bf16, deepspeed, …"""

    @property
    def determining(self) -> dict[str, Any]:
        """The settings that a trained model depends on, as JSON."""
        return self.model_dump(mode="json", exclude={"tensorboard"})


def read(path: Path) -> dict[str, Any]:
    """The values in a TOML file. Raises UserError where it cannot be read."""
    try:
        return tomllib.loads(decoded(path.read_bytes(), path))
    except OSError as error:
        raise explain_os_error(error, path) from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"is not valid TOML: {error}", file=path) from error


def setting(text: str) -> dict[str, Any]:
    """One setting as a command line says it, such as `lora.r=8` or `pool=batch`; its value in TOML, or plain text."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {text!r}: not of the form key=value", fix="such as --set lora.r=8")
    try:
        return tomllib.loads(f"{key} = {value}")
    except tomllib.TOMLDecodeError:
        try:
            return tomllib.loads(f"{key} = '''{value}'''")
        except tomllib.TOMLDecodeError as error:
            raise UserError(f"--set {text!r}: {error}") from error


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `changes` in their place, table by table."""
    found = dict(values)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = merged(found[key], value) if both else value
    return found


def fill(values: Mapping[str, Any], file: Path | None = None) -> GrapeConfig:
    """Checked settings, their paths made absolute. Raises UserError that names the first wrong one."""
    from grapebench.training.anchored import anchored

    return anchored(checked(GrapeConfig, values, file))


def checked(kind: type[Model], values: Mapping[str, Any], file: Path | None = None) -> Model:
    """Settings of some kind. Raises UserError that names the first wrong one."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        # A misspelt setting shows as missing too; the misspelling is what helps.
        details = error.errors(include_url=False)
        first = next((one for one in details if one["type"] in _UNKNOWN), details[0])
        key = ".".join(str(part) for part in first["loc"] if "[" not in str(part))
        if first["type"] in _UNKNOWN and len(first["loc"]) == 1:
            raise unknown_name("setting", key, kind.model_fields) from error
        if first["type"] in _UNKNOWN:
            raise UserError(f"unknown setting {key!r}", file=file) from error
        if first["type"] == "missing":
            raise UserError(f"the setting {key!r} is missing", file=file, fix=f"say --{key} or name it") from error
        told = first["msg"].removeprefix("Value error, ")
        said = f"{key}: {told[:1].lower()}{told[1:]}, not {first['input']!r}" if key else told
        raise UserError(said, file=file) from error


def dump(config: BaseModel) -> str:
    """The settings as TOML: what `read` and `fill` take. A setting of None is left out: it is the default."""
    return table(config.model_dump(mode="json", exclude_none=True))


_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


def table(values: Mapping[str, Any], place: tuple[str, ...] = ()) -> str:
    """Nested tables of texts, numbers, truth values and lists as TOML; empty tables are left out."""
    import json

    def written(value: Any) -> str:
        # A JSON text, number, truth value or list of them is the same in TOML, but for characters that JSON escapes
        # in pairs, and for one that it does not escape.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

    def word(key: str) -> str:
        return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else written(key)

    plain = {key: value for key, value in values.items() if not isinstance(value, Mapping) and value is not None}
    text = "".join(f"{word(key)} = {written(value)}\n" for key, value in plain.items())
    for key, value in values.items():
        if isinstance(value, Mapping):
            inner = table(value, (*place, word(key)))
            if inner:
                head = "" if inner.startswith("\n[") else f"\n[{'.'.join((*place, word(key)))}]\n"
                text += head + inner
    return text
