"""Our program: a stack for each model, on one platform."""

import os

import pulumi_mlops as mlops
from pulumi_mlops import spec

platform = mlops.LocalPlatform("bench")
for i in range(int(os.environ["BENCH_MODELS"])):
    name = f"model{i}"
    declared = spec.Spec(
        apiVersion=spec.API_VERSION,
        identity=spec.Identity(name=name, owner="ada", purpose="Is previewed."),
        data=spec.Data(
            sources={
                name: spec.Source(
                    uri="customers.csv",
                    key=["id"],
                    columns={"age": spec.ColumnCheck(dtype="float", min=0, max=120), "plan": spec.ColumnCheck()},
                )
            }
        ),
        training=spec.Training(
            task="binary",
            source=name,
            label="churned",
            inputs=["age", "visits", "plan"],
            estimator="sklearn.linear_model.LogisticRegression",
        ),
        endpoints=[spec.RestEndpoint(kind="rest", name=name, port=20000 + i)],
        monitors=[spec.Monitor(name=name, endpoint=name, signals=spec.Signals(error_rate=0.1))],
    )
    mlops.MLStack(name, declared, platform=platform)
