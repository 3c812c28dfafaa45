"""A high-risk model that is examined for bias neither before nor in use."""

from seats import HIGH_RISK, spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("bias-check-high-risk", "seats"),
}

CHANGES = {
    "evaluation": {"segments": None},
    "monitors": [
        {
            "name": "traffic",
            "endpoint": "live",
            "signals": {"feature_drift": {}},
            "alerts": [{"email": "ada@example.com"}],
        }
    ],
}

mlops.MLStack("seats", spec(HIGH_RISK, CHANGES))
