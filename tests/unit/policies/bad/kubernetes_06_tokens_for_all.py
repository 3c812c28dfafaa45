"""An account that gives its token to every pod; one of two deployments refuses it."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {("no-automount-token", "features"), ("no-automount-token", "online")}

space = hardened.namespace()
account = k8s.core.v1.ServiceAccount("features", metadata={"name": "features", "namespace": space})
for name, more in (("online", {"automountServiceAccountToken": None}), ("offline", {})):
    k8s.apps.v1.Deployment(
        name,
        metadata={"name": name, "namespace": space},
        spec={
            "selector": {"match_labels": {"app": "fraud"}},
            "template": hardened.template(serviceAccountName=account.metadata.name, **more),
        },
    )
