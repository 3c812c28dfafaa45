"""Approval is automatic, and stays so in production."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("model-approval-gate", "seats"),
}

CHANGES = {
    "registry": {"approval": "automatic", "approvers": None},
    "environments": {"prod": {"endpoints": [{"name": "live", "kind": "rest", "port": 8653}]}},
}

mlops.MLStack("seats", spec(CHANGES).in_environment("prod"))
