"""Components of an MLOps stack, the same on every platform; each is usable alone in any Pulumi program."""

from __future__ import annotations

from pulumi_mlops.components.dataset import Dataset
from pulumi_mlops.components.delivery import Delivery
from pulumi_mlops.components.endpoint import Endpoint
from pulumi_mlops.components.feature_store import FeatureStore
from pulumi_mlops.components.governance import Governance
from pulumi_mlops.components.model_registry import ModelRegistry
from pulumi_mlops.components.monitor import Monitor
from pulumi_mlops.components.retraining import ContinuousTraining
from pulumi_mlops.components.training import TrainingCluster, TrainingPipeline

__all__ = [
    "ContinuousTraining",
    "Dataset",
    "Delivery",
    "Endpoint",
    "FeatureStore",
    "Governance",
    "ModelRegistry",
    "Monitor",
    "TrainingCluster",
    "TrainingPipeline",
]
