"""A device plugin that is privileged and mounts the node's sockets."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {("pod-security-restricted", "plugin")}

space = hardened.namespace()
k8s.apps.v1.DaemonSet(
    "plugin",
    metadata={"name": "plugin", "namespace": space},
    spec={
        "selector": {"match_labels": {"app": "plugin"}},
        "template": {
            "metadata": {"labels": {"app": "plugin"}},
            "spec": {
                "automount_service_account_token": False,
                "security_context": {"run_as_non_root": True, "seccomp_profile": {"type": "RuntimeDefault"}},
                "containers": [
                    {
                        "name": "plugin",
                        "image": hardened.IMAGE,
                        "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}},
                        "liveness_probe": {"http_get": {"path": "/live", "port": 8080}},
                        "readiness_probe": {"http_get": {"path": "/ready", "port": 8080}},
                        "security_context": {"privileged": True, "read_only_root_filesystem": True},
                        "volume_mounts": [{"name": "sockets", "mount_path": "/var/lib/kubelet/device-plugins"}],
                    }
                ],
                "volumes": [{"name": "sockets", "host_path": {"path": "/var/lib/kubelet/device-plugins"}}],
            },
        },
    },
)
