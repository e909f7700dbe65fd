from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.leaderboard.site import script

texts = st.text(st.characters(exclude_categories=("Cs",)))


@given(st.recursive(texts | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(texts, inner)))
def test_dump_is_json_that_cannot_end_a_script(value: object) -> None:
    dumped = script.dump(value)
    assert json.loads(dumped) == value
    assert not set(dumped) & set("<>&\u2028\u2029")


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError):
        script.dump([float("nan")])


def test_write_calls_the_function_and_takes_half_a_surrogate(tmp_path: Path) -> None:
    script.write(tmp_path / "new" / "a.js", "task", {"text": "\ud800 </script>"})
    written = (tmp_path / "new" / "a.js").read_text(encoding="utf-8")
    assert written.startswith("grapebench.task(") and written.endswith(");\n")
    assert json.loads(written[len("grapebench.task(") : -3]) == {"text": "\ud800 </script>"}
    assert "</script>" not in written
