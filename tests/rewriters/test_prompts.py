from __future__ import annotations

from pathlib import Path

import pytest

from grapebench import catalog
from grapebench.errors import UserError
from grapebench.records import Query
from grapebench.rewriters.prompts import load, read_file

QUERY = Query("q", " ein roter Drachen für $5 \n", language="de", reference="r", reference_caption="a kite")


def write(folder: Path, **texts: str) -> dict[str, str]:
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return {name: f"{name}.txt" for name in texts}


def test_variables_are_filled(tmp_path: Path) -> None:
    files = write(tmp_path, system="You speak $language.\n", compose="$caption; ${query}!\nfor $$1\n")
    prompt = load(files, "compose", tmp_path)
    assert prompt is not None
    assert prompt.messages(QUERY) == [
        {"role": "system", "content": "You speak German."},
        {"role": "user", "content": "a kite; ein roter Drachen für $5!\nfor $1"},
    ]
    assert prompt.messages(QUERY, "ein")[1]["content"] == "a kite; ein!\nfor $1"


def test_an_unnamed_language_stands_as_its_code(tmp_path: Path) -> None:
    prompt = load(write(tmp_path, translate="$language: $query"), "translate", tmp_path)
    assert prompt is not None
    assert prompt.messages(Query("q", "x", language="tlh"))[0]["content"] == "tlh: x"
    assert prompt.messages(Query("q", "x", language="zh-CN"))[0]["content"] == "Chinese: x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Translate\n$quary", r"translate\.txt:2: unknown variable \$quary; known here: \$query, \$language"),
        ("$query\nas $caption", r"translate\.txt:2: unknown variable \$caption"),
        ("for $ 5\n$query", r"translate\.txt:1: a lone \$; write \$\$"),
        ("Translate this", r"translate\.txt:1: the prompt never uses \$query"),
        (" \n", r"translate\.txt: the prompt is empty"),
    ],
)
def test_a_wrong_template_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(write(tmp_path, translate=text), "translate", tmp_path)


def test_wrong_cards_are_named(tmp_path: Path) -> None:
    files = write(tmp_path, translate="$query", system="about $query")
    with pytest.raises(UserError, match=r"card\.toml: prompts\.tranlate: unknown key; allowed are system, translate"):
        load({"tranlate": "translate.txt"}, "translate", tmp_path, "card.toml")
    with pytest.raises(UserError, match=r"card\.toml: no prompt for the family 'condense'"):
        load(files, "condense", tmp_path, "card.toml")
    with pytest.raises(UserError, match=r"system\.txt:1: unknown variable \$query"):
        load(files, "translate", tmp_path, "card.toml")
    with pytest.raises(UserError, match=r"gone\.txt: cannot read the prompt: no such file"):
        load({"translate": "gone.txt"}, "translate", tmp_path)
    (tmp_path / "translate.txt").write_bytes(b"\xff$query")
    with pytest.raises(UserError, match=r"translate\.txt:1: not UTF-8"):
        load({"translate": "translate.txt"}, "translate", tmp_path)


def test_a_missing_reference_caption_is_an_error(tmp_path: Path) -> None:
    prompt = load(write(tmp_path, compose="$caption $query"), "compose", tmp_path)
    assert prompt is not None
    with pytest.raises(UserError, match="query 'q' has no reference caption; name a captioner"):
        prompt.messages(Query("q", "x", reference="r"))


def test_a_model_that_sees_needs_no_caption(tmp_path: Path) -> None:
    files = write(tmp_path, compose="Change the picture: $query")
    with pytest.raises(UserError, match=r"the prompt never uses \$caption"):
        load(files, "compose", tmp_path)
    prompt = load(files, "compose", tmp_path, sees=True)
    assert prompt is not None
    assert prompt.messages(Query("q", "x", reference="r"))[-1]["content"] == "Change the picture: x"
    with pytest.raises(UserError, match=r"the prompt never uses \$query"):
        load(write(tmp_path, compose="$caption"), "compose", tmp_path, sees=True)


def test_a_prompt_that_detects(tmp_path: Path) -> None:
    files = write(tmp_path, detect="Hard in $language: $query", translate="$query; $concepts", system="Be short.")
    prompt = load(files, "translate", tmp_path)
    assert prompt is not None
    assert [turn["content"] for turn in prompt.detect_messages(QUERY, "ein")] == ["Be short.", "Hard in German: ein"]
    assert prompt.messages(QUERY, "ein", "kite; sky")[-1]["content"] == "ein; kite; sky"
    with pytest.raises(UserError, match=r"uses \$concepts, and those of query 'q' were not asked for"):
        prompt.messages(QUERY)
    (tmp_path / "detect.txt").write_text("Hard: $query")
    changed = load(files, "translate", tmp_path)
    assert changed is not None and changed.sha256 != prompt.sha256


def test_a_family_may_be_asked_for_concepts_in_its_own_way(tmp_path: Path) -> None:
    texts = {"detect": "Hard: $query", "picture": "$caption + $query", "family": "$query $caption $concepts"}
    files = write(tmp_path, **texts)
    card = {"detect": files["detect"], "detect-compose": files["picture"], "compose": files["family"]}
    prompt = load(card, "compose", tmp_path)
    assert prompt is not None
    assert prompt.detect_messages(QUERY)[-1]["content"] == "a kite + ein roter Drachen für $5"
    del card["detect-compose"]
    other = load(card, "compose", tmp_path)
    assert other is not None and other.detect == "Hard: $query"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"detect": "$query", "translate": "$query"}, r"translate\.txt:1: the prompt never uses \$concepts"),
        ({"detect": "Hard?", "translate": "$query $concepts"}, r"detect\.txt:1: the prompt never uses \$query"),
        ({"detect": "$query $caption", "translate": "$query $concepts"}, r"detect\.txt:1: unknown variable \$caption"),
        ({"detect": "$query $concepts", "translate": "$query $concepts"}, r"detect\.txt:1: unknown variable \$conc"),
        ({"translate": "$query $concepts"}, r"translate\.txt:1: unknown variable \$concepts"),
        ({"detect": "$query", "detect-x": "$query", "translate": "$query $concepts"}, "prompts.detect-x: unknown key"),
    ],
)  # fmt: skip
def test_prompts_that_do_not_go_together(tmp_path: Path, texts: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(write(tmp_path, **texts), "translate", tmp_path)


def test_the_hash_tells_templates_apart(tmp_path: Path) -> None:
    files = write(tmp_path, translate="$query", condense="$query.", system="Be short.")
    translate, condense = (load(files, family, tmp_path) for family in ("translate", "condense"))
    assert translate is not None and condense is not None
    assert translate.sha256 != condense.sha256


@pytest.mark.parametrize("family", ["translate", "condense", "compose"])
def test_the_shipped_prompts_are_sound(family: str) -> None:
    found = catalog.rewriter_card("llm")
    prompt = load(found.card.prompts, family, found.path.parent, found.path)
    assert prompt is not None
    system, user = prompt.messages(QUERY)
    assert system["content"] == "You write short English captions for image search."
    assert "ein roter Drachen für $5" in user["content"]
    assert ("a kite" in user["content"]) == (family == "compose")


def test_a_mark_is_no_part_of_a_prompt(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfSay $query\r\n")
    assert read_file(tmp_path / "a.txt") == "Say $query"
