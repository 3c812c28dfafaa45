"""A high-risk model whose records are kept for a month, and its versions for no time that is promised."""

from seats import HIGH_RISK, spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("log-retention-min", "seats"),
    ("log-retention-min", "seats-live"),
    ("technical-file-retention", "seats"),
}

CHANGES = {"governance": {"retention": {"logs": "30d", "technical_file": None}}}

mlops.MLStack("seats", spec(HIGH_RISK, CHANGES))
