"""Metrics are computed and shown, and decide nothing."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("evaluation-gate-before-deploy", "seats"),
}

CHANGES = {"evaluation": {"floors": None, "segments": [{"column": "engine"}]}}

mlops.MLStack("seats", spec(CHANGES))
