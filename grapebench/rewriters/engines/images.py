"""Images in chat messages, as servers and vLLM take them: data URLs in the content of a turn."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

from grapebench.rewriters.engines import Message

_KINDS = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"))


def data_url(image: bytes) -> str:
    """An encoded image as a data URL; PNG, JPEG, GIF and WebP as they are, anything else as a PNG.

    Raises OSError (Pillow's) for what is no image.
    """
    kind = next((kind for start, kind in _KINDS if image.startswith(start)), None)
    if kind is None and image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        kind = "webp"
    if kind is None:
        from PIL import Image

        made = io.BytesIO()
        Image.open(io.BytesIO(image)).convert("RGB").save(made, "PNG")
        image, kind = made.getvalue(), "png"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"


def with_images(messages: Sequence[Message], images: Sequence[bytes]) -> list[dict[str, Any]]:
    """The messages with the images before the text of the last user turn; without images they stay as they are."""
    turns: list[dict[str, Any]] = [dict(message) for message in messages]
    if images:
        last = next(turn for turn in reversed(turns) if turn["role"] == "user")
        shown = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in images]
        last["content"] = [*shown, {"type": "text", "text": last["content"]}]
    return turns
