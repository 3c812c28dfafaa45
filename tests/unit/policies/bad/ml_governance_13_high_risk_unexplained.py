"""What the predictions of a high-risk model depend on, nobody has measured."""

from seats import HIGH_RISK, spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("explainability-high-risk", "seats"),
}

CHANGES = {"evaluation": {"importance": "none"}}

mlops.MLStack("seats", spec(HIGH_RISK, CHANGES))
