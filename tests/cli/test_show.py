from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grapebench import files
from grapebench.cli.main import main
from grapebench.evaluation import trec
from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.leaderboard import artifacts, store
from grapebench.leaderboard.results import (
    BENCHMARK,
    Cost,
    Data,
    Delta,
    Environment,
    Inflation,
    Interval,
    Result,
    RetrieverRecord,
    RewriterRecord,
    Seen,
    Similarities,
    result_id,
)
from grapebench.leaderboard.store import folder_of, publish, resolve
from grapebench.paths import results_dir
from grapebench.records import Query, Rewrite

IMAGES = ["first", "target", "[b]third"]
RANKS = {"gain": (100, 1), "more": (3, 2), "same": (5, 5), "loss": (1, 40), "[bold]odd": (7, 7)}


Save = Callable[..., Result]


@pytest.fixture
def save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Save:
    """Puts a small result into the user's store."""
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path))

    def saved(
        protocol: str = "composed", *, labelled: bool = True, more: dict[str, float] | None = None,
        columns: dict[str, Any] | None = None, raw: bool = False, listed: list[list[float]] | None = None,
        **changes: Any,
    ) -> Result:  # fmt: skip
        determinants = {"made": protocol, "raw": "yes"} if raw else {"made": protocol}
        name = result_id(determinants)
        folder = folder_of(results_dir(), "mini", "wishes", "mini-clip", "llm", name)
        folder.mkdir(parents=True)
        queries = [Query(query, f"text of {query}" + " word" * 200, ("target",)) for query in RANKS]
        rewrites = [
            Rewrite(
                query,
                texts=(queries[number].text if raw or query == "same" else f"rewrite of {query}",),
                raw="said <so>",
                trace={"reference caption": "a red star", "concepts": "star; red"},
                fallback="empty" if query == "gain" else None,
            )
            for number, query in enumerate(RANKS)
        ]
        if listed is not None:
            # Scores of the same images for every query, best first.
            columns_of, scores = (np.array([row] * len(RANKS)) for row in zip(*listed, strict=True))
            trec.write_run(folder / "run.trec.gz", list(RANKS), IMAGES, columns_of.astype(int), scores)
        artifacts.write_queries(folder / "queries.jsonl.gz", queries)
        artifacts.write_rewrites(folder / "rewrites.jsonl.gz", queries, rewrites)
        keys = (*PROTOCOLS[protocol].keys, *(more or {})) if labelled else ()
        if labelled:
            after = np.array([rank for _, rank in RANKS.values()], dtype=np.int32)
            before = np.array([rank for rank, _ in RANKS.values()], dtype=np.int32)
            found = {
                "query_id": list(RANKS), "language": ["en"] * 5, "positive": ["target"] * 5,
                "cluster": ["target"] * 5, "rank": after, "rank_before": before, "above": after - 1,
                "equal": after * 0, "candidates": after * 0 + 1000,
            }  # fmt: skip
            artifacts.write_table(folder / "per_query.parquet", found | (columns or {}))
            cosines = {"query_id": list(RANKS), "similarity_positive": np.full(5, np.nan, np.float32)}
            artifacts.write_table(folder / "similarities.parquet", cosines)
        figures = Similarities(positive=0.3, others=0.1, top_others=None, margin=0.05)
        values: dict[str, Any] = {
            "id": name,
            "determinants": determinants,
            "suite": "mini",
            "task": "wishes",
            "family": "compose",
            "benchmark": BENCHMARK,
            "revision": 1,
            "protocol": protocol,
            "split": "test1",
            "seed": 0,
            "retriever": RetrieverRecord(name="mini-clip", fingerprint="f"),
            "rewriter": RewriterRecord(name="llm", title="LLM", mechanism="lm", fingerprint="f"),
            "queries": 5,
            "gallery": 1001,
            "labelled": labelled,
            "metrics": dict.fromkeys(keys, 0.25) | (more or {}),
            "metrics_before": dict.fromkeys(keys, 0.2),
            "intervals": dict.fromkeys(keys, Interval(low=0.1, high=0.4)),
            "deltas": dict.fromkeys(keys, Delta(value=0.05, low=-0.1, high=0.2)),
            "ties": 0,
            "duplicates": 0,
            "fallbacks": {"empty": 1},
            "undetected": {"refusal": 2, "empty": 1},
            "inflation": Inflation(before=figures, after=figures) if labelled else None,
            "cost": Cost(
                prompt_tokens=10, completion_tokens=5, rewrite_seconds=1, encode_seconds=1, rewritten=5,
                ms_per_query=200,
            ),
            "environment": Environment(
                grapebench="0", commit=None, dirty=None, python="3", packages={}, platform="x", cpu="y", gpu=None
            ),
            "command": "grapebench run --task wishes",
            "created": "2025-01-01T00:00:00Z",
            "data": Data(dataset="d", images="i"),
            "files": {path.name: files.sha256_file(path) for path in sorted(folder.iterdir())},
        }  # fmt: skip
        if labelled and PROTOCOLS[protocol].relevance == "own":
            values["metrics"] |= {"median_rank": 5}
            values["metrics_before"] |= {"median_rank": 6}
        made = Result(**values | changes)
        (folder / "result.json").write_text(made.model_dump_json())
        return made

    return saved


@pytest.fixture
def result(save: Save) -> Result:
    subset = {"subset_rank": np.full(5, 2), "subset_rank_before": np.full(5, 3)}
    return save(columns={**subset, "fallback": ["empty", None, None, None, None]})


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
    for wanted in ("20.0 → 25.0 [10.0, 40.0]", "+5.0 [-10.0, +20.0]", "100 → 1 of 1,000", "rewrite of loss", "empty 1",
                   "6 → 5", "3 → 2", "protocol composed"):  # fmt: skip
        assert wanted in text
    assert "Query [bold]odd" in text, "text of a result is not markup"
    assert "said <so>" not in text and " …" in text
    assert text.count("star; red") == 5 and "empty 1, refusal 2" in text and "a red star" not in text


def test_one_query_in_full(result: Result, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", result.id, "--query", "more"]) == 0
    text = capsys.readouterr().out
    assert "said <so>" in text and "a red star" in text and "3 → 2" in text
    assert text.count("star; red") == 1
    assert text.count("word") == 200 and "rewrite of gain" not in text
    assert "▲ won" in text and "Right image" in text
    assert "▼ lost" in " ".join(lines_of(capsys, result.id, "--query", "loss"))
    assert "= tied" in " ".join(lines_of(capsys, result.id, "--query", "[bold]odd"))
    assert "Rewrite none: searched as it came" in lines_of(capsys, result.id, "--query", "same")


def test_the_best_images_of_one_query(save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = save(listed=[[1, 0.75], [2, 0.5], [0, 0.25]])
    shown = lines_of(capsys, made.id, "--query", "more")
    assert "1 ✓ target 0.7500" in shown and "2 [b]third 0.5000" in shown and "✓ is the right image." in shown
    said = " ".join(shown)
    assert "no run of the raw query text is at hand; the result's command with --rewriter identity makes one" in said
    # Searched as it came: its own search is that of the raw text.
    assert "1 ✓ target 0.7500 ✓ target 0.7500" in lines_of(capsys, made.id, "--query", "same")
    raw = save(raw=True, listed=[[0, 0.5], [1, 0.125]])
    shown = lines_of(capsys, made.id, "--query", "more")
    assert "1 first 0.5000 ✓ target 0.7500" in shown and "3 first 0.2500" in shown
    assert not any("at hand" in line for line in shown)
    assert main(["show", made.id, "--query", "more", "--json"]) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[1])
    assert row["best_before"] == [{"image": "first", "score": 0.5}, {"image": "target", "score": 0.125}]
    assert [one["image"] for one in row["best"]] == ["target", "[b]third", "first"]
    # A published result has no run, but the user's own of it will do.
    published = publish(resolve(made.id, [results_dir()]), tmp_path / "board")
    assert "1 first 0.5000 ✓ target 0.7500" in lines_of(capsys, str(published), "--query", "more")
    for one in (made, raw):
        (resolve(one.id, [results_dir()]) / "run.trec.gz").write_bytes(b"another")
    said = " ".join(lines_of(capsys, made.id, "--query", "more"))
    assert "The best images after: no run is at hand; the result's command makes one." in said
    assert "0.7500" not in said


def test_without_labels_no_image_is_marked(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    made = save(labelled=False, listed=[[1, 0.75]])
    shown = lines_of(capsys, made.id, "--query", "more")
    assert "1 target 0.7500" in shown and not any("✓" in line or "osine" in line for line in shown)


def test_similarities_of_one_query(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    made = save()
    folder = folder_of(results_dir(), "mini", "wishes", "mini-clip", "llm", made.id)
    values = np.float32([0.5, 0.25, 0.125, 0, np.nan])
    cosines = {f"similarity_{name}": values for name in ("positive", "positive_before", "margin", "margin_before")}
    artifacts.write_table(folder / "similarities.parquet", {"query_id": list(RANKS), **cosines})
    shown = lines_of(capsys, made.id, "--query", "more")
    assert "Cosine: right image 0.250 → 0.250" in shown and "Cosine: margin 0.250 → 0.250" in shown
    assert "Cosine: margin – → –" in lines_of(capsys, made.id, "--query", "[bold]odd"), "too few others to tell"
    (folder / "similarities.parquet").unlink()
    said = " ".join(lines_of(capsys, made.id, "--query", "more"))
    assert "Cosines: not published with this result; the result's command makes them." in said


def test_a_rewrite_of_several_parts_is_shown_part_by_part(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    made = save()
    folder = folder_of(results_dir(), "mini", "wishes", "mini-clip", "llm", made.id)
    queries = [Query(query, "text", ("target",)) for query in RANKS]
    rewrites = [Rewrite(query, texts=("a star", "[i]a moon"), images=("first",), vectors=((1.0,),)) for query in RANKS]
    artifacts.write_rewrites(folder / "rewrites.jsonl.gz", queries, rewrites)
    shown = lines_of(capsys, made.id, "--query", "more")
    place = shown.index("Rewrite 1. a star")
    assert shown[place + 1 : place + 4] == ["2. [i]a moon", "3. <image first>", "4. <vector>"]


def test_it_is_drawn(save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = save()
    assert main(["show", made.id, "--plot", str(tmp_path / "found.png")]) == 0
    assert (tmp_path / "found.png").read_bytes().startswith(b"\x89PNG")
    hidden = save("retrieval", labelled=False)
    capsys.readouterr()
    assert main(["show", hidden.id, "--plot", str(tmp_path / "hidden.png")]) == 2
    captured = capsys.readouterr()
    assert "the labels of wishes test1 are not public: there is nothing to draw" in captured.err and not captured.out
    assert main(["show", made.id, "--plot", str(tmp_path / "found.jpegg")]) == 2
    assert "a picture's name ends in its format" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["found.png"]


def test_a_published_result_is_shown_as_far_as_it_goes(
    result: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = publish(resolve(result.id, [results_dir()]), tmp_path / "board")
    assert main(["show", str(folder), "--limit", "1"]) == 0
    text = capsys.readouterr().out
    assert "rewrite of gain" in text and "text of gain" not in text and "100 → 1" in text
    said = " ".join(lines_of(capsys, str(folder), "--query", "gain"))
    assert "Query the text is not published with this result; the result's command makes the whole" in said
    (folder / "per_query.parquet").unlink()
    assert main(["show", str(folder)]) == 2
    assert "holds no ranks; its command makes the whole result" in capsys.readouterr().err


def lines_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["show", *arguments]) == 0
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_where_a_whole_category_is_right_average_precision_counts(
    save: Save, capsys: pytest.CaptureFixture[str]
) -> None:
    after, before = np.array([0.5, 0.1, 0.3, 0.2, 0.75]), np.array([0.4, 0.3, 0.3, 0.1, 0.25])
    made = save("category-map", columns={"average_precision": after, "average_precision_before": before})
    lines = lines_of(capsys, made.id)
    assert "mAP 20.0 → 25.0 [10.0, 40.0] Δ +5.0 [-10.0, +20.0]" in lines
    assert "image→text mAP 20.0 → 25.0 [10.0, 40.0] Δ +5.0 [-10.0, +20.0]" in lines
    assert not any(line.startswith("Median rank") for line in lines)
    assert "Average precision 25.0 → 75.0 ▲ won" in lines
    order = [line.split()[1] for line in lines if line.startswith("Query ") and "text of" not in line]
    assert order == ["[bold]odd", "loss", "gain", "same", "more"], "by the gain in average precision"


def test_graded_ranks_are_shown_by_grade(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    columns = {
        "rank_grade_0.5": [3, None, 1, 1, 1], "rank_grade_1": [1, 2, 5, 40, 7],
        "rank_grade_0.5_before": [9, None, 1, 1, 1], "rank_grade_1_before": [100, 3, 5, 1, 7],
        "subset_rank_grade_1": [1] * 5, "subset_rank_grade_1_before": [4] * 5,
    }  # fmt: skip
    made = save("graded", columns=columns)
    shown = lines_of(capsys, made.id, "--query", "gain")
    for wanted in ("Rank, grade ≥ 0.5 9 → 3", "Rank, grade ≥ 1 100 → 1", "Subset rank, grade ≥ 1 4 → 1"):
        assert wanted in shown
    assert "Rank, grade ≥ 0.5" not in " ".join(lines_of(capsys, made.id, "--query", "more")), (
        "it has none of that grade"
    )


def test_every_category_is_shown_under_its_group(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    groups = {"1-panda": "Animals", "2-cow": "Animals", "12-milk": "Drinks", "3-rice": "Food"}
    names = ["Food", "12-milk", "Animals", "3-rice", "2-cow", "Drinks", "1-panda"]
    more = {f"R@10/{name}": 0.5 for name in names}
    made = save("categories", more=more, groups=groups, columns={"category": ["2-cow"] * 5})
    assert main(["show", made.id]) == 0
    out = capsys.readouterr().out
    table = out[out.index("R@10 by category") :].splitlines()[1:8]
    assert [line.split("  20.0")[0].rstrip() for line in table] == [
        "Animals", "  1-panda", "  2-cow", "Drinks", "  12-milk", "Food", "  3-rice",
    ]  # fmt: skip
    assert "20.0 → 50.0 [10.0, 40.0]   Δ +5.0 [-10.0, +20.0]" in table[1]
    assert "Query gain (en, 2-cow)" in out
    assert "by category" not in " ".join(lines_of(capsys, made.id, "--query", "gain")), "one query was asked for"


def test_every_language_is_shown(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    made = save("multilingual", more={"R@10/zh": 0.1, "R@10/de": 0.3, "i2t_R@10/de": 0.2})
    lines = lines_of(capsys, made.id)
    start = lines.index("R@10 by language")
    assert [line.split()[0] for line in lines[start + 1 : start + 3]] == ["de", "zh"]


def test_without_labels_queries_are_listed_without_ranks(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    made = save(labelled=False)
    lines = lines_of(capsys, made.id, "--limit", "3")
    assert "Labels not public: nothing is measured" in lines
    titles = [line for line in lines if line.startswith("Query ") and "text of" not in line]
    assert titles == ["Query gain", "Query more", "Query same"]
    assert "Rewrite rewrite of more" in lines and "Fallback empty" in lines
    assert not any(line.startswith(("Rank", "Median", "Ties", "Cosine", "R@")) for line in lines)
    assert main(["show", made.id, "--json", "--query", "loss"]) == 0
    head, row = map(json.loads, capsys.readouterr().out.splitlines())
    assert head["labelled"] is False and row["rewrite"] == "rewrite of loss" and "rank" not in row


def test_what_was_trained_on_is_said(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    made = save(seen=Seen(images=12, gallery=1001, sources=["cirr train", "cirr val"]))
    assert "Not ranked had seen 12 of the 1,001 images (cirr train, cirr val)" in lines_of(capsys, made.id)


def test_bad_input(result: Result, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of(results_dir(), "mini", "wishes", "mini-clip", "llm", result.id)
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


def test_similarities_of_other_queries_are_refused(result: Result, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of(results_dir(), "mini", "wishes", "mini-clip", "llm", result.id)
    artifacts.write_table(folder / "similarities.parquet", {"query_id": ["another"] * 5})
    assert main(["show", result.id, "--json"]) == 2
    assert "similarities.parquet" in (said := capsys.readouterr().err) and said.count("\n") == 1
    (folder / "similarities.parquet").unlink()
    assert main(["show", result.id, "--json"]) == 0, "a published result may lack them"


def test_a_published_result_of_the_miniature_is_shown_as_on_the_page(
    fresh_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Texts and images from the generated data, the best images by searching again."""
    (folder,) = (store.published_dir() / "mini" / "cirr" / "mini-clip" / "grape").iterdir()
    assert main(["show", str(folder), "--query", "7", "--json"]) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[1])
    assert row["text"] == "the calabash should be large and instead of the parasol show a luminary"
    assert row["reference"].rpartition("-")[0] == row["positive"].rpartition("-")[0], "of the same six look-alikes"
    assert row["best"][row["rank"] - 1]["image"] == row["positive"]
    assert row["rank_before"] > 10 and row["positive"] not in [one["image"] for one in row["best_before"]]
    assert {len(row[name]) for name in ("best", "best_before")} == {10}
    assert all(one["image"] != row["reference"] for name in ("best", "best_before") for one in row[name])
