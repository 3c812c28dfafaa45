"""The stand-in providers behave towards the engine, a program and a policy pack as the real ones do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pulumi_mlops.testing.lookups import LookupRefusedError, policy_document
from tests.e2e.conftest import CloudProject, Violation

engine = pytest.mark.engine
SECRET = "canary-7f3a"
PROGRAM = f"""
import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

key = aws.kms.Key("key", description="models", enable_key_rotation=True)
bucket = aws.s3.Bucket("bucket", tags={{"team": pulumi.Output.secret("{SECRET}")}})
endpoint = aws.sagemaker.EndpointConfiguration(
    "endpoint",
    kms_key_arn=key.arn,
    production_variants=[{{"variant_name": "a", "model_name": "m", "instance_type": "ml.m5.large"}}],
)
deployment = k8s.apps.v1.Deployment(
    "deployment",
    spec={{
        "selector": {{"match_labels": {{"app": "a"}}}},
        "template": {{
            "metadata": {{"labels": {{"app": "a"}}}},
            "spec": {{"containers": [{{"name": "c", "image": "i:1", "env": [{{"name": "KEY", "value": key.arn}}]}}]}},
        }},
    }},
)
pulumi.export("arn", key.arn)
pulumi.export("name", deployment.metadata["name"])
"""
# On the protocol's stubs alone: names the key that an endpoint was shown, and refuses buckets at the configured level.
PACK = """
from concurrent import futures

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2 as messages, analyzer_pb2_grpc, plugin_pb2


class Pack(analyzer_pb2_grpc.AnalyzerServicer):
    level = messages.ADVISORY

    def Handshake(self, request, context):
        return messages.AnalyzerHandshakeResponse()

    def ConfigureStack(self, request, context):
        return messages.AnalyzerStackConfigureResponse()

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version="1.0.0")

    def GetAnalyzerInfo(self, request, context):
        info = messages.AnalyzerInfo(name="probe", version="1.0.0", supportsConfig=True)
        for name in ("no-buckets", "name-the-key", "count", "untagged"):
            info.policies.add(name=name, enforcementLevel=messages.ADVISORY)
        return info

    def Configure(self, request, context):
        self.level = request.policyConfig["no-buckets"].enforcementLevel
        return empty_pb2.Empty()

    def Remediate(self, request, context):
        response = messages.RemediateResponse()
        if request.type == "aws:kms/key:Key":
            fixed = response.remediations.add(policyName="untagged", policyPackName="probe", policyPackVersion="1.0.0")
            fixed.properties.CopyFrom(request.properties)
            fixed.properties["tags"] = {"owner": "ml"}
        return response

    def Analyze(self, request, context):
        if request.type == "aws:s3/bucket:Bucket":
            return self.said("no-buckets", "a bucket", self.level)
        if request.type == "aws:sagemaker/endpointConfiguration:EndpointConfiguration":
            return self.said("name-the-key", request.properties["kmsKeyArn"], messages.ADVISORY)
        return messages.AnalyzeResponse()

    def AnalyzeStack(self, request, context):
        kinds = sorted(each.type for each in request.resources if not each.type.startswith("pulumi:"))
        return self.said("count", ", ".join(kinds), messages.ADVISORY)

    def Cancel(self, request, context):
        return empty_pb2.Empty()

    def said(self, policy, message, level):
        return messages.AnalyzeResponse(
            diagnostics=[
                messages.AnalyzeDiagnostic(
                    policyName=policy,
                    policyPackName="probe",
                    policyPackVersion="1.0.0",
                    message=message,
                    enforcementLevel=level,
                )
            ]
        )


server = grpc.server(futures.ThreadPoolExecutor(4))
analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Pack(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"""
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # how the protocol writes a value that isn't known yet
URN = "urn:pulumi:dev::cloud::"


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "PulumiPolicy.yaml").write_text("name: probe\nversion: 1.0.0\nruntime: python\n")
    (folder / "__main__.py").write_text(PACK)
    return folder


def resources(project: CloudProject) -> dict[str, dict[str, Any]]:
    found = project.export_state()["deployment"].get("resources", [])
    return {each["urn"].rpartition("::")[2]: each for each in found}


@engine
def test_resources_of_both_live_through_their_life(cloud_project: Callable[[str], CloudProject]) -> None:
    project = cloud_project(PROGRAM)
    preview = project.preview()
    assert preview.changes == {"create": 5}  # and the stack
    assert "arn : [unknown]" in preview.text

    assert project.up().changes == {"created": 5}
    state = resources(project)
    arn = state["key"]["outputs"]["arn"]
    assert arn == f"arn:aws:kms:us-east-1:123456789012:key/{state['key']['id']}"
    assert state["endpoint"]["inputs"]["kmsKeyArn"] == state["endpoint"]["outputs"]["kmsKeyArn"] == arn
    name = state["deployment"]["outputs"]["metadata"]["name"]
    assert name.startswith("deployment-")
    assert state["deployment"]["id"] == name
    assert project.outputs() == {"arn": arn, "name": name}
    assert "ciphertext" in state["bucket"]["outputs"]["tags"]["team"]
    assert SECRET not in json.dumps(project.export_state())

    assert project.preview().changes == {"unchanged": 5}
    source = project.folder / "__main__.py"
    source.write_text(source.read_text().replace("models", "features"))
    assert project.up().changes == {"updated": 1, "unchanged": 4}
    changed = resources(project)
    assert changed["key"]["outputs"]["description"] == "features"
    assert changed["key"]["outputs"]["arn"] == arn

    assert project.pulumi("refresh", "--yes", "--skip-preview").changes == {"unchanged": 5}
    project.destroy()
    assert resources(project) == {}


@engine
def test_a_policy_pack_sees_unknowns_in_preview_and_values_in_up(
    cloud_project: Callable[[str], CloudProject], pack: Path
) -> None:
    project = cloud_project(PROGRAM)
    kinds = ", ".join(
        [
            "aws:kms/key:Key",
            "aws:s3/bucket:Bucket",
            "aws:sagemaker/endpointConfiguration:EndpointConfiguration",
            "kubernetes:apps/v1:Deployment",
        ]
    )
    endpoint = f"{URN}aws:sagemaker/endpointConfiguration:EndpointConfiguration::endpoint"
    expected = {
        Violation("no-buckets", "probe", "advisory", f"{URN}aws:s3/bucket:Bucket::bucket", "a bucket"),
        Violation("name-the-key", "probe", "advisory", endpoint, UNKNOWN),
        Violation("count", "probe", "advisory", f"{URN}pulumi:pulumi:Stack::cloud-dev", kinds),
    }
    preview = project.preview([pack])
    assert set(preview.violations) == expected
    assert preview.remediations == (
        (
            "untagged",
            f"{URN}aws:kms/key:Key::key",
            {"description": "models", "enableKeyRotation": True, "tags": {"owner": "ml"}},
        ),
    )

    up = project.up([pack])
    key = resources(project)["key"]
    assert Violation("name-the-key", "probe", "advisory", endpoint, key["outputs"]["arn"]) in up.violations
    assert key["inputs"]["tags"] == {"owner": "ml"}


@engine
def test_a_mandatory_policy_keeps_the_resource_from_being_made(
    cloud_project: Callable[[str], CloudProject], pack: Path, tmp_path: Path
) -> None:
    project = cloud_project(PROGRAM)
    config = tmp_path / "levels.json"
    config.write_text(json.dumps({"no-buckets": "mandatory"}))
    refused = Violation("no-buckets", "probe", "mandatory", f"{URN}aws:s3/bucket:Bucket::bucket", "a bucket")

    preview = project.preview([pack], [config], check=False)
    assert preview.code != 0
    assert refused in preview.violations
    assert "count" in {each.policy for each in preview.violations}  # the rest is judged all the same

    up = project.up([pack], [config], check=False)
    assert up.code != 0
    assert refused in up.violations
    assert "bucket" not in resources(project)


@engine
def test_lookups_answer_a_program(cloud_project: Callable[[str], CloudProject]) -> None:
    project = cloud_project(
        """
        import pulumi
        import pulumi_aws as aws

        bucket = aws.s3.Bucket("bucket")
        document = aws.iam.get_policy_document_output(
            statements=[
                {
                    "actions": ["s3:GetObject"],
                    "resources": [bucket.arn],
                    "principals": [{"type": "Service", "identifiers": ["sagemaker.amazonaws.com"]}],
                }
            ]
        )
        pulumi.export("account", aws.get_caller_identity().account_id)
        pulumi.export("region", aws.get_region().region)
        pulumi.export("suffix", aws.get_partition().dns_suffix)
        pulumi.export("zones", aws.get_availability_zones(state="available").names)
        pulumi.export("bucket", bucket.arn)
        pulumi.export("document", document.json)
        """
    )
    project.up()
    outputs = project.outputs()
    document = outputs.pop("document")
    bucket = outputs.pop("bucket")
    assert outputs == {
        "account": "123456789012",
        "region": "us-east-1",
        "suffix": "amazonaws.com",
        "zones": ["us-east-1a", "us-east-1b", "us-east-1c"],
    }
    assert (json.loads(document) if isinstance(document, str) else document) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "s3:GetObject",
                "Resource": bucket,
                "Principal": {"Service": "sagemaker.amazonaws.com"},
            }
        ],
    }


@engine
def test_a_lookup_that_is_missing_is_named(cloud_project: Callable[[str], CloudProject]) -> None:
    project = cloud_project('import pulumi_aws as aws\naws.ec2.get_vpc(id="vpc-1")\n')
    preview = project.preview(check=False)
    assert preview.code != 0
    assert "the stand-in provider has no function aws:ec2/getVpc:getVpc" in preview.text


def documented(**arguments: Any) -> Any:
    found = policy_document(arguments)
    document = json.loads(found["json"])
    assert json.loads(found["minifiedJson"]) == document
    return document


def test_a_policy_document_says_what_its_statements_say() -> None:
    assert documented(
        policyId="p",
        statements=[
            {
                "sid": "Refuse",
                "effect": "Deny",
                "notActions": ["iam:B", "iam:A"],
                "notResources": ["*"],
                "notPrincipals": [{"type": "AWS", "identifiers": ["1", "2"]}],
                "conditions": [
                    {"test": "StringLike", "variable": "aws:username", "values": ["&{aws:username}", "a"]},
                    {"test": "StringLike", "variable": "s3:prefix", "values": ["x"]},
                    {"test": "Bool", "variable": "aws:SecureTransport", "values": ["false"]},
                ],
            },
            {"actions": ["s3:*"], "resources": ["*"], "principals": [{"type": "*", "identifiers": ["*"]}]},
        ],
    ) == {
        "Version": "2012-10-17",
        "Id": "p",
        "Statement": [
            {
                "Sid": "Refuse",
                "Effect": "Deny",
                "NotAction": ["iam:A", "iam:B"],
                "NotResource": "*",
                "NotPrincipal": {"AWS": ["1", "2"]},
                "Condition": {
                    "StringLike": {"aws:username": ["${aws:username}", "a"], "s3:prefix": "x"},
                    "Bool": {"aws:SecureTransport": "false"},
                },
            },
            {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Principal": "*"},
        ],
    }


def test_policy_documents_merge_by_statement_id() -> None:
    def source(sid: str, action: str) -> str:
        return json.dumps({"Statement": {"Sid": sid, "Effect": "Allow", "Action": action}})

    merged = documented(
        sourcePolicyDocuments=[source("A", "s:1"), source("B", "s:2")],
        statements=[{"sid": "B", "actions": ["s:3"]}, {"sid": "C", "actions": ["s:4"]}],
        overridePolicyDocuments=[source("C", "s:5")],
    )
    assert [(each["Sid"], each["Action"]) for each in merged["Statement"]] == [("A", "s:1"), ("B", "s:3"), ("C", "s:5")]
    with pytest.raises(LookupRefusedError, match="must be a JSON object"):
        documented(sourcePolicyDocuments=["no JSON"])
