"""A mechanism's own settings, filled from a card and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grapebench.errors import UserError


def fill_settings(mechanism: Any, values: dict[str, Any], file: Path | None) -> Any:
    """The class attribute `Settings` filled, None where there is none. Raises UserError, naming file and key."""
    model = getattr(mechanism, "Settings", None)
    if model is None:
        if values:
            raise UserError(f"settings.{next(iter(values))}: this mechanism takes no settings", file=file)
        return None
    from pydantic import ValidationError

    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["settings", *map(str, first["loc"])])
        allowed = f"allowed are {', '.join(model.model_fields)}"
        if first["type"] == "extra_forbidden":
            raise UserError(f"{key}: unknown setting", file=file, fix=allowed) from error
        told = first["msg"].removeprefix("Value error, ")
        given = f", not {first['input']!r}" if first["loc"] and first["type"] != "missing" else ""
        raise UserError(f"{key}: {told}{given}", file=file) from error
