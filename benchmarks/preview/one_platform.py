"""Our program: the quickstart in one of its environments, or many models on one platform."""

import os
from pathlib import Path

import pulumi_mlops as mlops
from pulumi_mlops import spec

QUICKSTART = Path(os.environ["BENCH_QUICKSTART"])
PLATFORM = os.environ["BENCH_PLATFORM"]
models = int(os.environ["BENCH_MODELS"])
full = mlops.load(QUICKSTART, environment=PLATFORM)
if models == 0:
    mlops.MLStack(full.identity.name, full)
else:
    from pulumi_mlops.testing.fields import Together, changed

    # By name: the other platform's SDK is not imported.
    kind = getattr(mlops, {"kubernetes": "KubernetesPlatform", "aws": "AwsPlatform"}[PLATFORM])
    platform = kind("bench", full.platform, directory=full.directory)
    for i in range(models):
        name = f"model{i}"
        declared: spec.Spec = changed(
            full,
            "",
            Together(
                {
                    "identity.name": name,
                    "endpoints[0].name": f"{name}-live",
                    "endpoints[1].name": f"{name}-batch",
                    "endpoints[2].name": f"{name}-edge",
                    "monitors[0].name": f"{name}-traffic",
                    "monitors[0].endpoint": f"{name}-live",
                    "retraining.triggers.drift": [f"{name}-traffic"],
                    "environments": {},
                }
            ),
        )
        mlops.MLStack(name, declared, platform=platform)
