"""Whether a sentence encoder knows the languages of the queries, by its model card."""

from __future__ import annotations

from pathlib import Path

import pytest

from grapebench.errors import UserError
from grapebench.records import Query
from grapebench.training.raqo import languages


def card(folder: Path, head: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "README.md").write_text(f"---\n{head}\n---\n\n# A model\n\n---\nlanguage: zz\n", encoding="utf-8")
    return str(folder)


def queries(*tags: str) -> list[Query]:
    return [Query(str(number), "text", ("i",), tag) for number, tag in enumerate(tags)]


@pytest.mark.parametrize(
    ("head", "known"),
    [
        ("language: en\nlicense: mit", {"en"}),
        ("license: mit\nlanguage:\n- en\n- zh-CN\n- no", {"en", "zh", "no"}),
        ("language: [multilingual, DE]", {"de"}),
        ("language: multilingual", {"multilingual"}),
        ("license: mit", None),
        ("language: [", None),
        ("language: {a: b}", None),
    ],
)
def test_what_a_card_says(tmp_path: Path, head: str, known: set[str] | None) -> None:
    assert languages.of(card(tmp_path / "model", head)) == known


def test_what_a_name_says(tmp_path: Path) -> None:
    for name in ("paraphrase-multilingual-MiniLM-L12-v2", "LaBSE", "bge-m3"):
        (tmp_path / name).mkdir()
        assert languages.of(str(tmp_path / name)) == {"multilingual"}
    (tmp_path / "all-MiniLM-L6-v2").mkdir()
    assert languages.of(str(tmp_path / "all-MiniLM-L6-v2")) is None
    assert languages.of(card(tmp_path / "LaBSE", "language: en")) == {"en"}, "the card knows better"


def test_an_encoder_of_other_languages_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    english = card(tmp_path / "english", "language: en")
    with pytest.raises(
        UserError, match=r"english knows en, and 3 of 3 queries are in de, zh: .* data.sentence_model=.*LaBSE"
    ):
        languages.check(english, queries("de", "zh-Hans", "zh"))
    assert capsys.readouterr().err == ""
    languages.check(english, queries("en", "en-GB", "sw"))
    assert "warning: " in (err := capsys.readouterr().err) and "knows en, and 1 of 3 queries are in sw: " in err
    for known in ("language: multilingual", "language: [en, sw]"):
        languages.check(card(tmp_path / "wide", known), queries("en", "sw"))
    assert capsys.readouterr().err == ""


def test_an_encoder_of_unknown_languages_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    languages.check(str(tmp_path), queries("en"))
    assert capsys.readouterr().err == ""
    languages.check(str(tmp_path), queries("en", "de"))
    assert "nothing says which languages" in (err := capsys.readouterr().err)
    assert "1 of 2 queries are not English" in err and "README.md" in err


def test_a_model_of_the_hub_that_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def nothing(*_: object, **__: object) -> str:
        raise OSError

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", nothing)
    assert languages.of("sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2") == {"multilingual"}
    assert languages.of("sentence-transformers/all-MiniLM-L6-v2") is None


def test_the_default_is_of_many_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    from grapebench.training.raqo.settings_data import Data

    monkeypatch.setattr(languages, "_of_hub", lambda _: None)
    assert languages.of(Data().sentence_model) == {"multilingual"}  # type: ignore[call-arg]
