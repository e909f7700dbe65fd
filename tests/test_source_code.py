from __future__ import annotations

import functools
import hashlib
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from grapebench import registry, source_code
from grapebench.errors import UserError
from grapebench.rewriters.truncate import Truncate

CLASS = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent))
{imports}


class Mine:
    def rewrite(self, queries):
        return []
"""


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules and paths that a test's own files bring in leave with it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def digest(file: Path, name: str = "Mine") -> str:
    mechanism = registry.resolve("rewriters", f"{file}:{name}")
    return source_code.source_sha256(mechanism, registry.source_file(f"{file}:{name}"))


def test_one_file_is_known_by_its_hash(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.py", CLASS.format(imports="import json"))
    assert digest(file) == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("imports", "module"),
    [
        ("import helper", "helper.py"),
        ("from helper import VALUE", "helper.py"),
        ("import kit.inner", "kit/inner.py"),
        ("from kit import inner", "kit/inner.py"),
        ("from kit.inner import VALUE", "kit/__init__.py"),
        ("import kit", "kit/deep/most.py"),
        ("def late():\n    import helper", "helper.py"),
    ],
)
def test_an_edited_module_beside_it_makes_it_another(tmp_path: Path, imports: str, module: str) -> None:
    write(tmp_path / "helper.py", "VALUE = 1\n")
    write(tmp_path / "unused.py", "VALUE = 1\n")
    write(tmp_path / "kit" / "__init__.py", "from .deep import most\n")
    write(tmp_path / "kit" / "inner.py", "VALUE = 1\n")
    write(tmp_path / "kit" / "deep" / "__init__.py", "")
    write(tmp_path / "kit" / "deep" / "most.py", "VALUE = 1\n")
    file = write(tmp_path / "mine.py", CLASS.format(imports=imports))
    before = digest(file)
    assert before == digest(file)
    write(tmp_path / "unused.py", "VALUE = 2\n")
    assert digest(file) == before, "what is not imported changes nothing"
    write(tmp_path / module, (tmp_path / module).read_text() + "# edited\n")
    for name in [name for name in sys.modules if name.split(".")[0] in ("helper", "kit")]:
        del sys.modules[name]  # as a process of its own would find it
    assert digest(file) != before


def test_equal_contents_in_other_modules_are_another_source(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.py", CLASS.format(imports="import kit.a, kit.b"))
    write(tmp_path / "kit" / "__init__.py", "")
    write(tmp_path / "kit" / "a.py", "VALUE = 1\n")
    write(tmp_path / "kit" / "b.py", "VALUE = 2\n")
    before = digest(file)
    write(tmp_path / "kit" / "a.py", "VALUE = 2\n")
    write(tmp_path / "kit" / "b.py", "VALUE = 1\n")
    for name in [name for name in sys.modules if name.split(".")[0] == "kit"]:
        del sys.modules[name]
    assert digest(file) != before


def test_the_same_files_in_another_folder_are_the_same_source(tmp_path: Path) -> None:
    found = set()
    for folder in ("one", "two"):
        write(tmp_path / folder / "helper.py", "VALUE = 1\n")
        found.add(digest(write(tmp_path / folder / "mine.py", CLASS.format(imports="import helper"))))
        del sys.modules["helper"]
    assert len(found) == 1


def test_libraries_and_grapebench_itself_are_not_hashed(tmp_path: Path) -> None:
    imports = "import numpy\nimport pydantic\nfrom grapebench.records import Rewrite\nfrom grapebench import files"
    file = write(tmp_path / "mine.py", CLASS.format(imports=imports))
    assert digest(file) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_file_that_only_passes_a_class_on_counts_too(tmp_path: Path) -> None:
    write(tmp_path / "base.py", "def make(word):\n    class Mine:\n        said = word\n    return Mine\n")
    file = tmp_path / "mine.py"
    found = set()
    for word in ("one", "two"):
        write(file, CLASS.format(imports=f"from base import make\nOther = make('{word}')"))
        found.add(digest(file, "Other"))
    assert len(found) == 2


def test_a_class_that_is_inherited_from_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    write(tmp_path / "elsewhere" / "parents.py", "class Parent:\n    pass\n")
    file = write(tmp_path / "here" / "mine.py", "import parents\n\n\nclass Mine(parents.Parent):\n    pass\n")
    before = digest(file)
    write(tmp_path / "elsewhere" / "parents.py", "class Parent:\n    said = 1\n")
    del sys.modules["parents"]
    registry_name = next(name for name in sys.modules if name.startswith("grapebench_file_"))
    del sys.modules[registry_name]
    assert digest(file) != before


def test_a_module_that_was_edited_while_its_old_code_runs_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "helper.py", "VALUE = 1\n")
    file = write(tmp_path / "mine.py", CLASS.format(imports="import helper"))
    before = digest(file)
    write(tmp_path / "helper.py", "VALUE = 22\n")
    with pytest.raises(UserError, match=r"helper\.py: was edited after this process had imported it.*start .* anew"):
        digest(file)
    importlib.reload(sys.modules["helper"])
    assert digest(file) != before, "once it is imported anew, its new code has a hash of its own"


def test_a_function_and_what_wraps_it_are_hashed_by_their_file(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.py", "def reward(attempts, k=1):\n    return attempts\n")
    function = registry.resolve("rewards", f"{file}:reward")
    assert source_code.source_sha256(function) == hashlib.sha256(file.read_bytes()).hexdigest()
    assert source_code.source_sha256(functools.partial(function, k=2)) == source_code.source_sha256(function)


def test_what_has_no_file_needs_a_fingerprint() -> None:
    space: dict[str, Any] = {"__name__": "nowhere"}
    exec("class Mine:\n    pass\n", space)
    with pytest.raises(UserError, match="Mine has no source file.*give the class a fingerprint"):
        source_code.source_sha256(space["Mine"])


def test_an_installed_package_counts_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "site-packages"
    write(library / "plug" / "__init__.py", "")
    write(library / "plug" / "words.py", "from plug import parts\nimport neighbour\n\n\nclass Mine:\n    pass\n")
    write(library / "plug" / "parts.py", "VALUE = 1\n")
    write(library / "neighbour.py", "VALUE = 1\n")
    info = library / "plug-1.0.dist-info"
    write(info / "METADATA", "Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n")
    write(info / "entry_points.txt", "[grapebench.rewriters]\nmine = plug.words:Mine\n")
    monkeypatch.syspath_prepend(str(library))

    def found() -> str:
        source_code._plugins.cache_clear()
        registry._plugins.cache_clear()
        for name in [name for name in sys.modules if name.split(".")[0] in ("plug", "neighbour")]:
            del sys.modules[name]
        return source_code.source_sha256(registry.resolve("rewriters", "mine"))

    try:
        told = [found()]
        write(library / "neighbour.py", "VALUE = 2\n")
        assert found() == told[0], "another library"
        write(library / "plug" / "parts.py", "VALUE = 2\n")
        told.append(found())
        write(info / "METADATA", "Metadata-Version: 2.1\nName: plug\nVersion: 1.1\n")
        told.append(found())
    finally:
        source_code._plugins.cache_clear()
        registry._plugins.cache_clear()
    assert len(set(told)) == 3


class Own:
    fingerprint = "mine"


class Heir(Own):
    pass


class Ours(Truncate):
    pass


@pytest.mark.parametrize(("made", "own"), [(Own(), True), (Heir(), False), (object.__new__(Ours), False)])
def test_a_fingerprint_is_the_word_of_the_class_that_defines_it(made: object, own: bool) -> None:
    assert source_code.own_word(made) is own
    if own:
        assert source_code.fingerprint(made, "it", []) == "mine"


def test_an_inherited_fingerprint_counts_beside_the_source() -> None:
    heir = Heir()
    found = source_code.fingerprint(heir, "it", [])
    assert found not in ("mine", source_code.of_source(Heir, [], None))
    Own.fingerprint = "other"
    try:
        assert source_code.fingerprint(heir, "it", []) != found
    finally:
        Own.fingerprint = "mine"


def test_what_grapebench_has_itself_is_what_it_says_of_itself() -> None:
    assert source_code.own_word(object.__new__(Truncate))
