"""What several tests of the site share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Add = Callable[..., Path]
"""Writes a whole result into a store and returns its folder."""

EVIL = """</script><script>document.title='owned'</script><img src=x onerror="document.title='owned'">' "javascript:x"""
"""What a stranger might write where a text is expected."""
