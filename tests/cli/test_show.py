from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from grapebench import files
from grapebench.cli.main import main
from grapebench.leaderboard import artifacts
from grapebench.leaderboard.results import (
    Cost,
    Data,
    Delta,
    Environment,
    Inflation,
    Interval,
    Result,
    RetrieverRecord,
    RewriterRecord,
    Similarities,
    result_id,
)
from grapebench.leaderboard.store import folder_of, publish, resolve
from grapebench.paths import results_dir
from grapebench.records import Query, Rewrite

RANKS = {"gain": (100, 1), "more": (3, 2), "same": (5, 5), "loss": (1, 40), "[bold]odd": (7, 7)}
KEYS = ("R@1", "R@5", "R@10", "MRR")


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    """A small result in the user's store."""
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path))
    determinants = {"made": "up"}
    name = result_id(determinants)
    folder = folder_of(results_dir(), "mini", "cirr", "mini-clip", "llm", name)
    folder.mkdir(parents=True)
    queries = [Query(query, f"text of {query}" + " word" * 200, ("target",)) for query in RANKS]
    rewrites = [
        Rewrite(
            query,
            texts=(f"rewrite of {query}" if query != "same" else queries[2].text,),
            raw="said <so>",
            trace={"reference caption": "a red star"},
        )
        for query in RANKS
    ]
    artifacts.write_queries(folder / "queries.jsonl.gz", queries)
    artifacts.write_rewrites(folder / "rewrites.jsonl.gz", queries, rewrites)
    after = np.array([rank for _, rank in RANKS.values()], dtype=np.int32)
    before = np.array([rank for rank, _ in RANKS.values()], dtype=np.int32)
    columns = {
        "query_id": list(RANKS), "language": ["en"] * 5, "cluster": ["target"] * 5, "rank": after,
        "rank_before": before, "above": after - 1, "equal": after * 0, "candidates": after * 0 + 1000,
        "subset_rank": after * 0 + 2, "subset_rank_before": after * 0 + 3,
        "similarity_positive": np.full(5, np.nan, np.float32), "fallback": ["empty", None, None, None, None],
    }  # fmt: skip
    artifacts.write_per_query(folder / "per_query.parquet", columns)
    figures = Similarities(positive=0.3, others=0.1, top_others=None, margin=0.05)
    made = Result(
        id=name,
        determinants=determinants,
        suite="mini",
        task="cirr",
        family="compose",
        revision=1,
        protocol="composed",
        split="test1",
        seed=0,
        retriever=RetrieverRecord(name="mini-clip", fingerprint="f"),
        rewriter=RewriterRecord(name="llm", title="LLM", mechanism="lm", fingerprint="f"),
        queries=5,
        gallery=1001,
        metrics=dict.fromkeys(KEYS, 0.25) | {"median_rank": 5},
        metrics_before=dict.fromkeys(KEYS, 0.2) | {"median_rank": 5},
        intervals=dict.fromkeys(KEYS, Interval(low=0.1, high=0.4)),
        deltas=dict.fromkeys(KEYS, Delta(value=0.05, low=-0.1, high=0.2)),
        ties=0,
        duplicates=0,
        fallbacks={"empty": 1},
        inflation=Inflation(before=figures, after=figures),
        cost=Cost(
            prompt_tokens=10, completion_tokens=5, rewrite_seconds=1, encode_seconds=1, rewritten=5, ms_per_query=200
        ),
        environment=Environment(
            grapebench="0", commit=None, dirty=None, python="3", packages={}, platform="x", cpu="y", gpu=None
        ),
        command="grapebench run --task cirr",
        created="2025-01-01T00:00:00Z",
        data=Data(dataset="d", images="i"),
        files={path.name: files.sha256_file(path) for path in sorted(folder.iterdir())},
    )
    (folder / "result.json").write_text(made.model_dump_json())
    return made


def test_gains_come_first_and_losses_where_asked(result: Result, capsys: pytest.CaptureFixture[str]) -> None:
    order = ["gain", "more", "same", "[bold]odd", "loss"]
    assert main(["show", result.id[:6], "--json"]) == 0
    first, *rows = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["id"] == result.id
    assert [row["query_id"] for row in rows] == order
    assert rows[0]["rank_before"] == 100 and rows[0]["rank"] == 1 and rows[0]["rewrite"] == "rewrite of gain"
    assert rows[2]["rewrite"] == rows[2]["text"], "a query that was searched as it came"
    assert rows[0]["similarity_positive"] is None, "NaN is no JSON"
    assert main(["show", result.id, "--json", "--worst", "--limit", "2"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row["query_id"] for row in rows] == ["loss", "[bold]odd"]


def test_what_a_person_sees(result: Result, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", result.id]) == 0
    text = capsys.readouterr().out
    for wanted in ("20.0 → 25.0 [10.0, 40.0]", "+5.0 [-10.0, +20.0]", "100 → 1 of 1,000", "rewrite of loss", "empty 1"):
        assert wanted in text
    assert "Query [bold]odd" in text, "text of a result is not markup"
    assert "said <so>" not in text and " …" in text


def test_one_query_in_full(result: Result, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", result.id, "--query", "more"]) == 0
    text = capsys.readouterr().out
    assert "said <so>" in text and "a red star" in text and "3 → 2" in text
    assert text.count("word") == 200 and "rewrite of gain" not in text


def test_a_published_result_is_shown_as_far_as_it_goes(
    result: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = publish(resolve(result.id, [results_dir()]), tmp_path / "board")
    assert main(["show", str(folder), "--limit", "1"]) == 0
    text = capsys.readouterr().out
    assert "rewrite of gain" in text and "text of gain" not in text and "100 → 1" in text
    (folder / "per_query.parquet").unlink()
    assert main(["show", str(folder)]) == 2
    assert "holds no ranks; its command makes the whole result" in capsys.readouterr().err


def test_bad_input(result: Result, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of(results_dir(), "mini", "cirr", "mini-clip", "llm", result.id)
    for arguments, said in (
        (["nothing"], "no result 'nothing'"),
        (["ffffffff"], "no result has an id that begins with 'ffffffff'"),
        ([result.id, "--query", "none"], "has no query 'none'"),
    ):
        assert main(["show", *arguments]) == 2
        assert said in capsys.readouterr().err
    (folder / "rewrites.jsonl.gz").write_bytes((folder / "rewrites.jsonl.gz").read_bytes()[:30])
    assert main(["show", result.id]) == 2
    assert "rewrites.jsonl.gz" in (said := capsys.readouterr().err) and said.count("\n") == 1
    (folder / "per_query.parquet").write_bytes(b"no parquet")
    assert main(["show", str(folder)]) == 2
    assert "per_query.parquet" in (said := capsys.readouterr().err) and said.count("\n") == 1
