"""What was asked and answered, nobody will ever know; so drift can't be seen either."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("inference-logging", "seats-live"),
    ("monitor-has-threshold", "seats-traffic"),
}

CHANGES = {
    "endpoints": [{"name": "live", "kind": "rest", "port": 8652, "capture": False}],
    "monitors": [
        {
            "name": "traffic",
            "endpoint": "live",
            "signals": {"error_rate": 0.01},
            "alerts": [{"email": "ada@example.com"}],
        }
    ],
}

mlops.MLStack("seats", spec(CHANGES))
