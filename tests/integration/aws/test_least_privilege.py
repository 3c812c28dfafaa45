"""The runtime's own code under the policy of its role: what it needs is allowed, what it must not is denied.

moto enforces the rendered policies. It judges S3 by action and object, everything else by action alone, and knows no
conditions: the prefixes that listings are limited to are checked here, resources of other services by
`tests/unit/platforms/aws/test_meaning.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import botocore.handlers
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws, settings
from moto.core.responses import ActionAuthenticatorMixin

from mlops_runtime import secrets
from mlops_runtime.definition import Bucket
from mlops_runtime.errors import BadInputError
from mlops_runtime.stores.bucket import ObjectStore
from mlops_runtime.stores.bucket_audit import BucketAudit
from mlops_runtime.stores.working_copy import WorkingCopy
from pulumi_mlops.testing import Graph
from tests.unit.platforms.aws import kit

STORE = Bucket(uri=f"s3://{kit.BUCKET}/mlops", endpoint_url=None)
BUNDLE = "bundles/delay/sha256-0"


@pytest.fixture(scope="module")
def graph() -> Graph:
    """The full stack; moto knows no conditions, so no statement refuses other regions."""
    return kit.graph(kit.spec(aws={"restrict_region": False}))


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, graph: Graph) -> Iterator[Graph]:
    """An account with the stack's roles, its bucket with something in it, and the secrets that the user keeps."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", kit.REGION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", kit.REGION)
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=kit.BUCKET, CreateBucketConfiguration={"LocationConstraint": kit.REGION})
        for path in (
            BUNDLE,
            "captures/delay/2026/01/01/a.jsonl",
            "packages/delay/1/model.tar.gz",
            "runs/other/1/run.json",
        ):
            s3.put_object(Bucket=kit.BUCKET, Key=f"mlops/{path}", Body=b"{}")
        boto3.client("secretsmanager").create_secret(Name="weather", SecretString='{"password": "s3cret"}')
        iam = boto3.client("iam")
        for role in graph.of("aws:iam/role:Role"):
            inputs = kit.inputs(role)
            iam.create_role(RoleName=inputs["name"], AssumeRolePolicyDocument=inputs["assumeRolePolicy"])
        for policy in graph.of("aws:iam/rolePolicy:RolePolicy"):
            document = json.dumps(
                {"Version": "2012-10-17", "Statement": [_enforced(each) for each in _statements(policy)]}
            )
            iam.put_role_policy(RoleName=kit.inputs(policy)["role"], PolicyName="it", PolicyDocument=document)
        yield graph


def _statements(policy: Any) -> list[dict[str, Any]]:
    found = kit.json_of(policy, "policy")["Statement"]
    assert isinstance(found, list)
    return found


def _enforced(statement: dict[str, Any]) -> dict[str, Any]:
    """A statement as moto can enforce it."""
    # moto calls CloudWatch's actions by the service's old name.
    actions = [each.replace("cloudwatch:", "monitoring:") for each in statement["Action"]]
    kept = {**{key: value for key, value in statement.items() if key != "Condition"}, "Action": actions}
    on_objects = all(action.startswith("s3:") for action in statement["Action"])
    return kept if on_objects else {**kept, "Resource": "*"}


@contextmanager
def acting_as(graph: Graph, name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within it, every request is made as the role of a Pulumi name, and judged by its policy."""
    role = kit.inputs(kit.one(graph, "aws:iam/role:Role", name))["name"]
    arn = f"arn:aws:iam::{kit.ACCOUNT}:role/{role}"
    found = boto3.client("sts").assume_role(RoleArn=arn, RoleSessionName="it")["Credentials"]
    allowed = [
        pattern
        for statement in _statements(kit.one(graph, "aws:iam/rolePolicy:RolePolicy", name))
        if "s3:ListBucket" in statement["Action"]
        for pattern in statement["Condition"]["StringLike"]["s3:prefix"]
    ]

    def listed(params: dict[str, Any], **_: Any) -> None:
        prefix = params["query_string"].get("prefix", "")
        assert any(fnmatchcase(prefix, pattern) for pattern in allowed), f"the role may not list {prefix}"

    with monkeypatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", found["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", found["SecretAccessKey"])
        patch.setenv("AWS_SESSION_TOKEN", found["SessionToken"])
        handlers = [*botocore.handlers.BUILTIN_HANDLERS, ("before-call.s3.ListObjectsV2", listed)]
        patch.setattr(botocore.handlers, "BUILTIN_HANDLERS", handlers)
        patch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
        patch.setattr(ActionAuthenticatorMixin, "request_count", 0)
        yield


def client(service: str) -> Any:
    return boto3.session.Session().client(service, region_name=kit.REGION)


def put(path: str) -> Callable[[], Any]:
    return lambda: client("s3").put_object(Bucket=kit.BUCKET, Key=f"mlops/{path}", Body=b"x")


def get(path: str) -> Callable[[], Any]:
    return lambda: client("s3").get_object(Bucket=kit.BUCKET, Key=f"mlops/{path}")


def drop(path: str) -> Callable[[], Any]:
    return lambda: client("s3").delete_object(Bucket=kit.BUCKET, Key=f"mlops/{path}")


def measure() -> None:
    client("cloudwatch").put_metric_data(Namespace="MLOps/delay", MetricData=[{"MetricName": "Drift", "Value": 1.0}])


def no_secrets() -> None:
    client("secretsmanager").get_secret_value(SecretId="weather")


FORBIDDEN: dict[str, Callable[[], Any]] = {
    "make a user": lambda: client("iam").create_user(UserName="eve"),
    "take on another role": lambda: client("iam").attach_role_policy(
        RoleName="x", PolicyArn="arn:aws:iam::aws:policy/X"
    ),
    "end the key": lambda: client("kms").schedule_key_deletion(KeyId="alias/mlops"),
    "delete the bucket": lambda: client("s3").delete_bucket(Bucket=kit.BUCKET),
    "open the bucket": lambda: client("s3").put_bucket_policy(Bucket=kit.BUCKET, Policy="{}"),
    "delete an endpoint": lambda: client("sagemaker").delete_endpoint(EndpointName="mlops-delay-delay"),
    "delete the logs": lambda: client("logs").delete_log_group(logGroupName="/aws/sagemaker/TrainingJobs"),
    "read another model's runs": get("runs/other/1/run.json"),
    "write a deployment": put("deployments/delay.json"),
    "approve a version": lambda: client("sagemaker").update_model_package(
        ModelPackageArn=f"arn:aws:sagemaker:{kit.REGION}:{kit.ACCOUNT}:model-package/mlops-delay/1",
        ModelApprovalStatus="Approved",
    ),
}
"""What no role of a job or an endpoint may."""

MORE: dict[str, dict[str, Callable[[], Any]]] = {
    "ml-pipeline": {
        "write captures": put("captures/delay/a.jsonl"),
        "write a monitor's report": put("monitoring/traffic/x"),
    },
    "ml-traffic-job": {
        "write a bundle": put(BUNDLE),
        "delete captures": drop("captures/delay/2026/01/01/a.jsonl"),
        "read secrets": no_secrets,
    },
    "ml-delay": {
        "read captures": get("captures/delay/2026/01/01/a.jsonl"),
        "write a package": put("packages/delay/2/model.tar.gz"),
        "read secrets": no_secrets,
    },
}
"""What one of them may not, beside."""


@pytest.mark.parametrize(
    ("role", "what"), [(role, what) for role, more in MORE.items() for what in (*FORBIDDEN, *more)]
)
def test_what_a_role_must_not_do_is_denied(
    account: Graph, role: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = {**FORBIDDEN, **MORE[role]}[what]
    with acting_as(account, role, monkeypatch), pytest.raises(ClientError) as refused:
        attempt()
    code = refused.value.response["Error"]["Code"]
    assert code in ("AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation"), refused.value


def test_the_pipeline_writes_its_runs_and_bundles_and_reads_its_passwords(
    account: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with acting_as(account, "ml-pipeline", monkeypatch):
        copy = WorkingCopy.at(tmp_path, STORE)
        assert copy.pull("bundles/delay/", "snapshots/flights/", "runs/delay/") == [BUNDLE]
        for path in ("runs/delay/7/run.json", "bundles/delay/sha256-1/bundle.json", "snapshots/flights/a/part.parquet"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("{}")
        assert len(copy.push("runs/delay/", "bundles/delay/", "snapshots/flights/")) == 3
        copy.delete("bundles/delay/sha256-1/")
        assert secrets.resolve("secretsmanager:weather/password") == "s3cret"


def test_the_monitor_reads_captures_and_writes_reports_and_figures(
    account: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with acting_as(account, "ml-traffic-job", monkeypatch):
        copy = WorkingCopy.at(tmp_path, STORE)
        assert copy.pull("captures/delay/", "bundles/delay/")
        report = tmp_path / "monitoring/traffic/report.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text("{}")
        assert copy.push("monitoring/traffic/") == ["monitoring/traffic/report.json"]
        measure()
        with pytest.raises(BadInputError, match=r"(?s)can't be read.*secretsmanager:GetSecretValue"):
            secrets.resolve("secretsmanager:weather/password")


def test_the_endpoint_reads_packages_and_writes_captures(account: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    with acting_as(account, "ml-delay", monkeypatch):
        get("packages/delay/1/model.tar.gz")()
        put("captures/delay/b.jsonl")()


def test_what_follows_a_deployment_is_written_down_and_nothing_is_crossed_out(
    account: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with acting_as(account, "ml-follow-up", monkeypatch):
        audit = BucketAudit(ObjectStore(STORE))
        audit.audit("arn:aws:iam::123456789012:user/grace", "deploy", "delay/1", {"endpoint": "delay"})
        assert [entry.action for entry in audit.audit_log()] == ["deploy"]
        copy = WorkingCopy.at(tmp_path, STORE)
        assert copy.pull(f"{BUNDLE}/") == []
        (tmp_path / "deployments").mkdir()
        (tmp_path / "deployments/delay.json").write_text("{}")
        assert copy.push("deployments/") == ["deployments/delay.json"]
        (entry,) = [each.path for each in ObjectStore(STORE).list("audit/") if each.path.endswith(".json")][:1]
        for attempt in (drop(entry), drop("deployments/delay.json"), FORBIDDEN["approve a version"]):
            with pytest.raises(ClientError, match=r"not authorized|AccessDenied"):
                attempt()
