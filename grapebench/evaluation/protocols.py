"""What each task reports, from ranks alone: the same figures for our own runs and for anybody's run file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grapebench.errors import UserError
from grapebench.evaluation import metrics


@dataclass(frozen=True)
class Protocol:
    """Which figures a task reports."""

    name: str
    ks: tuple[int, ...]
    """R@k over the whole gallery."""
    subset_ks: tuple[int, ...] = ()
    """R_subset@k among each query's look-alikes."""
    per_language: bool = False
    """Report each language as `R@1/de` too; the headline figures are then the mean over the languages."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the headline figures that are means over queries, in the order in which they are shown."""
        return (*(f"R@{k}" for k in self.ks), *(f"R_subset@{k}" for k in self.subset_ks), "MRR")


PROTOCOLS: dict[str, Protocol] = {
    "retrieval": Protocol("retrieval", (1, 5, 10)),
    "composed": Protocol("composed", (1, 5, 10, 50), subset_ks=(1, 2, 3)),
    "multilingual": Protocol("multilingual", (1, 5, 10), per_language=True),
}


def protocol_named(name: str) -> Protocol:
    """The protocol of that name; UserError where there is none."""
    if name not in PROTOCOLS:
        raise UserError(f"unknown protocol {name!r}", fix=f"known are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def per_query_values(
    protocol: Protocol, rank: np.ndarray, subset_rank: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The value of each headline figure for each query: `key -> (queries,)` float64, in the order of `keys`."""
    values = {f"R@{k}": metrics.success_at(rank, k) for k in protocol.ks}
    if protocol.subset_ks and subset_rank is not None:
        values |= {f"R_subset@{k}": metrics.success_at(subset_rank, k) for k in protocol.subset_ks}
    return values | {"MRR": metrics.reciprocal_rank(rank)}


def metrics_from_ranks(
    protocol: Protocol,
    rank: np.ndarray,
    subset_rank: np.ndarray | None = None,
    languages: Sequence[str] | None = None,
) -> dict[str, float]:
    """All figures of a protocol, as fractions; `median_rank` is a rank.

    `rank` and `subset_rank` are `(queries,)`, starting at 1; `languages` names each query's language and is needed
    where the protocol reports per language. There `R@k` and `MRR` are means over the languages, each language
    counting the same however many queries it has, and `R@k/<language>` stands beside them.
    """
    if len(rank) == 0:
        raise UserError("there are no queries to score")
    values = per_query_values(protocol, rank, subset_rank)
    if not protocol.per_language:
        found = {key: metrics.mean(column) for key, column in values.items()}
        return found | {"median_rank": metrics.median_rank(rank)}
    if languages is None or len(languages) != len(rank):
        raise ValueError("the protocol reports per language: one language for each query is needed")
    tags = np.asarray(languages)
    names = sorted(set(languages))
    each = {name: {key: metrics.mean(column[tags == name]) for key, column in values.items()} for name in names}
    found = {key: metrics.mean(np.array([each[name][key] for name in names])) for key in values}
    found["median_rank"] = metrics.median_rank(rank)
    return found | {f"{key}/{name}": each[name][key] for name in names for key in values}
