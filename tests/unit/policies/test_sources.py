"""Values and resources from the protocol and from states."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest
from pulumi.runtime import rpc

from mlops_policies import UNKNOWN, Secret, Undecided
from mlops_policies.sources import state
from mlops_policies.sources.wire import decoded, encoded
from mlops_policies.values import shown
from pulumi_mlops.testing.graph import capture, preview_outputs
from pulumi_mlops.testing.policy import resource, stack_of

SIGNATURE = rpc._special_sig_key
SECRET = {SIGNATURE: rpc._special_secret_sig, "value": "hunter2"}


def test_unknowns_and_secrets_are_told_apart_at_any_depth() -> None:
    wire = {"a": [rpc.UNKNOWN, {"b": SECRET}], "c": 1.0, "__defaults": ["x"], "d": None}
    assert decoded(wire) == {"a": [UNKNOWN, {"b": Secret("hunter2")}], "c": 1.0, "d": None}
    assert encoded(decoded(wire)) == {"a": wire["a"], "c": 1.0, "d": None}


def test_every_mark_of_an_unknown_value_is_known() -> None:
    source = inspect.getsource(rpc)
    marks = re.findall(r'^_?UNKNOWN\w* = "([0-9a-f-]{36})"', source, re.MULTILINE)
    assert marks
    assert {decoded(mark) for mark in marks} == {UNKNOWN}
    objects = "dd056dcd-154b-4c76-9bd3-c8f88648b5ff"  # as the engine writes it for a whole object
    assert decoded({"a": [objects]}) == {"a": [UNKNOWN]}


def test_a_secret_of_a_state_stays_hidden() -> None:
    assert decoded({SIGNATURE: rpc._special_secret_sig, "ciphertext": "v1:abc"}) == Secret(None)
    assert str(Secret("hunter2")) == repr(Secret("hunter2")) == f"{Secret('hunter2')}" == "[secret]"


def test_an_output_is_its_value() -> None:
    output = {SIGNATURE: rpc._special_output_value_sig}
    assert decoded({**output, "value": "x"}) == "x"
    assert decoded({**output, "value": "x", "secret": True}) == Secret("x")
    assert decoded(output) is UNKNOWN


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        ("plain", "a", "plain"),
        ("AKIAIOSFODNN7EXAMPLE", "a", "[hidden]"),
        ("postgres://u:pw@host/db", "a", "[hidden]"),
        ("x", "environment.DB_PASSWORD", "[hidden]"),
        ({"dbPassword": "x", "port": 1}, "", {"dbPassword": "[hidden]", "port": 1}),
        ({"environment": {"MODE": "hunter2"}}, "", {"environment": {"MODE": "[hidden]"}}),
        (Secret("x"), "a", "[secret]"),
        (UNKNOWN, "a", "[known after up]"),
        ("y" * 300, "a", "y" * 199 + "…"),
    ],
)
def test_what_is_shown_holds_no_credential(value: object, path: str, expected: object) -> None:
    assert shown(value, path) == expected


def test_a_part_of_a_secret_is_secret() -> None:
    made = resource("a:b:C", "c", env=Secret({"A": "x"}))
    assert made.value("env.A") == Secret("x")
    assert made.has("env.A")
    assert not made.has("env.B")
    with pytest.raises(Undecided, match=r"env\.A is secret"):
        made.text("env.A")


def test_a_part_of_something_unknown_is_unknown() -> None:
    made = resource("a:b:C", "c", config=UNKNOWN)
    assert made.has("config.key")
    with pytest.raises(Undecided, match=r"config\.key is decided during up"):
        made.text("config.key")


def test_cloud_control_is_judged_as_the_native_resource() -> None:
    made = resource(
        "aws:cloudcontrol/resource:Resource",
        "quality",
        refers={"desiredState": resource("aws:kms/key:Key", "key")},
        typeName="AWS::SageMaker::ModelQualityJobDefinition",
        desiredState=json.dumps({"NetworkConfig": {"EnableNetworkIsolation": True}, "Tags": [{"Key": "a"}]}),
    )
    assert made.type == "aws-native:sagemaker:ModelQualityJobDefinition"
    assert made.flag("networkConfig.enableNetworkIsolation")
    assert made.text("tags.0.key") == "a"
    assert list(made.property_dependencies) == ["networkConfig", "tags"]


def test_a_captured_program_keeps_secrets_unknowns_and_dependencies() -> None:
    class Thing(pulumi.CustomResource):
        arn: pulumi.Output[str]

        def __init__(self, name: str, **props: Any) -> None:
            super().__init__("test:index:Thing", name, {"arn": None, **props})

    def program() -> None:
        first = Thing("first", password=pulumi.Output.secret("hunter2"))
        Thing("second", key=first.arn, id_of=first.id)

    stack = stack_of(capture(program, outputs=lambda _: {}, preview=True))
    first, second = stack.of("test:index:Thing")
    assert first.props["password"] == Secret("hunter2")
    assert second.props["key"] is UNKNOWN
    assert second.props["id_of"] is UNKNOWN
    assert second.property_dependencies["key"] == (first.urn,)
    assert stack.refers(second, "key", first)


def deployment(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"version": 3, "deployment": {"resources": list(resources)}}


def entry(token: str, name: str, **more: Any) -> dict[str, Any]:
    return {"urn": f"urn:pulumi:prod::project::{token}::{name}", "type": token, **more}


def test_a_state_becomes_a_stack(tmp_path: Path) -> None:
    provider = entry("pulumi:providers:aws", "default", id="p1", inputs={"region": "eu-west-1"})
    made = entry(
        "aws:s3/bucket:Bucket",
        "logs",
        provider=f"{provider['urn']}::p1",
        inputs={"bucket": "logs", "__defaults": []},
        outputs={"arn": "arn:aws:s3:::logs"},
        propertyDependencies={"bucket": ["urn:x"]},
    )
    gone = entry("aws:s3/bucket:Bucket", "old", delete=True)
    looked_up = entry("aws:s3/bucket:Bucket", "theirs", external=True)
    file = tmp_path / "state.json"
    file.write_text(json.dumps(deployment(entry("pulumi:pulumi:Stack", "s"), provider, made, gone, looked_up)))
    stack = state.read(file)
    (bucket,) = stack.resources
    assert (stack.name, stack.complete) == ("prod", True)
    assert (bucket.name, dict(bucket.props)) == ("logs", {"bucket": "logs"})
    assert bucket.provider == {"region": "eu-west-1"}
    assert bucket.outputs == {"arn": "arn:aws:s3:::logs"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "is no exported state"),
        ('{"version": 1}', "version 3 or 4"),
        ('{"version": 3, "deployment": {"resources": 5}}', "is damaged"),
        ('{"version": 3, "deployment": {"resources": [{"urn": "x"}]}}', "is damaged"),
        ('{"version": 3, "deployment": {"resources": ["x"]}}', "is damaged"),
    ],
)
def test_a_file_that_is_no_state_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(text)
    with pytest.raises(state.StateError, match=said):
        state.read(file)
    with pytest.raises(state.StateError, match="no such file"):
        state.read(tmp_path / "nothing.json")


def test_an_object_of_kubernetes_has_a_name_as_under_the_engine() -> None:
    names: list[str] = []

    def program() -> None:
        made = kubernetes.core.v1.Namespace("ml", metadata={"labels": {"a": "b"}})
        made.metadata["name"].apply(names.append)

    capture(program, outputs=preview_outputs, preview=True)
    assert [name[:3] for name in names] == ["ml-"]
