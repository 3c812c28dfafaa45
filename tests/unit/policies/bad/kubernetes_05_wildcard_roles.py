"""A pipeline's role with wildcards, and its account bound to cluster-admin for good measure."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {("rbac-no-wildcard", "pipeline"), ("rbac-no-wildcard", "pipeline-admin")}

space = hardened.namespace()
account = k8s.core.v1.ServiceAccount(
    "runner", metadata={"name": "runner", "namespace": space}, automount_service_account_token=False
)
role = k8s.rbac.v1.Role(
    "pipeline",
    metadata={"name": "pipeline", "namespace": space},
    rules=[{"api_groups": ["ray.io", "batch"], "resources": ["*"], "verbs": ["*"]}],
)
subjects = [{"kind": "ServiceAccount", "name": account.metadata.name, "namespace": space}]
k8s.rbac.v1.RoleBinding(
    "pipeline-own",
    metadata={"name": "pipeline", "namespace": space},
    role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata.name},
    subjects=subjects,
)
k8s.rbac.v1.ClusterRoleBinding(
    "pipeline-admin",
    role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    subjects=subjects,
)
