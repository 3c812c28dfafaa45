"""Personal data, kept for ever and for no purpose that is stated."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("dataset-classified", "seats"),
    ("dataset-retention", "seats"),
}

CHANGES = {"data": {"sources": {"planes": {"classification": "personal"}}}}

mlops.MLStack("seats", spec(CHANGES))
