"""The objects of training and continuous training, by the changes of the spec that they come from."""

from __future__ import annotations

from typing import Any, Final

import pulumi

from pulumi_mlops import Spec
from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.platforms.kubernetes import retraining, training
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from tests.unit.platforms.kubernetes import kit

CASES: Final[dict[str, dict[str, Any]]] = {
    "full": {},
    "no queue": {"kubernetes": {"queue": None}},
    "existing queue": {"kubernetes": {"queue": {"cluster_queue": "team", "flavours": None}}},
    "distributed": {
        "training": {"distribution": {"min_workers": 2, "max_workers": 2, "checkpoints": "5Gi"}},
        "kubernetes": {"storage_class": "fast", "quota": {"gpu": 4}, "queue": {"flavours": {"spot": {"gpu": 4}}}},
    },
    "scaled": {
        "training": {"compute": {"gpu": 0, "spot": False}, "distribution": {"min_workers": 0, "max_workers": 4}},
        "kubernetes": {"queue": None},
    },
    "sharded": {
        "endpoints": [
            {"name": "delay", "kind": "rest"},
            {"name": "nightly", "kind": "batch", "source": "flights", "schedule": "0 3 * * *", "shards": 4},
            {"name": "all-flights", "kind": "batch", "source": "flights", "shards": 2},
            {"name": "few-flights", "kind": "batch", "source": "flights"},
        ],
        "monitors": None,
        "retraining": None,
    },
    "plain": {
        "training": {"compute": {"gpu": 0, "spot": False}, "views": None},
        "kubernetes": {"queue": None, "online_store": None, "store": {"secret_name": None, "endpoint_url": None}},
        "features": {"views": None, "entities": None, "materialization_schedule": None},
        "endpoints": [{"name": "delay", "kind": "rest"}],
        "monitors": None,
        "retraining": None,
    },
}
"""Changes of the full spec by what they try."""


def objects(**changes: Any) -> list[kit.Manifest]:
    """Manifests of the training cluster, the pipeline and continuous training of the full spec with changes."""
    return objects_of(kit.spec(**changes))


def objects_of(spec: Spec, *, regions: tuple[str, ...] = ()) -> list[kit.Manifest]:
    """The same of any spec."""

    def build(cluster: Cluster, parent: pulumi.Resource) -> None:
        plan = PipelinePlan.of(spec)
        cluster.regions[spec.identity.name] = regions
        training.build_cluster(cluster, parent, "ml", spec.training.compute)
        training.build_pipeline(cluster, parent, "ml", plan)
        retraining.build(cluster, parent, "ml-retraining", spec.retraining, plan)

    settings = spec.platform.kubernetes
    assert settings is not None
    assert spec.directory is not None
    return kit.declared(build, settings, directory=spec.directory)
