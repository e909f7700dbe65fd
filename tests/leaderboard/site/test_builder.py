from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from grapebench.cli.main import main
from grapebench.errors import UserError
from grapebench.leaderboard import artifacts, store
from grapebench.leaderboard.results import PER_QUERY_FILE, REWRITES_FILE, SIMILARITIES_FILE
from grapebench.leaderboard.site import build
from tests.leaderboard.site.made import EVIL, Add


class Page(HTMLParser):
    """Tags, with their attributes, and the text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def data(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    return found


@pytest.fixture
def site(some: Path, tmp_path: Path) -> Path:
    built = build([some], tmp_path / "site", tmp_path / "nothing")
    assert built.problems == () and built.results == 5
    assert built.files == sum(path.is_file() for path in built.folder.rglob("*"))
    return built.folder


def by_name(some: Path, name: str, seed: int = 0) -> store.Stored:
    found, _ = store.find([some])
    return next(one for one in found if one.result.rewriter.name == name and one.result.seed == seed)


def test_every_link_leads_somewhere_and_nowhere_else(site: Path) -> None:
    for path in site.rglob("*.html"):
        page = Page(path)
        ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
        for tag, attributes in page.tags:
            for name in ("href", "src"):
                target = attributes.get(name)
                if target is None:
                    continue
                assert not re.match(r"[a-z]+:|//", target), f"{path.name}: <{tag} {name}={target}>"
                file, _, place = target.partition("#")
                goal = path if not file else path.parent / unquote(file)
                assert goal.is_file(), f"{path.name}: {target}"
                if place and goal == path:
                    assert place in ids, f"{path.name}: {target}"


def test_tables_are_such_that_a_screen_reader_can_read_them(site: Path) -> None:
    for path in site.rglob("*.html"):
        page = Page(path)
        assert len(page.all("main")) == len(page.all("h1")) == 1
        assert page.all("html")[0]["lang"] == "en"
        assert len(page.all("caption")) == len(page.all("table"))
        assert all(head.get("scope") in ("col", "row", "rowgroup") for head in page.all("th"))
        assert all("alt" in image for image in page.all("img"))
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids)), f"{path.name}: an id occurs twice"
        for svg in page.all("svg"):
            named = set((svg.get("aria-labelledby") or "").split())
            assert svg.get("aria-hidden") == "true" or (named and named <= set(ids))


def test_what_strangers_write_is_text(site: Path, some: Path) -> None:
    evil = by_name(some, EVIL).result
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        page = Page(path)
        assert "<img src=x" not in text and "<script>document" not in text
        assert all("src" in script for script in page.all("script"))
        assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    page = Page(site / "results" / f"{evil.id}.html")
    assert EVIL in page.text, "the name is shown as it is"
    assert f"grapebench run {EVIL}" in page.text
    assert EVIL in Page(site / "index.html").text
    for path in (site / "data").iterdir():
        assert "<" not in path.read_text(encoding="utf-8")
    own = data(site / "data" / f"{evil.id}.js")
    assert own["rewrites"][7] == f"{EVIL} 7"
    assert own["notes"]["1"]["Fallback"] == EVIL and own["notes"]["2"][EVIL] == EVIL


def test_names_that_lead_out_of_the_folder_stay_in_it(tmp_path: Path, add: Add) -> None:
    add(tmp_path / "store", "../../up", task="../../evil")
    built = build([tmp_path / "store"], tmp_path / "here" / "site", tmp_path)
    assert built.results == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "store"]
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["site"]


def test_the_board_has_ranks_tests_and_costs(site: Path, some: Path) -> None:
    page = Page(site / "index.html")
    text = " ".join(page.text.split())
    assert "The real benchmarks" in text and "The generated miniature" not in text
    assert text.index("identity") < text.index("Oracles: they look at the answer, not ranked") < text.index("oracle")
    rows = [attributes for attributes in page.all("tr") if "line" in (attributes.get("class") or "")]
    assert sum("oracle" in (row["class"] or "") for row in rows) == 1
    assert "Δ R@10 to raw" in text and "Δ R@10 to llm" in text
    assert "seed 0" in text and "seed 1" in text
    assert "GRAPE" in text and "Nothing here was measured by grapebench" in text


def test_data_of_a_result_are_what_its_files_say(site: Path, some: Path) -> None:
    one = by_name(some, "llm")
    own = data(site / "data" / f"{one.result.id}.js")
    (shared_file,) = (site / "data").glob("full-pets-*.js")
    shared = data(shared_file)
    ranks = artifacts.read_table(one.folder / PER_QUERY_FILE)
    assert (own["rank"], own["before"]) == (ranks["rank"], ranks["rank_before"])
    assert shared["ids"] == ranks["query_id"]
    assert [shared["gallery"][place] for place in shared["target"]] == ranks["positive"]
    assert shared["texts"][4] == "Ding 4 屋" and own["rewrites"][4] == "a picture of thing 4"
    assert own["notes"] == {"3": {"Concepts": "whiskers"}, "5": {"Fallback": "empty"}}
    for number, rank in enumerate(ranks["rank"]):
        best = own["tops"]["of"][10 * number : 10 * number + 10]
        assert len(best) == own["tops"]["depth"] == 10
        assert rank > 10 or best[rank - 1] == shared["target"][number]
        raw = shared["tops"]["of"][10 * number : 10 * number + 10]
        before = ranks["rank_before"][number]
        assert before > 10 or raw[before - 1] == shared["target"][number], "from the result that searched the raw texts"
    assert data(site / "data" / f"{by_name(some, 'identity').result.id}.js")["rewrites"] == [None] * 40


def test_a_published_result_says_what_is_left_out(tmp_path: Path, add: Add) -> None:
    folder = store.publish(add(tmp_path / "own"), tmp_path / "board")
    (folder / SIMILARITIES_FILE).unlink()
    built = build([tmp_path / "board"], tmp_path / "site", tmp_path / "nothing")
    assert built.problems == ()
    (page,) = (tmp_path / "site" / "results").iterdir()
    text = Page(page).text
    for left_out in ("own texts are not published", "pictures are not published", "raw query texts found is left out",
                     "rewrites found is left out", "left out"):  # fmt: skip
        assert left_out in text
    (shared,) = (tmp_path / "site" / "data").glob("full-pets-*.js")
    assert data(shared)["texts"] is None and data(shared)["tops"] is None


def test_the_run_of_a_published_result_comes_from_the_users_store(tmp_path: Path, add: Add) -> None:
    store.publish(add(tmp_path / "own"), tmp_path / "board")
    build([tmp_path / "board"], tmp_path / "site", tmp_path / "own")
    (own,) = (path for path in (tmp_path / "site" / "data").iterdir() if not path.name.startswith("full"))
    assert data(own)["tops"]["depth"] == 10


def test_a_result_without_ranks_has_a_page_without_queries(tmp_path: Path, add: Add) -> None:
    folder = add(tmp_path / "store")
    (folder / PER_QUERY_FILE).unlink()
    built = build([tmp_path / "store"], tmp_path / "site", tmp_path / "nothing")
    assert built.problems == ()
    (page,) = (tmp_path / "site" / "results").iterdir()
    assert "came without its ranks" in Page(page).text
    assert not (tmp_path / "site" / "data").exists()


def test_results_without_labels_are_listed_apart(tmp_path: Path, add: Add) -> None:
    add(tmp_path / "store", labelled=False)
    build([tmp_path / "store"], tmp_path / "site", tmp_path / "nothing")
    assert "Without public labels" in Page(tmp_path / "site" / "index.html").text
    (page,) = (tmp_path / "site" / "results").iterdir()
    assert "not public" in Page(page).text
    own = data(tmp_path / "site" / "data" / f"{page.stem}.js")
    assert own["rank"] is None and own["rewrites"][3] == "a picture of thing 3"


def test_the_same_results_give_the_same_bytes(some: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    for one in sorted(some.rglob("result.json"), reverse=True):
        shutil.copytree(one.parent, copied / one.parent.relative_to(some))
    sites = []
    for name, folder in (("one", some), ("two", copied)):
        site = build([folder], tmp_path / name, tmp_path / "nothing").folder
        sites.append({path.relative_to(site): path.read_bytes() for path in site.rglob("*") if path.is_file()})
    assert sites[0] == sites[1]


def test_the_command_names_what_is_broken_and_refuses_other_folders(
    some: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["leaderboard", "site", "--results", str(some), "--out", str(tmp_path / "site")]
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert told.out == f"{tmp_path / 'site' / 'index.html'}\n"
    assert "5 results, " in told.err and "warning" in told.err and "licences" in told.err, "texts that are not ours"

    one = by_name(some, "oracle")
    (one.folder / REWRITES_FILE).write_bytes(b"no gzip")
    (by_name(some, "llm", 1).folder / "result.json").write_text("{")
    assert main(arguments) == 1
    told = capsys.readouterr()
    assert "left out: " in told.err and "without its queries: " in told.err
    assert not (tmp_path / "site" / "data" / f"{one.result.id}.js").exists()

    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("1")
    assert main([*arguments[:-1], str(tmp_path / "thesis")]) == 2
    assert "no site" in capsys.readouterr().err
    assert main(["leaderboard", "site", "--results", str(tmp_path / "none"), "--out", str(tmp_path / "new")]) == 2
    assert not (tmp_path / "new").exists()


def test_two_folders_are_one_board(tmp_path: Path, add: Add) -> None:
    add(tmp_path / "one", "llm")
    add(tmp_path / "two", "other")
    assert build([tmp_path / "one", tmp_path / "two"], tmp_path / "site", tmp_path).results == 2
    page = Page(tmp_path / "site" / "index.html")
    assert "llm" in page.text and "other" in page.text
    assert len(list((tmp_path / "site" / "tasks").iterdir())) == 1


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder of results"):
        build([tmp_path / "none"], tmp_path / "site", tmp_path)
