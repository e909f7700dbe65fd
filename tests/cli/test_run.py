"""The main job from the command line, on the made-up benchmark of `conftest.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from grapebench import catalog
from grapebench.cli.asked import _options
from grapebench.cli.main import main
from grapebench.cli.run import _retriever_name

Arguments = Callable[..., list[str]]


def test_json_lines(place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments("--rewriter", "rewriters.py:Raw", "--seed", "3", "--seed", "4", "--json")) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["rewriter"], line["seed"]) for line in lines] == [
        ("strip-prefix", 3), ("strip-prefix", 4), ("raw", 3), ("raw", 4),
    ]  # fmt: skip
    for line in lines:
        assert line["schema_version"] == 3 and line["suite"] == "full" and line["split"] == "test"
        assert (line["task"], line["retriever"], line["queries"], line["gallery"]) == ("words", "Words", 24, 24)
        assert all(0 <= line["metrics"][key] <= 1 for key in ("R@1", "R@5", "R@10"))
    assert lines[0]["metrics"]["R@1"] == 1 > lines[2]["metrics"]["R@1"]


def test_a_large_cluster_is_warned_of(place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]) -> None:
    """Three of 24 queries are more than a tenth; the source links them, in results of their own."""
    assert main(arguments("--json")) == 0
    told = capsys.readouterr()
    apart = json.loads(told.out)
    assert (apart["clusters"], apart["largest_cluster"]) == (24, 1) and "one cluster" not in told.err
    assert main(arguments("--json", "--limit", "5")) == 0
    assert "one cluster" not in capsys.readouterr().err, "one of five is a fifth, and no cluster of several"
    loader = place / "loader.py"
    text = loader.read_text()
    for size, warned in ((2, False), (3, True)):
        loader.write_text(
            text.replace("[int(n[1:]) % 2])", f'[int(n[1:]) % 2], source="a" if int(n[1:]) < {size} else "")')
        )
        assert main(arguments("--json")) == 0
        told = capsys.readouterr()
        found = json.loads(told.out)
        assert (found["clusters"], found["largest_cluster"]) == (25 - size, size) and found["id"] != apart["id"]
        assert (f"{size} of 24 queries are one cluster of the {25 - size}" in told.err) is warned
    assert found["metrics"] == apart["metrics"] and found["intervals"] != apart["intervals"]


def test_tables(place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(rewriter="Raw")) == 0
    first = capsys.readouterr()
    assert main(arguments()) == 0
    second = capsys.readouterr()
    assert "Results: words" in first.out and "Leaderboard: words" in first.out
    assert "strip-prefix" not in first.out
    board = second.out.split("Leaderboard")[1]
    assert board.index("strip-prefix") < board.index("raw"), "the earlier result stands in the same leaderboard"
    assert "100.0" in board and "+" in board
    assert "suite full" in board


def test_the_same_call_again_reuses_the_result(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments("--json")) == 0
    first = capsys.readouterr()
    folder = Path(first.err.strip().splitlines()[-1].split(": ", 1)[1])
    stamp = (folder / "result.json").stat().st_mtime_ns
    assert main(arguments("--json")) == 0
    assert capsys.readouterr().out == first.out
    assert (folder / "result.json").stat().st_mtime_ns == stamp


def test_out_decides_where(place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments("--out", "elsewhere", "--limit", "5")) == 0
    assert "5" in capsys.readouterr().out
    (result,) = (place / "elsewhere").rglob("result.json")
    assert json.loads(result.read_text())["limit"] == 5
    assert not (place / "home" / "data" / "results").exists()


def test_the_command_in_the_result_makes_it_again(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments("--out", "results", "--seed", "7"))
    (path,) = (place / "results").rglob("result.json")
    command = json.loads(path.read_text())["command"]
    assert command == (
        "grapebench run --task words.toml --rewriter rewriters.py:StripPrefix --suite full "
        "--retriever retriever.py:Words --split test --seed 7 --data DIR"
    )
    again = command.replace("DIR", "data").split()[1:]
    capsys.readouterr()
    assert main([*again, "--out", "results"]) == 0
    assert [path] == list((place / "results").rglob("result.json"))


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("mini-clip", "mini-clip"),
        ("ViT-B-32@openai", "ViT-B-32@openai"),
        ("hf-hub:owner/model", "hf-hub:owner/model"),
        ("/home/me/cards/mine.toml", "mine"),
        ("/home/me/retriever.py:Words", "Words"),
        ("data/../data", "data"),
    ],
)
def test_a_retriever_is_called_without_the_users_folders(place: Path, spec: str, name: str) -> None:
    assert _retriever_name(spec) == name


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--suite", "tiny"], "unknown suite 'tiny'"),
        (["--protocol", "graded"], "no protocol 'graded'; there is: retrieval, multilingual, category-map"),
        (["--protocol", "category-map"], "category-map needs the category of every query and image"),
        (["--languages", " , "], "--languages names no language"),
        (["--task", "cirr", "--languages", "de"], "cirr has no languages to choose from; leave --languages out"),
        (["--split", "nowhere"], "no split 'nowhere'"),
        (["--rewriter", "rewriters.py:Nobody"], "Nobody"),
        (["--rewriter", "identiy"], "did you mean 'identity'"),
    ],
)
def test_bad_input_is_one_sentence(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert main(arguments(*more)) == 2
    out, err = capsys.readouterr()
    assert said in err and err.count("\n") == 1 and out == ""
    assert not (place / "home" / "data" / "results").exists(), "nothing was begun"


def test_another_protocol_and_fewer_languages_are_another_result(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    more: tuple[tuple[str, ...], ...] = (
        (),
        ("--protocol", "multilingual"),
        ("--languages", "zh,de,zh"),
        ("--languages", "zh"),
        ("--protocol", "multilingual", "--languages", "zh"),
    )
    found = []
    for options in more:
        assert main(arguments(*options, "--json", rewriter="Raw")) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert [line["queries"] for line in found] == [24, 24, 24, 12, 12]
    assert [line["protocol"] for line in found] == [
        "retrieval", "multilingual", "retrieval", "retrieval", "multilingual",
    ]  # fmt: skip
    assert found[0]["id"] == found[2]["id"] and len({line["id"] for line in found}) == 4
    assert {key.partition("/")[2] for key in found[1]["metrics"]} == {"", "de", "zh"}
    assert found[4]["metrics"]["R@5/zh"] == found[4]["metrics"]["R@5"] == found[3]["metrics"]["R@5"]
    (path,) = (place / "home" / "data" / "results").rglob(f"{found[4]['id']}/result.json")
    assert json.loads(path.read_text())["command"].endswith("--protocol multilingual --languages zh --data DIR")


def test_the_order_in_which_languages_are_named_does_not_matter() -> None:
    card = catalog.task_card("xm3600").card
    assert _options(card, " zh,de ,en,de,") == _options(card, "de,en,zh") == {"languages": ["de", "en", "zh"]}
    assert _options(card, None) is None


def test_without_labels_the_result_says_where_to_take_it(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments("--split", "hidden", "--rewriter", "rewriters.py:Raw")) == 0
    out, _ = capsys.readouterr()
    said = " ".join(out.split())
    assert "labels" in said and "not public" in said and "`grapebench export`" in said and "Leaderboard" not in said
    results = sorted((place / "home" / "data" / "results").rglob("result.json"))
    assert len(results) == 2
    for path in results:
        assert path.parent.name[:8] in said
        assert sorted(each.name for each in path.parent.glob("*.trec.gz")) == ["image_to_text.trec.gz", "run.trec.gz"]
    assert main(arguments("--split", "hidden", "--json")) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["labelled"] is False and line["metrics"] == {}


def test_a_labelled_and_an_unlabelled_split_stand_beside_each_other(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments("--split", "hidden")) == 0
    capsys.readouterr()
    assert main(arguments()) == 0
    assert "Leaderboard: words" in capsys.readouterr().out


def test_images_that_the_rewriter_was_trained_on(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    from grapebench.datasets.seen import image_hash

    hashes = sorted(image_hash("full", "words", f"i{n:02}") for n in (3, 4, 5))
    source = {"task": "words", "suite": "full", "split": "train", "queries": 9, "images": 3}
    trained = {"schema_version": 1, "sources": [source], "images": hashes}
    (place / "trained.json").write_text(json.dumps(trained))
    (place / "trained.toml").write_text(
        'name = "trained"\ntitle = "Trained"\nabout = "."\nmechanism = "rewriters.py:StripPrefix"\n'
        'trained_on = "trained.json"\n'
    )
    more = ["--rewriter", "trained.toml"]
    assert main(arguments(*more)) == 2
    out, err = capsys.readouterr()
    assert "trained has seen words train" in err and "3 of the 24 images" in err and "--allow-seen" in err
    assert out == "" and err.count("\n") == 1
    assert not (place / "home" / "data" / "results").exists(), "not even what comes before it was begun"
    assert main(arguments(*more, "--allow-seen", "--json")) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["seen"] is None
    assert second["seen"] == {"images": 3, "gallery": 24, "sources": ["words train"]}
    (path,) = (place / "home" / "data" / "results").rglob(f"{second['id']}/result.json")
    assert json.loads(path.read_text())["command"].endswith("--data DIR --allow-seen")


def test_a_retriever_that_has_seen_the_images_is_told_and_noted(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "words-clip.toml").write_text(
        'name = "words-clip"\ntitle = "Words"\nabout = "."\nmechanism = "retriever.py:Words"\n'
        'trained_on = ["words-train", "something else"]\n'
    )
    assert main([*arguments("--json"), "--retriever", "words-clip.toml"]) == 0
    out, err = capsys.readouterr()
    (path,) = (place / "home" / "data" / "results").rglob(f"{json.loads(out)['id']}/result.json")
    (note,) = json.loads(path.read_text())["data"]["notes"]
    assert "words-clip was trained on words-train" in note and "all of its images" in note
    assert err.splitlines()[0] == f"warning: {note}"
    assert main(arguments("--json")) == 0
    assert "warning" not in capsys.readouterr().err, "of a retriever without a card nothing is known"


def test_answers_that_never_came_are_told_and_asked_for_again(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    """The third query has no answer as long as the file `down` is there."""
    (place / "flaky.py").write_text(
        "from pathlib import Path\n"
        "from grapebench.records import Rewrite\n\n\n"
        "class Flaky:\n"
        "    fingerprint = 'flaky'\n\n"
        "    def rewrite(self, queries):\n"
        "        for query in queries:\n"
        "            if query.id != 'q-i02' or not Path('down').exists():\n"
        "                yield Rewrite(query.id, texts=(query.text.replace('x', ''),))\n"
    )
    (place / "down").touch()
    command = [word.replace("rewriters.py:StripPrefix", "flaky.py:Flaky") for word in arguments("--json")]
    for _ in range(2):
        assert main(command) == 1, "part of the work could not be done"
        out, err = capsys.readouterr()
        first = json.loads(out)
        assert first["unanswered"] == first["fallbacks"] == {"missing": 1}
        (said,) = [line for line in err.splitlines() if "warning" in line]
        assert "flaky: answers to 1 of 24 queries never came (missing: 1); the same command asks for them again" in said
    (place / "down").unlink()
    assert main(command) == 0
    out, err = capsys.readouterr()
    second = json.loads(out)
    assert second["unanswered"] == {} and second["id"] == first["id"] and "warning" not in err
    assert second["metrics"]["R@1"] == 1 > first["metrics"]["R@1"]


def test_a_broken_result_in_the_store_is_named(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments(rewriter="Raw"))
    (broken,) = (place / "home" / "data" / "results").rglob("result.json")
    broken.write_text("{")
    capsys.readouterr()
    assert main(arguments()) == 0
    out, err = capsys.readouterr()
    assert f"warning: left out: {broken}" in err and "strip-prefix" in out


def test_a_repeated_run_imports_nothing_heavy(place: Path, arguments: Arguments) -> None:
    """What it takes is then Python's start, the annotation files and a look at each picture's size and time.

    The table's ranks come from files of queries' ranks, which pyarrow reads.
    """
    program = textwrap.dedent(
        """
        import sys
        from grapebench.cli.main import main
        code = main(sys.argv[1:])
        heavy = {"torch", "open_clip", "transformers", "pandas", "scipy", "faiss", "datasets"}
        print(code, sorted(heavy & set(sys.modules)), file=sys.stderr)
        """
    )
    command = [sys.executable, "-c", program, *arguments()]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    again = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert again.stderr.splitlines()[-1] == "0 []"
    assert "Leaderboard" in again.stdout


TROUBLED = """
from grapebench.records import Rewrite


class Troubled:
    # Of 24 queries the first 3 are refused, the next 4 are cut off, and one of these lost its own end too.
    fingerprint = 'troubled'

    def rewrite(self, queries):
        for place, query in enumerate(queries):
            trace = {'cut output': 'no end'} if 3 <= place < 7 else {}
            trace |= {'cut prompt': 'the first 3'} if place == 6 else {}
            why = 'refusal' if place < 3 else None
            yield Rewrite(query.id, texts=(query.text,), raw='said', fallback=why, trace=trace)
"""


def test_fallbacks_and_cuts_are_told_of_in_a_line_on_the_board_and_by_show(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "troubled.py").write_text(TROUBLED)
    command = [*arguments(rewriter="Raw"), "--rewriter", "troubled.py:Troubled"]
    assert main([*command, "--json"]) == 0, "an answer of no use is an answer"
    out, err = capsys.readouterr()
    raw, troubled = map(json.loads, out.splitlines())
    assert (troubled["fallbacks"], troubled["cut"]) == ({"refusal": 3}, {"output": 4, "prompt": 1})
    assert raw["cut"] == raw["partial"] == raw["uncaptioned"] == {}
    said = "of 24 queries 3 searched as they came (refusal 3); cut off: output 4, prompt 1"
    assert [line for line in err.splitlines() if "of 24 queries" in line] == [f"warning: words · troubled: {said}"]
    assert main(command) == 0
    board = capsys.readouterr().out
    assert "troubled !" in board and "raw !" not in board
    assert "troubled 12.5 % fell back, 16.7 % cut" in " ".join(board.split())
    assert main(["show", troubled["id"]]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Fallbacks refusal 3" in shown and "Cut off output 4, prompt 1" in shown


def test_a_run_without_a_single_answer_ends_with_1(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "silent.py").write_text(
        "class Silent:\n    fingerprint = 'silent'\n\n    def rewrite(self, queries):\n        return []\n"
    )
    command = [word.replace("rewriters.py:StripPrefix", "silent.py:Silent") for word in arguments("--json")]
    assert main(command) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["unanswered"] == {"missing": 24}
    assert "answers to 24 of 24 queries never came" in err


def test_a_loader_lies_beside_its_card_or_in_the_working_directory(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    cards = place / "cards"
    cards.mkdir()
    card = (place / "words.toml").read_text().replace(str(place / "loader.py"), "loader.py")
    (cards / "words.toml").write_text(card)
    command = [word.replace("words.toml", "cards/words.toml") for word in arguments("--json")]
    assert main(command) == 0, "it lies in the working directory"
    first = json.loads(capsys.readouterr().out)
    (place / "loader.py").rename(cards / "loader.py")
    assert main(command) == 0, "it lies beside the card"
    assert json.loads(capsys.readouterr().out)["id"] == first["id"]
    assert main([*command, "--languages", "de"]) == 0
    assert json.loads(capsys.readouterr().out)["queries"] == 12
    (place / "loader.py").write_text("raise RuntimeError('the wrong one')")
    assert main(command) == 0, "the one beside the card comes first"
    (cards / "loader.py").unlink()
    (place / "loader.py").unlink()
    capsys.readouterr()
    assert main(command) == 2
    assert "error: " + str(cards / "loader.py") + ": no such file or directory" in capsys.readouterr().err


def test_advice_for_a_card_that_is_given_by_path_names_the_path(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own name leads to no card, and that of a published task to another one."""
    other = place / "cirr.toml"
    other.write_text((place / "words.toml").read_text().replace('"words"', '"cirr"'))
    for card in ("words.toml", "cirr.toml"):
        command = ["run", "--task", card, "--rewriter", "rewriters.py:Raw", "--suite", "full"]
        assert main([*command, "--retriever", "retriever.py:Words"]) == 2
        assert f"grapebench data add {card} --images DIR" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("retriever.py", "return np.stack([vector(text)", "import no_such_thing", "no_such_thing"),
        ("retriever.py", "return np.stack([vector(image", "{}[3]", "KeyError: 3"),
        ("retriever.py", "import numpy as np", "import no_such_thing", "no_such_thing"),
        ("loader.py", "folder = place", "import no_such_thing", "no_such_thing"),
        ("loader.py", "from grapebench.records import Dataset", "1 / 0", "division by zero"),
        ("rewriters.py", "return [Rewrite(query.id, texts=(query.text.", "import no_such_thing", "no_such_thing"),
    ],
)
def test_what_fails_in_a_file_of_the_users_is_one_sentence_with_its_line(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str], file: str, old: str, new: str, said: str
) -> None:
    path = place / file
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, f"{new}; {old}"))
    line = text[: text.index(old)].count("\n") + 1
    assert main(arguments()) == 2
    (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert f"{path}:{line}: " in told and said in told and "Traceback" not in told
    assert ("install what holds no_such_thing beside grapebench" in told) == (said == "no_such_thing")
