"""A monitor that knows how fast the answers come, and not whether they are still right."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("monitor-has-threshold", "seats-traffic"),
}

CHANGES = {
    "monitors": [
        {
            "name": "traffic",
            "endpoint": "live",
            "signals": {"latency_p99": "100ms"},
            "alerts": [{"email": "ada@example.com"}],
        }
    ]
}

mlops.MLStack("seats", spec(CHANGES))
