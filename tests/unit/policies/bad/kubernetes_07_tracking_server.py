"""An MLflow server without a limit of memory and without probes."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {("resource-limits", "mlflow"), ("probes-set", "mlflow")}

space = hardened.namespace()
server = hardened.container("mlflow", resources={"limits": {"cpu": "2"}}, livenessProbe=None, readinessProbe=None)
k8s.apps.v1.Deployment(
    "mlflow",
    metadata={"name": "mlflow", "namespace": space},
    spec={"selector": {"match_labels": {"app": "fraud"}}, "template": hardened.template(server)},
)
