"""Health information with neither justification nor assessment, and records that are gone within a year."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("special-data-justified", "seats"),
    ("dpia-reference", "seats"),
    ("log-retention-phi", "seats"),
    ("log-retention-phi", "seats-live"),
}

CHANGES = {
    "data": {
        "sources": {"planes": {"classification": "health", "purpose": "Care.", "retention": "365d"}},
    }
}

mlops.MLStack("seats", spec(CHANGES))
