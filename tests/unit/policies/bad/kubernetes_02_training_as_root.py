"""A nightly training job that says nothing of who it runs as, what it takes and what it may write."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {
    ("pod-security-restricted", "retrain"),
    ("no-automount-token", "retrain"),
    ("read-only-rootfs", "retrain"),
    ("resource-limits", "retrain"),
}

space = hardened.namespace()
k8s.batch.v1.CronJob(
    "retrain",
    metadata=k8s.meta.v1.ObjectMetaArgs(name="retrain", namespace=space),
    spec=k8s.batch.v1.CronJobSpecArgs(
        schedule="0 2 * * *",
        job_template=k8s.batch.v1.JobTemplateSpecArgs(
            spec=k8s.batch.v1.JobSpecArgs(
                template=k8s.core.v1.PodTemplateSpecArgs(
                    spec=k8s.core.v1.PodSpecArgs(
                        restart_policy="Never",
                        containers=[k8s.core.v1.ContainerArgs(name="train", image=hardened.IMAGE)],
                    )
                )
            )
        ),
    ),
)
