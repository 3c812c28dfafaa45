"""Passwords and keys in the environment of a function, of containers and of a pod; references are no fault."""

import json

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

PACKS = ["security"]
EXPECTED = {
    ("no-plaintext-secret-env", "features"),
    ("no-plaintext-secret-env", "notify"),
    ("no-plaintext-secret-env", "score"),
}

IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/fraud@sha256:{'7c' * 32}"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:fraud-db"

aws.lambda_.Function(
    "notify",
    role="arn:aws:iam::123456789012:role/notify",
    package_type="Image",
    image_uri=IMAGE,
    # To mark it as a secret keeps it out of Pulumi's state, and not out of the function's configuration.
    environment={"variables": {"LOG_LEVEL": "info", "SMTP_LOGIN": pulumi.Output.secret("correct horse")}},
)
aws.ecs.TaskDefinition(
    "score",
    family="score",
    container_definitions=json.dumps(
        [
            {
                "name": "score",
                "image": IMAGE,
                "environment": [{"name": "DATABASE_URL", "value": "postgresql://fraud:correcthorse@db/fraud"}],
                "secrets": [{"name": "DB_PASSWORD", "valueFrom": SECRET}],
            }
        ]
    ),
)
k8s.apps.v1.Deployment(
    "features",
    metadata={"name": "features", "namespace": "fraud"},
    spec={
        "selector": {"match_labels": {"app": "features"}},
        "template": {
            "metadata": {"labels": {"app": "features"}},
            "spec": {
                "containers": [
                    {
                        "name": "features",
                        "image": IMAGE,
                        "env": [
                            {"name": "REDIS_PASSWORD", "value": "correct horse"},
                            {
                                "name": "DB_PASSWORD",
                                "value_from": {"secret_key_ref": {"name": "fraud-db", "key": "password"}},
                            },
                        ],
                    }
                ]
            },
        },
    },
)
