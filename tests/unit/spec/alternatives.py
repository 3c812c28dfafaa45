"""Other values for the fields of full.yaml whose type does not tell one, and variants for fields that exclude others.

`sorted(declared())` is covered by full.yaml together with these variants: see test_fields.py.
"""

from pathlib import Path
from typing import Any

from pulumi_mlops.spec import Spec, load
from pulumi_mlops.testing.fields import ABSENT, Together, changed

FULL = Path(__file__).with_name("full.yaml")

ALTERNATIVES: dict[str, Any] = {
    "features.views.planes.source": "routes",
    "features.views.planes.entity": Together(
        {"features.views.planes.entity": "airport", "features.entities.plane": ABSENT}
    ),
    "features.views.weather.online": Together(
        {"features.views.weather.online": False, "endpoints[0].enrichment": False}
    ),
    "features.materialization_schedule": "0 * * * *",
    "training.task": Together(
        {
            "training.task": "multiclass",
            "training.positive_class": ABSENT,
            "evaluation.metrics": ["roc_auc_ovr", "log_loss"],
            "evaluation.primary": "roc_auc_ovr",
            "evaluation.threshold": ABSENT,
            "evaluation.floors": {"roc_auc_ovr": 0.65},
            "evaluation.segments[0].floors": {"roc_auc_ovr": 0.6},
            "monitors[0].signals.bias": ABSENT,
        }
    ),
    "training.source": "weather",
    "evaluation.primary": "log_loss",
    "registry.approval": Together(
        {
            "registry.approval": "automatic",
            "registry.approvers": ABSENT,
            "environments.dev.registry": {"approval": "manual"},
        }
    ),
    "endpoints[0].name": Together({"endpoints[0].name": "late", "monitors[0].endpoint": "late"}),
    "endpoints[1].source": "weather",
    "endpoints[1].schedule": "0 5 * * *",
    "monitors[0].name": Together({"monitors[0].name": "watch", "retraining.triggers.drift": ["watch"]}),
    "monitors[0].endpoint": Together(
        {"endpoints": [{"name": "other", "kind": "rest"}], "monitors[0].endpoint": "other"},
    ),
    "monitors[0].signals.bias.column": "distance",
    "retraining.triggers.schedule": "0 5 * * 1",
    "retraining.triggers.new_data.source": "planes",
}
"""Other values by path in full.yaml."""

_VARIANTS: dict[str, Together] = {
    "last": Together({"training.window": {"last": "90d"}}),
    "function": Together(
        {
            "training.function": "flights:train",
            "training.estimator": ABSENT,
            "training.preprocessing": ABSENT,
        }
    ),
    "cloud": Together(
        {
            "governance.regions": ["eu-central-1"],
            "governance.budget": {"monthly_usd": 500, "alert_at": [0.5, 1.0], "contacts": ["ann@example.com"]},
        }
    ),
}


def variants() -> dict[str, Spec]:
    """full.yaml, and the specs that use the fields which its fields exclude, by name."""
    full = load(FULL)
    return {"full": full, **{name: changed(full, "", values) for name, values in _VARIANTS.items()}}
