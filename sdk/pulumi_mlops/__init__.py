"""Declare a complete MLOps stack in one short spec and bring it up with Pulumi.

```python
import pulumi
import pulumi_mlops as mlops

stack = mlops.MLStack("flights", mlops.load("mlops.yaml"))
pulumi.export("url", stack.url)
```

Names are imported when they are first used, so that what does not declare resources (the `mlops` command, a spec
checked in an editor) does not wait for Pulumi.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulumi_mlops.components import (
        ContinuousTraining,
        Dataset,
        Delivery,
        Endpoint,
        FeatureStore,
        Governance,
        ModelRegistry,
        Monitor,
        TrainingCluster,
        TrainingPipeline,
    )
    from pulumi_mlops.platforms.aws import AwsPlatform
    from pulumi_mlops.platforms.base import Platform
    from pulumi_mlops.platforms.kubernetes import KubernetesPlatform
    from pulumi_mlops.platforms.local import LocalPlatform
    from pulumi_mlops.spec.model import Spec
    from pulumi_mlops.stack import MLStack, load

__all__ = [
    "AwsPlatform",
    "ContinuousTraining",
    "Dataset",
    "Delivery",
    "Endpoint",
    "FeatureStore",
    "Governance",
    "KubernetesPlatform",
    "LocalPlatform",
    "MLStack",
    "ModelRegistry",
    "Monitor",
    "Platform",
    "Spec",
    "TrainingCluster",
    "TrainingPipeline",
    "load",
]

_HOMES = {
    "AwsPlatform": "platforms.aws",
    "KubernetesPlatform": "platforms.kubernetes",
    "LocalPlatform": "platforms.local",
    "MLStack": "stack",
    "Platform": "platforms.base",
    "Spec": "spec.model",
    "load": "stack",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'components')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
