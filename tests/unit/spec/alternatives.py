"""Other values for the fields of full.yaml whose type does not tell one, and variants for fields that exclude others.

`sorted(declared())` is covered by full.yaml together with these variants: see test_fields.py.
"""

from pathlib import Path
from typing import Any

from pulumi_mlops.spec import Spec, load
from pulumi_mlops.testing.fields import ABSENT, Together, changed

FULL = Path(__file__).with_name("full.yaml")

DIGEST = "@sha256:" + "0123456789abcdef" * 4

ALTERNATIVES: dict[str, Any] = {
    "data.sources.routes.endpoint_url": "http://127.0.0.1:9001",
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
    "platform.kubernetes.images.job": "registry.example.com/mlops/job:2",
    "platform.kubernetes.images.serving": "registry.example.com/mlops/serving:2",
    "platform.kubernetes.images.serving_sklearn": "registry.example.com/mlops/serving-sklearn:2",
    "platform.kubernetes.images.mlflow": "registry.example.com/mlops/mlflow:2",
    "platform.kubernetes.images.postgres": "registry.example.com/mlops/postgres:2",
    "platform.kubernetes.store.uri": "s3://artefacts/other",
    "platform.kubernetes.store.endpoint_url": "https://s3.example.org",
    "platform.kubernetes.argo.url": "https://argo-server.argo.svc:2747",
    "platform.kubernetes.monitoring.url": "http://prometheus.observability:9091",
    "platform.kubernetes.monitoring.labels": {"release": "other"},
    "platform.kubernetes.monitoring.dashboard_labels": {"grafana_dashboard": "2"},
    "platform.kubernetes.service_account_annotations": {"example.com/role": "other"},
    "platform.kubernetes.tracking.uri": "http://mlflow.shared:5000",
    "platform.kubernetes.tracking.database": "secret:mlflow/other",
    "platform.kubernetes.online_store.connection": "secret:features/other",
    "platform.kubernetes.online_store.registry": "secret:features/another",
    "platform.kubernetes.install_operators": ["kserve"],
    "platform.kubernetes.deployment_mode": Together(
        {
            "platform.kubernetes.deployment_mode": "Knative",
            "endpoints[0].scale": ABSENT,
            "endpoints[0].host": ABSENT,
        }
    ),
    "platform.aws.account": "210987654321",
    "platform.aws.region": Together(
        {
            "platform.aws.region": "eu-west-1",
            "platform.aws.key_arn": ABSENT,
            "governance.regions": ABSENT,
        }
    ),
    "platform.aws.assume_role": "arn:aws:iam::123456789012:role/other",
    "platform.aws.images.job": f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/mlops/job:2{DIGEST}",
    "platform.aws.images.serving": f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/mlops/serving:2{DIGEST}",
    "platform.aws.images.serving_sklearn": f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/mlops/sklearn:2{DIGEST}",
    "platform.aws.key_arn": "arn:aws:kms:eu-central-1:123456789012:key/0f0f0f0f-12ab-34cd-56ef-1234567890ab",
    "platform.aws.network.vpc_id": "vpc-0a1b2c3d4e5f60002",
    "platform.aws.network.subnet_ids": ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60003"],
    "platform.aws.network.cidr": "10.65.0.0/16",
    "platform.aws.tracking.server_arn": "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-tracking-server/other",
    "platform.aws.instances.job": "ml.m5.2xlarge",
    "platform.aws.instances.training": "ml.c5.4xlarge",
    "platform.aws.instances.endpoint": "ml.c5.2xlarge",
    "platform.aws.roles.pipeline": "arn:aws:iam::123456789012:role/other",
    "platform.aws.roles.endpoint": "arn:aws:iam::123456789012:role/other",
    "platform.aws.roles.monitor": "arn:aws:iam::123456789012:role/other",
    "platform.aws.roles.deployment": "arn:aws:iam::123456789012:role/other",
    "platform.aws.roles.events": "arn:aws:iam::123456789012:role/other",
    "platform.aws.permissions_boundary": "arn:aws:iam::123456789012:policy/other",
    "platform.aws.oidc_provider_arn": "arn:aws:iam::123456789012:oidc-provider/gitlab.com",
    "platform.aws.log_retention": "60d",
    "endpoints[0].serverless.memory": "4Gi",
    "monitors[0].sagemaker.definitions": ["model-quality", "bias", "explainability"],
    "monitors[0].sagemaker.image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-model-monitor-analyzer",
    "monitors[0].sagemaker.clarify_image": (
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-clarify-processing:1.0"
    ),
    "monitors[0].sagemaker.analyses": "s3://evidence/newer-analyses/",
    "monitors[0].sagemaker.ground_truth": "s3://labels/newer/",
    "monitors[0].sagemaker.baselines": "s3://evidence/newer-baselines/",
    "endpoints[0].scale.metric": "rps",
    "endpoints[0].rollout.steps": [20, 60],
    "endpoints[0].host": "delays.example.org",
    "delivery.provider": Together({"delivery.provider": "gitlab", "delivery.environments": ABSENT}),
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
    "cluster": Together(
        {
            "endpoints[0].resources": {"cpu": "500m", "memory": "768Mi"},
            "endpoints[0].scale": {"min": 2, "max": 4, "metric": "cpu", "target": 60},
            "endpoints[0].rollout": {
                "steps": [10, 50],
                "interval": "2m",
                "max_error_rate": 0.02,
                "max_latency_p99": "200ms",
                "min_requests": 30,
            },
            "endpoints[0].host": "delays.example.com",
            "endpoints[1].shards": 4,
            "training.compute.gpu": 1,
            "training.compute.spot": True,
            "training.distribution": {"min_workers": 1, "max_workers": 3, "checkpoints": "10Gi"},
            "delivery": {"provider": "github", "repository": "airline/delay", "environments": ["production"]},
        }
    ),
    "branches": Together({"delivery": {"repository": "airline/delay", "branches": ["main", "release"]}}),
}

_KUBERNETES: dict[str, Any] = {
    "context": "test",
    "namespace": "ml",
    "create_namespace": True,
    "images": {
        "job": f"registry.example.com/mlops/job:1{DIGEST}",
        "serving": f"registry.example.com/mlops/serving:1{DIGEST}",
        "serving_sklearn": f"registry.example.com/mlops/serving-sklearn:1{DIGEST}",
        "mlflow": f"registry.example.com/mlops/mlflow:3{DIGEST}",
        "postgres": f"registry.example.com/mlops/postgres:17{DIGEST}",
        "pull_secrets": ["registry"],
    },
    "store": {
        "uri": "s3://artefacts/flights",
        "endpoint_url": "https://s3.example.com",
        "region": "eu-central-1",
        "secret_name": "store",
    },
    "tracking": {"volume": "5Gi"},
    "online_store": {
        "kind": "redis",
        "connection": "secret:features/online",
        "registry": "secret:features/registry",
        "replicas": 2,
    },
    "workspace": "30Gi",
    "storage_class": "fast",
    "quota": {"cpu": 64, "memory": "256Gi", "gpu": 8, "pods": 200, "storage": "1Ti"},
    "queue": {
        "flavours": {
            "steady": {"node_labels": {"pool": "steady"}, "cpu": 32, "memory": "128Gi", "gpu": 4},
            "cheap": {"node_labels": {"pool": "cheap"}, "spot": True, "cpu": 32, "memory": "128Gi", "gpu": 4},
        }
    },
    "spot": {"label": "example.com/capacity", "value": "spot"},
    "deployment_mode": "Standard",
    "mesh": "istio",
    "gateway": {"name": "public", "namespace": "gateways", "proxy_namespace": "envoy"},
    "argo": {"url": "https://argo-server.argo.svc:2746", "certificate": "secret:argo/ca.crt"},
    "monitoring": {
        "url": "http://prometheus.observability:9090",
        "namespace": "observability",
        "labels": {"release": "prometheus"},
        "dashboard_labels": {"grafana_dashboard": "1"},
        "smtp": {
            "host": "mail.example.com",
            "port": 2525,
            "security": "tls",
            "username": "mlops",
            "password": "secret:mail/password",
            "sender": "mlops@example.com",
        },
    },
    "secret_store": {"name": "vault", "kind": "ClusterSecretStore"},
    "service_account_annotations": {"example.com/role": "flights"},
    "oidc_prefix": "oidc:",
    "install_operators": ["kserve", "kueue"],
}

_ON_KUBERNETES: dict[str, Any] = {
    "platform": {"kind": "kubernetes", "kubernetes": _KUBERNETES},
    "data.sources.flights.uri": "s3://warehouse/flights.csv",
    "data.sources.weather.password": "secret:weather/password",
    "data.sources.planes.uri": "mysql://reader@db.example.com/planes",
    "endpoints[0].token": "secret:delay/token",
    "monitors[0].alerts[0].webhook": "secret:alerts/url",
    "governance.budget": ABSENT,
    # Production promises more than these specs keep.
    "environments.prod": ABSENT,
    "environments.staging": {"training": {"tuning": {"trials": 100}}, "evaluation": {"champion": False}},
    "environments.dev.data": {"sources": {"flights": {"uri": "s3://warehouse/sample.csv"}}},
}

# A queue admits a job with all of its workers; without one they may come and go.
_WITHOUT_QUEUE = Together({"platform.kubernetes.queue": ABSENT})

# What the platform's own fields are for.
_REACHED = Together({"endpoints[0].host": "delays.example.com", "delivery": {"repository": "airline/delay"}})

_KUBERNETES_VARIANTS: dict[str, Together] = {
    "existing": Together(
        {
            "platform.kubernetes.production": False,
            "platform.kubernetes.tracking": {"database": "secret:mlflow/url"},
            "platform.kubernetes.images.postgres": ABSENT,
            "platform.kubernetes.queue": {"cluster_queue": "shared"},
        }
    ),
    "knative": Together(
        {
            "platform.kubernetes.deployment_mode": "Knative",
            "platform.kubernetes.ingress_namespace": "kourier-system",
            "endpoints[0].host": ABSENT,
        }
    ),
    "shared": Together(
        {
            "platform.kubernetes.tracking": {"uri": "http://mlflow.tracking:5000"},
            "platform.kubernetes.images.postgres": ABSENT,
            "platform.kubernetes.images.mlflow": ABSENT,
        }
    ),
}


ALTERNATIVES["platform.kind"] = Together(_ON_KUBERNETES)

ON_KUBERNETES = {
    **ALTERNATIVES,
    "platform.kind": Together({"platform": {"kind": "local"}}),
    "endpoints[0].scale.metric": Together(
        {
            "platform.kubernetes.deployment_mode": "Knative",
            "endpoints[0].scale.metric": "rps",
            "endpoints[0].host": ABSENT,
        }
    ),
}
"""Other values by path in full.yaml on the platform kubernetes."""

ON_AWS = {
    **ALTERNATIVES,
    "platform.aws.production": Together(
        {"platform.aws.production": True, "endpoints[0].scale": {"min": 2, "max": 2}},
    ),
    "platform.kind": Together({"platform": {"kind": "local"}}),
    "monitors[0].window": "1h",
    # Instances come in sizes: one that the other value does not fit.
    "endpoints[0].resources.memory": "64Gi",
    "monitors[0].alerts[0].webhook": "secret:others/url",
}
"""Other values by path in full.yaml on the platform aws."""


def on_kubernetes() -> dict[str, Spec]:
    """The same specs on the platform kubernetes, with what a cluster can't read moved to where it can; and the specs
    that use the fields of `platform.kubernetes` which others exclude."""
    moved = {name: changed(spec, "", Together(_ON_KUBERNETES)) for name, spec in variants().items()}
    moved["full"] = changed(moved["full"], "", _REACHED)
    moved["cluster"] = changed(moved["cluster"], "", _WITHOUT_QUEUE)
    more = {name: changed(moved["full"], "", values) for name, values in _KUBERNETES_VARIANTS.items()}
    return {**moved, **more}


_ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/mlops"
_ROLE = "arn:aws:iam::123456789012:role"

_AWS: dict[str, Any] = {
    "account": "123456789012",
    "region": "eu-central-1",
    "assume_role": f"{_ROLE}/deployer",
    "prefix": "ml",
    "production": False,
    "images": {
        "job": f"{_ECR}/job:1{DIGEST}",
        "serving": f"{_ECR}/serving:1{DIGEST}",
        "serving_sklearn": f"{_ECR}/serving-sklearn:1{DIGEST}",
    },
    "store": {"log_bucket": "access-logs"},
    "network": {
        "vpc_id": "vpc-0a1b2c3d4e5f60001",
        "subnet_ids": ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"],
    },
    "tracking": {"size": "Medium"},
    "instances": {"job": "ml.m5.xlarge", "training": "ml.c5.2xlarge", "endpoint": "ml.c5.xlarge"},
    "workspace": "40Gi",
    "feature_store": {"throughput": {"read": 10, "write": 5}, "offline": True},
    "permissions_boundary": "arn:aws:iam::123456789012:policy/boundary",
    "restrict_region": False,
    "tags": {"cost-centre": "4711"},
    "log_retention": "30d",
}

_ON_AWS: dict[str, Any] = {
    "platform": {"kind": "aws", "aws": _AWS},
    "data.sources.flights.uri": "s3://warehouse/flights.csv",
    "data.sources.weather.password": "secret:weather/password",
    "data.sources.planes.uri": "mysql://reader@db.example.com/planes",
    "data.sources.routes.endpoint_url": ABSENT,
    # The network answers by address, port and token there; alerts say each change of an alarm.
    "endpoints[0].port": ABSENT,
    "endpoints[0].token": ABSENT,
    "monitors[0].port": ABSENT,
    "monitors[0].alerts[0]": {"webhook": "secret:alerts/url"},
    "retraining.alerts[0]": {"webhook": "https://alerts.example.com/mlops"},
    # Production promises more than these specs keep.
    "environments.prod": ABSENT,
    "environments.staging": {"training": {"tuning": {"trials": 100}}, "evaluation": {"champion": False}},
    "environments.dev.data": {"sources": {"flights": {"uri": "s3://warehouse/sample.csv"}}},
}

# SageMaker trains in one job, or several trials; and steps of a rollout are its own.
_ON_AWS_CLUSTER = Together(
    {
        "platform.aws.instances": ABSENT,
        "endpoints[0].resources": {"cpu": 2, "memory": "4Gi"},
        "endpoints[0].rollout.steps": [20],
        "endpoints[0].host": ABSENT,
        "training.distribution": ABSENT,
    }
)

_AWS_VARIANTS: dict[str, Together] = {
    "existing": Together(
        {
            "platform.aws.store": {"bucket": "artefacts"},
            # What is deleted in a bucket that exists is its owner's to say.
            "endpoints[0].capture.retention": ABSENT,
            "platform.aws.key_arn": "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "platform.aws.tracking": {
                "server_arn": "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-tracking-server/shared"
            },
            "platform.aws.roles": {
                name: f"{_ROLE}/{name}" for name in ("pipeline", "endpoint", "monitor", "deployment", "events")
            },
            "platform.aws.oidc_provider_arn": (
                "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
            ),
            "delivery": {"repository": "airline/delay"},
        }
    ),
    "private": Together(
        {
            # Jobs in a network that is made reach no database.
            "platform.aws.network": {"cidr": "10.64.0.0/16", "zones": 2},
            "data.sources.weather": {"uri": "s3://warehouse/weather/", "timestamp": "observed"},
            "data.sources.planes": {"uri": "s3://warehouse/planes.parquet"},
        }
    ),
    "memory": Together({"platform.aws.feature_store": {"storage": "InMemory"}}),
    "serverless": Together(
        {
            "platform.aws.instances.endpoint": ABSENT,
            "endpoints[0].serverless": {"memory": "3Gi", "max_concurrency": 20},
        }
    ),
    "shadow": Together({"endpoints[0].shadow": {"sample": 0.5, "duration": "2h"}}),
    "model-monitor": Together(
        {
            "endpoints[0].enrichment": False,
            "monitors[0].window": "6h",
            "monitors[0].sagemaker": {
                "definitions": ["data-quality", "model-quality", "bias", "explainability"],
                "image": "468650794304.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-model-monitor-analyzer",
                "clarify_image": "131013547314.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-clarify-processing:1.0",
                "analyses": "s3://evidence/analyses/",
                "ground_truth": "s3://labels/delay/",
                "task": "binary",
                "baselines": "s3://evidence/baselines/",
            },
        }
    ),
}


def on_aws() -> dict[str, Spec]:
    """The same specs on the platform aws, with what an account can't read moved to where it can; and the specs that use
    the fields of `platform.aws` which others exclude."""
    moved = {name: changed(spec, "", Together(_ON_AWS)) for name, spec in variants().items()}
    moved["cluster"] = changed(moved["cluster"], "", _ON_AWS_CLUSTER)
    return {**moved, **{name: changed(moved["full"], "", values) for name, values in _AWS_VARIANTS.items()}}


def variants() -> dict[str, Spec]:
    """full.yaml, and the specs that use the fields which its fields exclude, by name."""
    full = load(FULL)
    return {"full": full, **{name: changed(full, "", values) for name, values in _VARIANTS.items()}}
