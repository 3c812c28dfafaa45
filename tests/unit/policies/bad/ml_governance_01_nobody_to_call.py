"""Whom to call when the model goes wrong, nobody has written down."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("model-has-owner", "seats"),
}

CHANGES = {"identity": {"contact": None}}

mlops.MLStack("seats", spec(CHANGES))
