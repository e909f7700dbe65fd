from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grapebench.errors import UserError
from grapebench.training.material import Material
from grapebench.training.raqo import sets, trials
from grapebench.training.raqo.config import RaqoConfig
from grapebench.training.raqo.mpade import Sets, build, load
from grapebench.training.raqo.trials import Trial

Make = Callable[..., tuple[RaqoConfig, Material]]

GUESSES = """
import os
from pathlib import Path
from grapebench.records import Rewrite

HERE = Path(__file__).parent


class Guesses:
    '''The first answers to every third query fail; the letters in lower case are what an image is of.'''

    fingerprint = "guesses"

    def rewrite(self, queries):
        for query in queries:
            if (HERE / "stop").exists() and len((HERE / "asked").read_text().splitlines()) >= 30:
                raise RuntimeError("killed")
            with (HERE / "asked").open("a") as log:
                log.write(f"{query.id}\\n")
            base, _, number = query.id.partition("#")
            right, number = query.text.lower(), int(number or 0)
            hard = int(base.rpartition("-")[2]) % 3 == 0
            if number % 4 == 3:
                yield Rewrite(query.id, texts=(query.text,), raw="...", fallback="no words")
            elif hard and number < 4 or number % 4 == 2:
                yield Rewrite(query.id, texts=(query.text,), raw="no better", completion_tokens=2)
            else:
                text = right if number % 4 == 0 else f"{right} {right[:2]}"
                trace = {"concepts": "hard letters"} if number % 4 else {}
                yield Rewrite(query.id, texts=(text,), raw=text, completion_tokens=3, trace=trace)
"""
DATA: dict[str, Any] = {
    "rewriter": "guesses.py:Guesses", "unambiguous": 2, "ambiguous": 3, "samples": 4, "rounds": 3, "meaning": "none",
}  # fmt: skip


@pytest.fixture
def make(configured: Make, letters: Path) -> Make:
    (letters / "guesses.py").write_text(GUESSES)

    def with_data(**changes: Any) -> tuple[RaqoConfig, Material]:
        return configured(rewriter="plain.toml", data={**DATA, **changes})

    return with_data


def built(some: tuple[RaqoConfig, Material], folder: str = "out") -> Sets:
    return build(*some, Path(folder), lambda *_: None)


def asked() -> list[str]:
    return Path("asked").read_text().splitlines()


def test_data_from_start_to_card(make: Make) -> None:
    config, material = make()
    found = built((config, material))
    train = material.lessons[0].train
    raw = {one.query_id: one for one in trials.read(Path("out/ambiguity.parquet"))}
    assert list(raw) == [query.id for query in train.queries], "queries of train, and of train alone"
    ambiguous = [key for key, one in raw.items() if one.rank > 3]
    hard = [key for key in ambiguous if int(key.rpartition("-")[2]) % 3 == 0]
    assert hard and len(hard) < len(ambiguous)
    first, second = (trials.read(Path(f"out/round-{number}.parquet")) for number in (1, 2))
    assert not Path("out/round-3.parquet").exists(), "every query was solved before"
    assert len(first) == 4 * len(ambiguous)
    unsolved = [key for key in ambiguous if not any(one.query_id == key and 0 < one.rank <= 2 for one in first)]
    assert set(hard) >= set(unsolved) != set()
    assert [one.query_id for one in second] == [key for key in unsolved for _ in range(4)]
    assert sum(one.trouble == "no words" for one in first) == len(ambiguous)

    card = found.card
    assert card["ambiguity"]["ambiguous"] == len(ambiguous) == card["solved"]["queries"]
    assert card["rounds"][0]["unusable"] == {"no words": len(ambiguous)}
    assert card["rounds"][1]["queries"] == len(unsolved)
    assert card["sets"]["ccr"]["rows"] == len(found.ccr)
    assert card["sets"]["qre"]["rows"] == len(found.qre) == len(ambiguous)
    assert card["sets"]["pro"]["rows"] == len(found.pro) > 0
    for name in ("ccr", "qre", "pro"):
        assert getattr(found, name).column_names == list(sets.COLUMNS[name])
    for row in found.pro:
        assert 2 <= len(row["rewrites"]) == len(row["rewards"]) == len(set(row["rewrites"]))
        assert row["rewards"] == sorted(row["rewards"], reverse=True)
    texts = {query.id: query.text for query in train.queries}
    assert all(row["query"] == texts[row["query_id"]] and row["rewrite"] != row["query"] for row in found.qre)
    best = {row["query_id"]: row["rewrite"] for row in found.qre}
    assert best == {key: texts[key].lower() for key in ambiguous}, "an image is of its letters in lower case"
    seen = json.loads(Path("out/trained_on.json").read_text())
    assert [(one["task"], one["split"]) for one in seen["sources"]] == [("letters", "train")]


def test_what_is_finished_is_not_made_again(make: Make) -> None:
    one = built(make())
    questions, card = asked(), Path("out/card.json").read_bytes()
    other = built(make())
    assert asked() == questions and Path("out/card.json").read_bytes() == card
    assert other.card == one.card == load(Path("out")).card
    assert other.pro.to_list() == one.pro.to_list()


def test_a_killed_one_pays_nothing_twice_and_comes_to_the_same(make: Make) -> None:
    (Path("stop")).touch()
    Path("asked").touch()
    with pytest.raises(UserError, match="killed"):
        built(make())
    assert Path("out/ambiguity.parquet").is_file() and not Path("out/round-1.parquet").exists()
    os.remove("stop")
    found = built(make())
    assert len(asked()) == len(set(asked()))
    for part in ("round-2.parquet", "card.json"):
        Path("out", part).unlink()
    again, questions = built(make()), asked()
    assert asked() == questions
    whole = built(make(), "whole")
    assert whole.card["rows_sha256"] == found.card["rows_sha256"] == again.card["rows_sha256"]
    assert whole.ccr.to_list() == found.ccr.to_list()


def test_other_settings_are_refused(make: Make) -> None:
    built(make())
    with pytest.raises(UserError, match=r"data\.samples"):
        built(make(samples=5))
    config, material = make()
    with pytest.raises(UserError, match="seed"):
        built((config.model_copy(update={"seed": 7}), material))
    Path("guesses.py").write_text(GUESSES.replace('"guesses"', '"better"'))
    with pytest.raises(UserError, match="rewriter"):
        built(make())
    Path("full").mkdir()
    Path("full/mine.txt").touch()
    with pytest.raises(UserError, match="not empty"):
        built(make(), "full")
    with pytest.raises(UserError, match="no finished data"):
        load(Path("full"))


def test_some_of_the_queries(make: Make) -> None:
    built(make(queries=5))
    raw = trials.read(Path("out/ambiguity.parquet"))
    assert len(raw) == 5 and raw[0].query_id == "q-train-00" and raw[-1].query_id == "q-train-19"


def test_concepts_that_answers_named(make: Make) -> None:
    found = built(make(concepts="named"))
    assert len(found.pro) and all(row["concepts"] == ["hard letters"] for row in found.pro)
    told = found.card["rounds"][0]["concepts"]
    assert told["named"] > 0 and told["not asked"] > 0


def test_a_server_that_is_down_is_no_finding(make: Make) -> None:
    Path("guesses.py").write_text(GUESSES.replace('raw="...", fallback="no words"', 'fallback="error 503"'))
    with pytest.raises(UserError, match="error 503"):
        built(make())
    assert not Path("out/round-1.parquet").exists()
    Path("guesses.py").write_text(GUESSES)
    count = len(asked())
    built(make())
    assert len(asked()) < 2 * count, "what came was kept"


def test_the_page_shows_queries_and_hides_nothing_odd(make: Make) -> None:
    Path("guesses.py").write_text(
        GUESSES.replace('texts=(query.text,), raw="no b', "texts=('<b>zzz</b>',), raw=\"no b")
    )
    found = built(make())
    page = Path("out/index.html").read_text()
    assert "&lt;b&gt;zzz&lt;/b&gt;" in page and "<b>zzz" not in page
    query = next(iter(found.qre))
    assert query["query"] in page and query["rewrite"] in page and "no words" in page
    assert f"Ambiguous and solved: {found.card['solved']['queries']}" in page


ENGINE = """
from pydantic import BaseModel
from grapebench.rewriters.engines import Answer
from grapebench.rewriters.prompted import Prompted

ASKED = []


class Engine:
    sees = False
    identity = "made up"
    description = {}

    class Settings(BaseModel):
        sample: bool = False

    def __init__(self, settings, setup):
        self.settings = settings

    @property
    def sampled(self):
        return self.settings.sample

    def answer(self, requests):
        for request in requests:
            ASKED.append(request)
            text = request.messages[-1]["content"]
            target = text.rpartition("wanted: ")[2]
            query = text.partition(" | ")[0]
            raw = f"Concepts: ?\\nRewrite: {query * 2}"
            if "@2" in request.key:
                raw = f"Concepts: letters\\nRewrite: {target}"
            yield Answer(request.key, raw, 5, 2)


class Seer(Prompted):
    name = "seer"
    engine_class = "made_up_engine:Engine"
"""
SEER = """
name = "seer"
title = "Seer"
about = "Made up."
mechanism = "made_up_engine.py:Seer"

[prompts]
system = "system.txt"
translate = "ask.txt"
"""


@pytest.fixture
def seer(make: Make, letters: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(letters)
    monkeypatch.delitem(sys.modules, "made_up_engine", raising=False)
    (letters / "made_up_engine.py").write_text(ENGINE)
    (letters / "seer.toml").write_text(SEER)
    (letters / "system.txt").write_text("You rewrite $language.")
    (letters / "better.txt").write_text("$query | $attempt\n$found\nwanted: $target")
    lines = [
        json.dumps({"image": path.stem, "caption": path.read_text()})
        for path in letters.glob("data/images/train-*.png")
    ]
    (letters / "data" / "oracle.jsonl").write_text("\n".join(lines))
    return importlib.import_module("made_up_engine")


SEEN = {"rewriter": "seer.toml", "optimise": "better.txt", "concepts": "named", "samples": 2, "shown": 2}


def test_the_model_is_shown_what_it_found(make: Make, seer: Any) -> None:
    config, material = make(**SEEN)
    found = built((config, material))
    train = {query.id: query for query in material.lessons[0].train.queries}
    raw = {one.query_id: one for one in trials.read(Path("out/ambiguity.parquet"))}
    ambiguous = [key for key, one in raw.items() if one.rank > 3]
    captions = {path.stem: path.read_text() for path in Path("data/images").glob("train-*.png")}
    firsts = [request for request in seer.ASKED if request.key.endswith("@1")]
    assert sorted({request.key.partition("@")[0].partition("#")[0] for request in firsts}) == sorted(ambiguous)
    for request in firsts:
        query = train[request.key.partition("@")[0].partition("#")[0]]
        system, user = (message["content"] for message in request.messages)
        assert system == "You rewrite German."
        head, one, two, wanted = user.split("\n")
        assert head == f"{query.text} | {query.text}", "in the first round the query is what was tried"
        assert wanted == f"wanted: {captions[query.positives[0]]}"
        assert one[:3] == "1. " and two[:3] == "2. " and one[3:] in captions.values() and wanted[8:] not in (one, two)
    seconds = [request for request in seer.ASKED if request.key.endswith("@2")]
    for request in seconds:
        query = train[request.key.partition("@")[0].partition("#")[0]]
        assert request.messages[-1]["content"].startswith(f"{query.text} | {query.text * 2}\n")
    assert len(seconds) == 2 * len(ambiguous) == len(firsts)
    assert [row["concepts"] for row in found.ccr if row["concepts"]] == [["letters"]] * len(ambiguous)
    assert {row["query_id"]: row["rewrite"] for row in found.qre} == {
        key: captions[train[key].positives[0]] for key in ambiguous
    }
    assert any(name.startswith("unreadable") for name in found.card["rounds"][0]["concepts"])
    count = len(seer.ASKED)
    built(make(**SEEN), "again")
    assert len(seer.ASKED) == count, "answers are stored"


def test_a_model_that_sees_is_shown_the_images(make: Make, seer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seer.Engine, "sees", True)
    Path("data/oracle.jsonl").unlink()
    Path("better.txt").write_text("$query | $attempt")
    built(make(**SEEN, rounds=1))
    files = {path.read_bytes(): path.stem for path in Path("data/images").glob("train-*.png")}
    for request in seer.ASKED:
        *found, target = (files[image] for image in request.images)
        assert f"q-{target}" == request.key.partition("@")[0].partition("#")[0]
        assert len(found) == 2 and target not in found


def test_prompts_and_captions_that_are_missing(make: Make, seer: Any) -> None:
    Path("better.txt").write_text("$query $attempt $found")
    with pytest.raises(UserError, match=r"\$target"):
        built(make(**SEEN))
    Path("better.txt").write_text("$query $attempt $found $target $caption")
    with pytest.raises(UserError, match=r"\$caption"):
        built(make(**SEEN))
    Path("better.txt").write_text("$query $attempt $found $target")
    Path("data/oracle.jsonl").unlink()
    with pytest.raises(UserError, match="captioner"):
        built(make(**SEEN))


def test_concepts_that_nobody_is_asked_for(make: Make, seer: Any) -> None:
    with pytest.raises(UserError, match="contrast"):
        built(make(**{**SEEN, "optimise": None}))


def test_english_queries_in_rare_words(make: Make, letters: Path) -> None:
    loader = Path("loader.py")
    loader.write_text(loader.read_text().replace('texts[n].upper(), (n,), "de"', 'texts[n], (n,), "en"'))
    words = {path.read_text().split()[0]: ["qqq"] for path in letters.glob("data/images/train-*.png")}
    (letters / "data" / "synonyms.json").write_text(json.dumps(words))
    found = built(make(perturbations=1, drop=0.05))
    perturbed: list[Trial] = trials.read(Path("out/perturbed.parquet"))
    raw = {one.query_id: one for one in trials.read(Path("out/ambiguity.parquet"))}
    assert perturbed and all(one.concepts == ("qqq",) and raw[one.query_id].rank <= 2 for one in perturbed)
    kept = {f"{one.query_id}~1" for one in perturbed if raw[one.query_id].cosine - one.cosine >= 0.05}
    assert {row["query_id"] for row in found.qre if "~" in row["query_id"]} == kept != set()
    assert found.card["perturbation"] == {
        "queries": len(perturbed), "tried": len(perturbed), "kept": len(kept),
        **({"too little": len(perturbed) - len(kept)} if len(perturbed) > len(kept) else {}),
    }  # fmt: skip
    undone = {row["query_id"]: row for row in found.qre}
    for key in kept:
        assert undone[key]["rewrite"] == raw[key[:-2]].text and undone[key]["concepts"] == ["qqq"]
    nones = [row for row in found.ccr if not row["concepts"]]
    assert nones and len(nones) <= len(found.ccr) / 4
    assert all(raw[row["query_id"]].rank <= 2 for row in nones)
