"""Alerts go to a webhook and to the log: nobody is named who reads them."""

from seats import spec

import pulumi_mlops as mlops

PACKS = ["ml-governance"]
EXPECTED = {
    ("monitor-has-alert-route", "seats"),
    ("monitor-has-alert-route", "seats-traffic"),
}

CHANGES = {
    "monitors": [
        {
            "name": "traffic",
            "endpoint": "live",
            "signals": {"feature_drift": {}},
            "alerts": [{"webhook": "https://alerts.example.com/mlops"}],
        }
    ],
    "retraining": {"alerts": None},
}

mlops.MLStack("seats", spec(CHANGES))
