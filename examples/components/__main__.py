"""Components composed one by one: only what this model needs, wired by hand."""

from datetime import date, timedelta

import pulumi

import pulumi_mlops as mlops
from pulumi_mlops import spec

port = pulumi.Config().get_int("port") or 8662

platform = mlops.LocalPlatform("diabetes")

identity = spec.Identity(
    name="diabetes", owner="ada", contact="ada@example.com", purpose="Find people who need closer care."
)

governance = mlops.Governance(
    "diabetes",
    spec.Governance(
        oversight=spec.Oversight(role="Head of the diabetes clinic", contact="clinic@example.com"),
        review_by=date(2027, 11, 1),
        retention=spec.Retention(logs=timedelta(days=184)),
    ),
    identity=identity,
    platform=platform,
)

data = mlops.Dataset(
    "diabetes",
    spec.Data(
        sources={
            "patients": spec.Source(
                uri="python:patients:examined",
                key=["patient"],
                classification="public",
                purpose="Published for the study of regression; nobody can be told from it.",
                columns={"bmi": spec.ColumnCheck(dtype="float", nullable=False, min=10, max=80)},
            )
        }
    ),
    platform=platform,
)

registry = mlops.ModelRegistry("diabetes", spec.Registry(), identity=identity, platform=platform)

endpoint = mlops.Endpoint(
    "diabetes",
    spec.RestEndpoint(kind="rest", name="diabetes", port=port),
    registry=registry,
    governance=governance,
    platform=platform,
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
    evaluation=spec.Evaluation(
        floors={"r2": 0.3}, segments=[spec.Segment(column="sex", min_rows=30, floors={"mae": 60.0})]
    ),
    endpoints=[endpoint],
    governance=governance,
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
