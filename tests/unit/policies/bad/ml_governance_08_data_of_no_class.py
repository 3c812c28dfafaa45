"""Nobody has said how sensitive the data is."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("dataset-classified", "seats"),
}

CHANGES = {"data": {"sources": {"planes": {"classification": None}}}}

mlops.MLStack("seats", spec(CHANGES))
