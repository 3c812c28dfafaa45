"""A spec built in Python: where sections repeat or are computed, a loop says it better than YAML."""

from datetime import date, timedelta

import pulumi

import pulumi_mlops as mlops
from pulumi_mlops import spec

PORT = pulumi.Config().get_int("port") or 8665
MEASURED = ("radius", "texture", "smoothness", "concavity", "symmetry")
INPUTS = [f"{statistic}_{measure}" for statistic in ("mean", "worst") for measure in MEASURED]

declared = spec.Spec(
    apiVersion=spec.API_VERSION,
    identity=spec.Identity(
        name="tumours",
        owner="ada",
        contact="ada@example.com",
        purpose="Order second looks at tumours by how probably they are malignant.",
        risk_tier="limited",
        limitations=["No diagnosis: a physician decides."],
    ),
    data=spec.Data(
        sources={
            "tumours": spec.Source(
                uri="python:tumours:examined",
                key=["tumour"],
                classification="public",
                purpose="Published for the study of diagnosis; nobody can be told from it.",
                columns={name: spec.ColumnCheck(dtype="float", nullable=False, min=0) for name in INPUTS},
            )
        }
    ),
    training=spec.Training(
        task="binary",
        source="tumours",
        label="finding",
        positive_class="malignant",
        inputs=INPUTS,
        estimator="sklearn.ensemble.RandomForestClassifier",
        params={"n_estimators": 50},
        preprocessing=spec.Preprocessing(numeric="none"),
    ),
    evaluation=spec.Evaluation(threshold=0.3, floors={"roc_auc": 0.9, "recall": 0.85}),
    endpoints=[
        spec.RestEndpoint(kind="rest", name="tumours", port=PORT),
        spec.BatchEndpoint(kind="batch", name="second-looks", source="tumours"),
    ],
    governance=spec.Governance(
        oversight=spec.Oversight(role="Head of pathology", contact="pathology@example.com"),
        review_by=date(2027, 11, 1),
        retention=spec.Retention(logs=timedelta(days=184), technical_file=timedelta(days=3653)),
    ),
)
stack = mlops.MLStack("tumours", declared)

pulumi.export("url", stack.url)
pulumi.export("endpoints", stack.endpoints)
pulumi.export("status", stack.status)
pulumi.export("version", stack.version)
pulumi.export("data_dir", str(declared.resolve(declared.platform.local.data_dir)))
