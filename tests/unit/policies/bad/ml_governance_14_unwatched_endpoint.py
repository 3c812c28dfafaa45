"""One of two endpoints is watched."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("endpoint-has-monitor", "seats-spare"),
}

CHANGES = {
    "endpoints": [
        {"name": "live", "kind": "rest", "port": 8652},
        {"name": "spare", "kind": "rest", "port": 8653},
        {"name": "nightly", "kind": "batch", "source": "planes"},
    ]
}

mlops.MLStack("seats", spec(CHANGES))
