"""What the card of the data says: how many of everything, what was rejected and why, and examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from grapebench.files import sha256_json
from grapebench.training.raqo.sets import CCR, PRO, QRE, Row, Solved, Tried, rejection
from grapebench.training.raqo.settings_data import Data
from grapebench.training.raqo.trials import Bounds, Trial

EXAMPLES = 3


def card(
    tried: Tried, solved: Sequence[Solved], rows: Mapping[str, Sequence[Row]], bounds: Bounds, settings: Data,
    made_of: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """As JSON."""
    raw = tried.raw.values()
    ambiguous = sum(map(bounds.fails, raw))
    return {
        "made_of": dict(made_of),
        "queries": len(tried.queries),
        "ambiguity": {
            "unambiguous": sum(map(bounds.finds, raw)),
            "between": sum(not bounds.finds(one) and not bounds.fails(one) for one in raw),
            "ambiguous": ambiguous,
        },
        "rounds": [_round(some, bounds) for some in tried.rounds],
        "solved": {
            "queries": len(solved),
            "unsolved": ambiguous - len(solved),
            "without_concepts": sum(not one.concepts for one in solved),
            "one_rewrite_only": sum(len(one.rewrites) == 1 for one in solved),
        },
        "perturbation": {
            "queries": len({one.query_id for one in tried.perturbed}),
            "tried": len(tried.perturbed),
            **_counted(rejection(one, tried, bounds, settings) for one in tried.perturbed),
        },
        "sets": {
            CCR: {"rows": len(rows[CCR]), "none": sum(not row["concepts"] for row in rows[CCR])},
            QRE: {"rows": len(rows[QRE]), "without_concepts": sum(not row["concepts"] for row in rows[QRE])},
            PRO: {
                "rows": len(rows[PRO]),
                "lengths": _counted(str(len(row["rewrites"])) for row in rows[PRO]),
                "mean_gap": _mean([row["rewards"][0] - row["rewards"][-1] for row in rows[PRO]]),
            },
        },
        "rows_sha256": {name: sha256_json(list(some)) for name, some in rows.items()},
        "concepts": dict(Counter(concept for row in rows[CCR] for concept in row["concepts"]).most_common(20)),
        "examples": {name: _spread(some) for name, some in rows.items()},
    }


def _round(some: Sequence[Trial], bounds: Bounds) -> dict[str, Any]:
    kept = [one for one in some if bounds.keeps(one)]
    return {
        "queries": len({one.query_id for one in some}),
        "texts": len(some),
        "distinct": len({(one.query_id, one.text) for one in some if one.trouble is None}),
        "outcomes": _counted(map(bounds.outcome, some)),
        "solved": len({one.query_id for one in kept}),
        "unusable": _counted(one.trouble for one in some if one.trouble),
        "cut": sum(one.cut for one in some),
        "concepts": _counted(map(_named, some)),
        "prompt_tokens": sum(one.prompt_tokens for one in some),
        "completion_tokens": sum(one.completion_tokens for one in some),
        "seconds": round(sum(one.seconds for one in some), 1),
    }


def _named(trial: Trial) -> str:
    """What came of asking the model for the challenging concepts."""
    if trial.unread is not None:
        return f"unreadable: {trial.unread}"
    if trial.concepts is None:
        return "not asked"
    return "named" if trial.concepts else "None"


def _counted(some: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(some).items()))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _spread(rows: Sequence[Row]) -> list[Row]:
    return [rows[place * len(rows) // EXAMPLES] for place in range(min(EXAMPLES, len(rows)))]
