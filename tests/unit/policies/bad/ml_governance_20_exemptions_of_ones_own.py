"""Exemptions that the owner approved, that have expired, and that excuse nothing."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("exemption-valid", ""),
    ("model-has-owner", "seats"),
    ("model-has-intended-purpose", "seats"),
}

CHANGES = {
    "identity": {"contact": None, "limitations": None},
    "governance": {
        "exemptions": [
            {
                "rule": "model-has-owner",
                "resource": "seats",
                "reason": "The contact is known to everybody.",
                "approver": "Ada",
                "ticket": "RISK-1",
                "expires": "2099-01-01",
            },
            {
                "rule": "model-has-intended-purpose",
                "resource": "seats",
                "reason": "Limits are being written.",
                "approver": "grace",
                "ticket": "RISK-2",
                "expires": "2024-05-01",
            },
            {
                "rule": "endpoint-has-monitor",
                "resource": "seats-*",
                "reason": "The monitor comes next month.",
                "approver": "grace",
                "ticket": "RISK-3",
                "expires": "2099-01-01",
            },
        ]
    },
}

mlops.MLStack("seats", spec(CHANGES))
