"""The day of the review has passed, and the model stays."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("model-review-current", "seats"),
}

CHANGES = {"governance": {"review_by": "2024-05-01"}}

mlops.MLStack("seats", spec(CHANGES))
