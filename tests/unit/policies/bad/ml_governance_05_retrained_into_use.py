"""Every Monday a new model is in use, however bad it may be."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("evaluation-gate-before-deploy", "seats"),
    ("retraining-gated", "seats"),
}

CHANGES = {
    "evaluation": {"floors": None, "segments": None, "champion": False},
    "registry": {"approval": "automatic", "approvers": None},
}

mlops.MLStack("seats", spec(CHANGES))
