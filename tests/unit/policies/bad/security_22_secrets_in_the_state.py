"""Secrets that nobody marked, which Pulumi's state holds as they are; what the SDK marks by itself is no fault."""

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

PACKS = ["security"]
EXPECTED = {
    ("secret-inputs-marked", "settings"),
    ("secret-inputs-marked", "tracker"),
}

aws.secretsmanager.SecretVersion("fraud-db", secret_id="fraud-db", secret_string="correct horse")
k8s.core.v1.Secret("fraud-db", metadata={"name": "fraud-db"}, string_data={"password": "correct horse"})
k8s.core.v1.ConfigMap(
    "settings",
    metadata={"name": "settings", "namespace": "fraud"},
    data={"host": "db", "password": "correct horse"},
)
k8s.apiextensions.CustomResource(
    "tracker",
    api_version="example.com/v1",
    kind="Tracker",
    metadata={"name": "tracker", "namespace": "fraud"},
    spec={
        "database": {"user": "fraud", "password": pulumi.Output.secret("correct horse")},
        "api": {"url": "https://tracker", "token": "correct horse"},
        "tls": {"secretName": "tracker-tls"},
    },
)
