"""A high-risk model that nobody watches or may stop, and that uses personal data unassessed."""

from seats import HIGH_RISK, spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("human-oversight-declared", "seats"),
    ("dpia-reference", "seats"),
}

CHANGES = {
    "data": {"sources": {"planes": {"classification": "personal", "purpose": "Boarding.", "retention": "365d"}}},
    "governance": {"oversight": None},
}

mlops.MLStack("seats", spec(HIGH_RISK, CHANGES))
