"""A language model from a public hub, served as it is there today, beside a service in good order."""

import pulumi_kubernetes as k8s

PACKS = ["ml-governance"]
EXPECTED = {
    ("deploy-immutable-version", "summaries"),
    ("endpoint-has-monitor", "summaries"),
    ("endpoint-has-rollback", "summaries"),
    ("model-registered", "summaries"),
    ("third-party-model-provenance", "summaries"),
}
LABELS = {"owner": "ada", "contact": "ada", "risk-tier": "limited"}


def service(name: str, storage: str, **predictor: object) -> None:
    """An InferenceService that logs what it is asked."""
    k8s.apiextensions.CustomResource(
        name,
        api_version="serving.kserve.io/v1beta1",
        kind="InferenceService",
        metadata={"name": name, "namespace": "text", "labels": LABELS},
        spec={
            "predictor": {
                "logger": {"mode": "all", "url": "http://log-sink.text.svc/"},
                "model": {"modelFormat": {"name": "huggingface"}, "storageUri": storage},
                **predictor,
            }
        },
    )


service("summaries", "hf://facebook/bart-large-cnn")
service("routing", "model-registry://routing/4", canaryTrafficPercent=10)
k8s.apiextensions.CustomResource(
    "routing-metrics",
    api_version="monitoring.coreos.com/v1",
    kind="ServiceMonitor",
    metadata={"name": "routing", "namespace": "text"},
    spec={
        "selector": {"matchLabels": {"serving.kserve.io/inferenceservice": "routing"}},
        "endpoints": [{"port": "http-metrics"}],
    },
)
