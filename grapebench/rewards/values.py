"""What a reward has to return: one finite number a rollout."""

from __future__ import annotations

from typing import Any

import numpy as np

from grapebench.errors import UserError


def checked(name: str, value: Any, count: int) -> np.ndarray:
    """What the reward `name` returned for `count` rollouts, `(count,)`, float64.

    Lists, NumPy arrays and torch tensors of numbers or truth values are taken. Raises UserError, which names the
    reward, for anything else and for numbers that are not finite: an advantage made of one would be none, and the
    training would learn nothing without saying so.
    """
    found = _array(value)
    fix = f"return {count} finite numbers, one a rollout"
    if found is None or found.dtype.kind not in "biuf":
        raise UserError(f"reward {name!r} returned {_kind(value)}, and not numbers", fix=fix)
    if found.ndim == 0:
        raise UserError(f"reward {name!r} returned the single value {found[()]!s} for {count} rollouts", fix=fix)
    if found.shape != (count,):
        raise UserError(f"reward {name!r} returned values of shape {found.shape} for {count} rollouts", fix=fix)
    numbers: np.ndarray = found.astype(np.float64)
    wrong = ~(np.abs(numbers) <= LARGEST)
    if wrong.any():
        place = int(wrong.argmax())
        raise UserError(
            f"reward {name!r} returned {numbers[place]:g} for rollout {place + 1} of {count}"
            f" ({int(wrong.sum())} such values)",
            fix=fix,
        )
    return numbers


LARGEST = float(np.finfo(np.float32).max)
"""TRL adds rewards up in float32."""


def _array(value: Any) -> np.ndarray | None:
    """None where it is no array of anything."""
    if hasattr(value, "detach"):  # a tensor, which may be on a GPU, and of a type that NumPy does not know
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError):
        return None


def _kind(value: Any) -> str:
    """What was returned, in words."""
    if value is None:
        return "None"
    try:
        inside = sorted({type(one).__name__ for one in value})
    except TypeError:
        return f"a {type(value).__name__}"
    return f"a {type(value).__name__} of {', '.join(inside[:3]) or 'nothing'}"
