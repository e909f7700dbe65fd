"""What a result says: the pydantic model of result.json, and its JSON Schema."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from grapebench.cards import Family, Suite
from grapebench.files import sha256_json

SCHEMA_VERSION = 3
BENCHMARK = "1.1"
"""Version of the rules by which all tasks are measured: raised where the same rewrites of the same data would come to
other figures; its first number where scores of published rows move, the second where only their intervals and tests do.
What changes one task alone raises its card's revision. Results are compared within both."""
NEW_RULES = {
    "1.1": "queries that share a positive, a reference image, look-alikes or an article are a cluster; a miss scores 0",
}
"""What each version of the rules changed, for a reader who finds that a row moved."""
RESULT_FILE = "result.json"
SCHEMA_FILE = "result.schema.json"
QUERIES_FILE = "queries.jsonl.gz"
REWRITES_FILE = "rewrites.jsonl.gz"
PER_QUERY_FILE = "per_query.parquet"
SIMILARITIES_FILE = "similarities.parquet"
PER_IMAGE_FILE = "per_image.parquet"
RUN_FILE = "run.trec.gz"
SUBSET_RUN_FILE = "subset.trec.gz"
I2T_RUN_FILE = "image_to_text.trec.gz"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class RetrieverRecord(Part):
    """The frozen dual encoder that searched."""

    name: str
    """The card's name, or MODEL@PRETRAINED, or the name of a directory."""
    fingerprint: str
    """Hash of all that changes a vector: weights, preprocessing, tokeniser, precision, device kind."""
    description: dict[str, Any] = {}
    """Model, hash of the weights, precision, device, dimension, …"""


class RewriterRecord(Part):
    """What turned the queries into something else."""

    name: str
    """The card's name, or the name of the file it came from."""
    title: str
    """The card's title."""
    mechanism: str
    """The registry's name of the code behind the card."""
    fingerprint: str
    """Hash of all that changes a rewrite: card, prompts, model weights, sampling."""
    across_seeds: str | None = None
    """Where each seed has weights of its own, one training a seed: hash of the card that they share, so that they make
    one row; null where one fingerprint serves all seeds."""
    oracle: bool = False
    """It looks at the answer: shown apart, never ranked."""
    language_model: bool | None = None
    """Whether a generative model wrote any of what was searched, or a caption that it was made from; null where that
    is not known."""
    captioner: str | None = None
    """What put the reference images of composed queries into words; null where nothing did."""
    description: dict[str, Any] = {}
    """Model, hash of the weights, prompts, sampling, …"""


class Interval(Part):
    """A 95 % interval by a bootstrap over clusters of queries."""

    low: float
    """2.5 % of the resamples lie below."""
    high: float
    """2.5 % of the resamples lie above."""


class Delta(Part):
    """A paired difference to searching the raw query text (`identity`), on the same queries."""

    value: float
    """After minus before, as a fraction."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end of its 95 % interval."""


class Similarities(Part):
    """Mean cosines over the queries; null where no query has the figure."""

    positive: float | None
    """To the best positive."""
    others: float | None
    """To all candidates that are not positive."""
    top_others: float | None
    """To the ten most similar candidates that are not positive."""
    margin: float | None
    """To the best positive, minus to the most similar candidate that is not positive."""


class Inflation(Part):
    """Similarity up while the margin or recall falls is inflation."""

    before: Similarities
    """With the raw query text."""
    after: Similarities
    """With the rewrites."""


class CaptionCost(Part):
    """What putting reference images into words took in this run; captions that were stored cost nothing."""

    images: int = 0
    """How many images the captioner was asked for."""
    prompt_tokens: int = 0
    """Tokens that its model read."""
    completion_tokens: int = 0
    """Tokens that it wrote."""
    money: float = 0.0
    """In the currency of its prices; 0 where no price is known."""
    seconds: float = 0.0
    """Wall time."""


class Cost(Part):
    """What the rewriting took. Times are of the run that made the rewrites, and no part of the result's identity."""

    prompt_tokens: int
    """Tokens that the rewriter's model read, over all queries."""
    completion_tokens: int
    """Tokens that it wrote."""
    rewrite_seconds: float
    """Wall time of rewriting in this run; near 0 where the rewrites were stored already."""
    encode_seconds: float
    """Wall time of encoding the gallery and the queries in this run; near 0 where the vectors were stored."""
    rewritten: int
    """How many queries this run rewrote itself; the others were stored by an earlier one."""
    ms_per_query: float | None
    """Wall time of asking in milliseconds a query, whichever run asked; null where that is not known."""
    money: float = 0.0
    """What the answers cost over all queries, in the currency of the card's prices; 0 where no price is known."""
    captions: CaptionCost | None = None
    """What the captions of reference images took; null where nothing needed any."""


class Environment(Part):
    """Where the result was made."""

    grapebench: str
    """Version of the package."""
    commit: str | None
    """The checkout's commit; null outside a checkout."""
    dirty: bool | None
    """Whether the checkout held changes that the commit does not; null outside a checkout."""
    python: str
    """Version of Python."""
    packages: dict[str, str]
    """Versions of the libraries that the figures depend on."""
    platform: str
    """Operating system and machine type."""
    cpu: str
    """The processor's name."""
    gpu: str | None
    """The accelerator that was used; null on the CPU."""


class Data(Part):
    """What was searched, by hash."""

    dataset: str
    """Hash of queries, labels, exclusions, subsets and gallery ids."""
    sources: str | None = None
    """Hash of what the queries' texts were taken from (articles); null where the data do not say."""
    images: str | None
    """Hash over the content hashes of the gallery's images, in gallery order; null where only vectors were given."""
    files: dict[str, str] = {}
    """SHA-256 of each annotation file, by its path under the data folder."""
    notes: list[str] = []
    """Quirks of the files that a reader of the numbers should know of."""


class Seen(Part):
    """Gallery images that the rewriter had seen, in training or beside it, where the run was allowed all the same."""

    images: int
    """How many of the images that were searched."""
    gallery: int
    """How many images were searched."""
    sources: list[str]
    """Where it had seen them: tasks and splits."""


class Result(Part):
    """One rewriter on one split of one task with one retriever and one seed: `result.json`."""

    schema_version: int = SCHEMA_VERSION
    """Version of this layout."""
    id: str
    """First 16 hex digits of the hash of `determinants`."""
    benchmark: str = Field(pattern=r"^\d+\.\d+$")
    """Version of the rules of measurement (`BENCHMARK`); results compare only within one."""
    suite: Suite
    """'mini' (the generated miniature) or 'full' (the real benchmark); never compared with each other."""
    task: str
    """Name of the task card."""
    family: Family
    """What rewriting has to do."""
    revision: int
    """The task card's revision; results compare only within one."""
    protocol: str
    """Which figures are reported: a name in `grapebench.evaluation.protocols`."""
    split: str
    """The split that was searched."""
    limit: int | None = None
    """Only the first so many queries were asked; null means all of them."""
    seed: int
    """Of the rewriter's sampling."""
    retriever: RetrieverRecord
    """What searched."""
    rewriter: RewriterRecord
    """What rewrote."""
    queries: int
    """How many queries were asked."""
    clusters: int | None = None
    """How many clusters the queries are in: those that share a positive, a reference image, a set of look-alikes or an
    article are one, and tests and intervals count it as one observation. Null without labels."""
    largest_cluster: int | None = None
    """How many queries the largest of them holds; null without labels."""
    gallery: int
    """How many images were searched."""
    labelled: bool = True
    """False where the split's labels are not public: then there are run files, but no figures and no ranks."""
    seen: Seen | None = None
    """Set where the rewriter had seen images of the gallery, which the user allowed; null where it had not."""
    groups: dict[str, str] = {}
    """The group of each category, where figures are by category: `R@1/<name>` is of a category or of a group."""
    metrics: dict[str, float]
    """Figures after rewriting, as fractions (`R@1`, `R_subset@1`, `R@1/de`, `i2t_R@1`, `mAP`, `MRR`); `median_rank` is
    a rank. Those that begin with `i2t_` are of the way back, from each image to its texts."""
    metrics_before: dict[str, float]
    """The same figures for the raw query text."""
    intervals: dict[str, Interval]
    """95 % interval of each of `metrics`, but for `median_rank`."""
    deltas: dict[str, Delta]
    """Difference of each of `metrics` to the raw query text, but for `median_rank`."""
    ties: float
    """Share of queries where an image that is no positive scored exactly as the best positive; 0 without labels."""
    duplicates: int | None
    """Gallery images whose content is that of another one in the gallery; null where only vectors were given."""
    fallbacks: dict[str, int]
    """How many queries were searched as they came because the rewrite could not be used, by reason."""
    undetected: dict[str, int] = {}
    """How many queries were rewritten without their challenging concepts, because these were asked for and could not be
    read, by reason."""
    unanswered: dict[str, int] = {}
    """How many answers never came, by reason, and of a captioner captions: the same command asks for these again."""
    cut: dict[str, int] = {}
    """How many queries had something cut off: 'prompt' (the query's end did not fit the model) or 'output' (the answer
    reached its token limit, and is used as it is). 'caption prompt' and 'caption output' count reference images."""
    partial: dict[str, int] = {}
    """How many queries were searched with fewer answers than were asked for, by the commonest reason why the others
    could not be used."""
    uncaptioned: dict[str, int] = {}
    """How many reference images have no caption, by reason, so that their queries were rewritten with an empty one."""
    inflation: Inflation | None
    """What rewriting did to the similarities; null without labels."""
    cost: Cost
    """Tokens, time and money."""
    environment: Environment
    """Versions and hardware."""
    command: str
    """The command that makes this result."""
    created: str
    """When it was made: UTC, ISO 8601."""
    data: Data
    """Queries, labels, gallery and pixels, by hash."""
    determinants: dict[str, Any]
    """Everything that `id` is the hash of."""
    files: dict[str, str]
    """SHA-256 of each file beside this one. A published result leaves out what can be made again and keeps its hash."""

    def summary(self) -> dict[str, Any]:
        """The line that `grapebench run --json` prints for it."""
        return {
            "schema_version": self.schema_version,
            "id": self.id,
            "benchmark": self.benchmark,
            "suite": self.suite,
            "task": self.task,
            "protocol": self.protocol,
            "split": self.split,
            "limit": self.limit,
            "retriever": self.retriever.name,
            "rewriter": self.rewriter.name,
            "oracle": self.rewriter.oracle,
            "seed": self.seed,
            "queries": self.queries,
            "clusters": self.clusters,
            "largest_cluster": self.largest_cluster,
            "gallery": self.gallery,
            "labelled": self.labelled,
            "seen": None if self.seen is None else self.seen.model_dump(),
            "metrics": self.metrics,
            "metrics_before": self.metrics_before,
            "intervals": {key: [bounds.low, bounds.high] for key, bounds in self.intervals.items()},
            "deltas": {key: [delta.value, delta.low, delta.high] for key, delta in self.deltas.items()},
            "ties": self.ties,
            "duplicates": self.duplicates,
            "fallbacks": self.fallbacks,
            "undetected": self.undetected,
            "unanswered": self.unanswered,
            "cut": self.cut,
            "partial": self.partial,
            "uncaptioned": self.uncaptioned,
        }

    @property
    def fallback_share(self) -> float:
        """Share of the queries that were searched as they came."""
        return sum(self.fallbacks.values()) / self.queries

    @property
    def cut_share(self) -> float:
        """Share of the queries that had something cut off, as far as it is known: prompt and answer of one query may
        both be cut, and captions are not of queries."""
        return max(self.cut.get("prompt", 0), self.cut.get("output", 0)) / self.queries


def result_id(determinants: dict[str, Any]) -> str:
    """The name of a result's folder: 16 hex digits."""
    return sha256_json(determinants)[:16]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of result.json (draft 2020-12)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Result.model_json_schema()


def schema_text() -> str:
    """The same as the file that is published."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
