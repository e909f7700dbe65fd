from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench import registry
from grapebench.errors import UserError

Plugin = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    """Installs a package on the path: a module and a dist-info folder with entry points, as pip leaves them."""

    def install(package: str, module: str, source: str, entry_points: str) -> None:
        site = tmp_path / f"site-{package}"
        info = site / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(str(site))
        registry._plugins.cache_clear()

    yield install
    registry._plugins.cache_clear()


def write(path: Path, source: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, entries in registry.BUILTIN.items() for name in entries]
)
def test_every_builtin_entry_exists(kind: str, name: str) -> None:
    assert callable(registry.resolve(kind, name))


@pytest.mark.parametrize("kind", ["rewriters", "retrievers", "datasets", "rewards", "captioners"])
def test_entry_point(kind: str, install: Plugin) -> None:
    install("grape-extra", "grape_extra", "class Loud:\n    pass\n", f"[grapebench.{kind}]\nloud = grape_extra:Loud\n")
    assert "loud" in registry.names(kind)
    assert registry.resolve(kind, "loud") is sys.modules["grape_extra"].Loud


def test_entry_point_is_not_imported_before_it_is_asked_for(install: Plugin) -> None:
    install("grape-lazy", "grape_lazy", "raise RuntimeError", "[grapebench.rewriters]\nlazy = grape_lazy:Lazy\n")
    assert "lazy" in registry.names("rewriters")
    assert "grape_lazy" not in sys.modules


def test_entry_point_that_cannot_be_loaded_names_its_package(install: Plugin) -> None:
    install("grape-sad", "grape_sad", "import no_such_thing", "[grapebench.rewriters]\nsad = grape_sad:Sad\n")
    with pytest.raises(UserError, match=r"rewriter 'sad' of the package grape-sad \(grape_sad:Sad\).*no_such_thing"):
        registry.resolve("rewriters", "sad")


def test_entry_point_of_two_packages_is_not_guessed(install: Plugin) -> None:
    for number in (1, 2):
        entry = f"[grapebench.rewriters]\ntwin = twin{number}:Twin\n"
        install(f"twin{number}", f"twin{number}", "class Twin: ...", entry)
    with pytest.raises(UserError, match="'twin' is offered by several packages: .*uninstall all but one"):
        registry.resolve("rewriters", "twin")


def test_a_builtin_name_cannot_be_taken_over(install: Plugin) -> None:
    install("thief", "thief", "class Identity: ...", "[grapebench.rewriters]\nidentity = thief:Identity\n")
    assert registry.resolve("rewriters", "identity").__module__ == "grapebench.rewriters.identity"


def test_unknown_name_gets_a_suggestion_and_the_list() -> None:
    with pytest.raises(UserError) as caught:
        registry.resolve("rewriters", "identiy")
    assert str(caught.value) == (
        "unknown rewriter 'identiy'; did you mean 'identity'? there is: " + ", ".join(registry.names("rewriters"))
    )


@given(st.sampled_from(["cirr", "flickr30k-cn", "XM3600", "wikipedia"]), st.data())
def test_one_letter_left_out_is_still_recognised(name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(name) - 1))
    misspelt = (name[:place] + name[place + 1 :]).upper()
    error = registry.unknown_name("task", misspelt, ["cirr", "flickr30k-cn", "XM3600", "wikipedia"])
    assert f"did you mean {name!r}?" in str(error)


def test_nothing_near_gets_the_list_only() -> None:
    assert str(registry.unknown_name("reward", "zzz", [])) == "unknown reward 'zzz'; there is: none"


def test_file(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.py", "class Mine:\n    word = 'grün'\n")
    found = registry.resolve("rewriters", f"{path}:Mine")
    assert found.word == "grün"
    assert registry.resolve("rewriters", f"{path}:Mine") is found
    assert sys.modules[found.__module__].__file__ == str(path)


def test_file_is_relative_to_the_card(tmp_path: Path) -> None:
    write(tmp_path / "cards" / "mine.py", "mine = 1")
    assert registry.resolve("rewards", "mine.py:mine", base=tmp_path / "cards") == 1


def test_file_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "mine.py", "mine = 2")
    monkeypatch.chdir(tmp_path)
    assert registry.resolve("retrievers", "mine.py:mine") == 2


def test_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.py", "mine = 1")
    assert registry.resolve("datasets", f"{path}:mine") == 1
    write(path, "mine = 2")
    assert registry.resolve("datasets", f"{path}:mine") == 2


def test_file_may_hold_dataclasses(tmp_path: Path) -> None:
    source = "from __future__ import annotations\nfrom dataclasses import dataclass\n\n@dataclass\nclass A:\n    n: int"
    assert registry.resolve("rewriters", f"{write(tmp_path / 'a.py', source)}:A")(3).n == 3


def test_file_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.py: no such file or directory"):
        registry.resolve("rewriters", f"{tmp_path}/gone.py:Mine")


def test_file_without_an_attribute(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not say what to take from the file; write path/to/file\.py:Name"):
        registry.resolve("rewriters", str(write(tmp_path / "mine.py", "mine = 1")))


def test_attribute_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.py", "class Mine: ...\n")
    with pytest.raises(UserError, match=r"mine\.py: unknown name 'Mien'; did you mean 'Mine'\?"):
        registry.resolve("rewriters", f"{path}:Mien")


@pytest.mark.parametrize(
    ("source", "line", "what"),
    [
        ("x = 1\nimport no_such_thing\n", 2, "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("x = (\n", 1, "SyntaxError: '\\(' was never closed"),
        ("def f():\n    return 1 / 0\n\n\nf()\n", 2, "ZeroDivisionError: division by zero"),
        ("import json\n\njson.loads('{')\n", 3, "JSONDecodeError"),
    ],
)
def test_error_in_the_file_is_told_with_its_line(tmp_path: Path, source: str, line: int, what: str) -> None:
    path = write(tmp_path / "broken.py", source)
    with pytest.raises(UserError, match=rf"broken\.py:{line}: cannot be imported: {what}") as caught:
        registry.resolve("rewriters", f"{path}:Mine")
    assert (caught.value.file, caught.value.line) == (path, line)
    with pytest.raises(UserError, match="cannot be imported"):
        registry.resolve("rewriters", f"{path}:Mine")


def test_file_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "latin.py"
    path.write_bytes(b"word = 'gr\xfcn'\n")
    with pytest.raises(UserError, match=r"latin\.py.*cannot be imported: SyntaxError: .*utf-8"):
        registry.resolve("rewriters", f"{path}:word")


def test_a_missing_module_is_named_with_its_line_and_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.py", "import os\nfrom no_such_thing.parts import Part\n")
    with pytest.raises(UserError) as caught:
        registry.resolve("retrievers", f"{path}:Mine")
    assert str(caught.value) == (
        f"{path}:2: cannot be imported: ModuleNotFoundError: No module named 'no_such_thing'; "
        "install what holds no_such_thing beside grapebench"
    )
    write(tmp_path / "helpers.py", "")
    with pytest.raises(UserError, match="helpers lies beside the file, which is read alone: put all into one file"):
        registry.resolve("rewards", f"{write(tmp_path / 'other.py', 'import helpers')}:mine")


def test_a_file_that_ends_the_process_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.py", "import sys\n\nsys.exit(0)\n")
    with pytest.raises(UserError, match=r"mine\.py:3: cannot be imported: SystemExit: 0"):
        registry.resolve("rewriters", f"{path}:Mine")


def test_an_error_at_work_is_the_users_where_it_passed_through_a_users_file(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.py", "def late():\n    import no_such_thing\n\n\ndef wrong():\n    return 1 / 0\n")
    for name, line, said in (("late", 2, "install what holds no_such_thing"), ("wrong", 6, "division by zero")):
        with pytest.raises((ModuleNotFoundError, ZeroDivisionError)) as caught:
            registry.resolve("datasets", f"{path}:{name}")()
        told = registry.users_error(caught.value)
        assert told is not None and str(told).startswith(f"{path}:{line}: ") and said in str(told)
    assert registry.users_error(ValueError("of nobody")) is None
