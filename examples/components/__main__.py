"""Components composed one by one: only what this model needs, wired by hand."""

import pulumi

import pulumi_mlops as mlops
from pulumi_mlops import spec

port = pulumi.Config().get_int("port") or 8662

platform = mlops.LocalPlatform("diabetes")

data = mlops.Dataset(
    "diabetes",
    spec.Data(
        sources={
            "patients": spec.Source(
                uri="python:patients:examined",
                key=["patient"],
                classification="public",
                columns={"bmi": spec.ColumnCheck(dtype="float", nullable=False, min=10, max=80)},
            )
        }
    ),
    platform=platform,
)

registry = mlops.ModelRegistry(
    "diabetes",
    spec.Registry(),
    identity=spec.Identity(name="diabetes", owner="ada", purpose="Find people who need closer care."),
    platform=platform,
)

endpoint = mlops.Endpoint(
    "diabetes", spec.RestEndpoint(kind="rest", name="diabetes", port=port), registry=registry, platform=platform
)

training = mlops.TrainingPipeline(
    "diabetes",
    spec.Training(
        task="regression",
        source="patients",
        label="progression",
        inputs=["age", "sex", "bmi", "blood_pressure", "hdl", "log_triglycerides", "glucose"],
        estimator="sklearn.linear_model.Ridge",
        params={"alpha": 1.0},
    ),
    data=data,
    registry=registry,
    evaluation=spec.Evaluation(floors={"r2": 0.3}),
    endpoints=[endpoint],
    platform=platform,
)

monitor = mlops.Monitor(
    "diabetes",
    spec.Monitor(name="answers", endpoint="diabetes", signals=spec.Signals(error_rate=0.01)),
    endpoint=endpoint,
    platform=platform,
)

pulumi.export("url", endpoint.url)
pulumi.export("metrics_url", endpoint.metrics_url)
pulumi.export("status", training.status)
pulumi.export("version", training.version)
pulumi.export("report_uri", monitor.report_uri)
pulumi.export("data_dir", str(platform.data_dir))
