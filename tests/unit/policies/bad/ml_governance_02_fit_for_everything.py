"""A model that claims to have no limits."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("model-has-intended-purpose", "seats"),
}

CHANGES = {"identity": {"limitations": None}}

mlops.MLStack("seats", spec(CHANGES))
