"""A high-risk model whose card says only what the record of its run could fill in."""

from seats import HIGH_RISK, spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("model-has-card", "seats"),
}

CHANGES = {"registry": {"card": None}}

mlops.MLStack("seats", spec(HIGH_RISK, CHANGES))
