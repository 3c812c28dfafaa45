"""What `destroy` takes along: packages before their group, and after an endpoint all that it was on, and only that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pulumi_mlops.platforms.aws import endpoint_names
from pulumi_mlops.platforms.aws.clients import AwsError
from pulumi_mlops.platforms.aws.leftovers import ModelsOfEndpoints, NewNames, PackagesOfGroups
from pulumi_mlops.platforms.aws.names import Names
from pulumi_mlops.testing import Captured, Graph
from tests.aws_kit.recorded import recorded, refusal
from tests.unit.platforms.aws import kit
from tests.unit.platforms.aws.deployment_kit import declared, rest

OURS = "pulumi-python:dynamic/mlops"
PACKAGES, DEPLOYED, NAME = (f"{OURS}:{each}" for each in ("ModelPackages", "DeployedModels", "NewName"))
MODEL = "aws:sagemaker/model:Model"
CONFIG = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
PLACE = {"account": kit.ACCOUNT, "region": kit.REGION, "assume_role": None}
ROLE = f"arn:aws:iam::{kit.ACCOUNT}:role/it"

ITS_OWN = [
    "mlops-delay-delay-1-0a1b2c3d",
    "mlops-delay-delay-27-99999999",
    "mlops-delay-delay-up0a1b2c3d",
    "mlops-delay-delay-up11111111",
]
"""Of the endpoint `delay`."""

NEIGHBOURS = [
    "mlops-delay-delay",
    "mlops-delay-delay-0a1b2c3d",
    "mlops-delay-delay-1-0a1b2c3",
    "mlops-delay-delay-1-0a1b2c3d4",
    "mlops-delay-delay-1-0A1B2C3D",
    "mlops-delay-delay-2-1-0a1b2c3d",
    "mlops-delay-delay-2-up0a1b2c3d",
    "mlops-delay-delay-new-1-0a1b2c3d",
    "mlops-delay-delays-1-0a1b2c3d",
    "mlops-delay-delays-up0a1b2c3d",
    "x-mlops-delay-delay-1-0a1b2c3d",
]
"""Of other endpoints (`delay-2`, `delay-new`, `delays`), of other platforms, and of people."""


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """SageMaker, which is moto's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield boto3.client("sagemaker", kit.REGION)


def whole() -> Graph:
    return kit.graph(kit.quickstart())


def test_packages_go_before_their_group_and_after_what_registers_them() -> None:
    graph = whole()
    packages = kit.one(graph, PACKAGES)
    assert kit.one(graph, "aws:sagemaker/modelPackageGroup:ModelPackageGroup").urn in packages.depends_on
    assert {key: packages.inputs[key] for key in ("account", "region", "target")} == {
        "account": kit.ACCOUNT,
        "region": kit.REGION,
        "target": "mlops-wine",
    }
    pipelines = {each.inputs["pipelineName"]: each for each in graph.of("aws:sagemaker/pipeline:Pipeline")}
    assert packages.urn in pipelines["mlops-wine"].depends_on


def test_what_an_endpoint_was_on_goes_after_the_endpoint_and_its_state_machine() -> None:
    graph = whole()
    deployed, endpoint = kit.one(graph, DEPLOYED), kit.one(graph, "aws:sagemaker/endpoint:Endpoint")
    assert kit.inputs(deployed)["target"] == "mlops-wine-wine"
    assert deployed.urn in endpoint.depends_on
    machine = kit.one(graph, "aws:sfn/stateMachine:StateMachine", f"{endpoint.name}-deploy")
    assert endpoint.urn in machine.depends_on


def test_packages_are_made_and_protected_in_production_where_leaving_them_out_would_delete_them() -> None:
    for production in (False, True):
        graph = kit.graph(kit.spec(aws={"production": production}))
        group = kit.one(graph, "aws:sagemaker/modelPackageGroup:ModelPackageGroup")
        assert kit.one(graph, PACKAGES).protect is group.protect is production


def test_configs_and_models_that_are_replaced_are_left_to_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = _retained(monkeypatch)
    declared(rest())
    assert kept == {MODEL, CONFIG}


def _retained(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Types of the resources that are declared with `retain_on_delete`, as they come."""
    from pulumi.runtime import mocks

    found: set[str] = set()
    plain = mocks.MockMonitor.RegisterResource

    def noted(monitor: Any, request: Any) -> Any:
        if request.retainOnDelete:
            found.add(request.type)
        return plain(monitor, request)  # type: ignore[no-untyped-call] # the SDK's

    monkeypatch.setattr(mocks.MockMonitor, "RegisterResource", noted)
    return found


def _name(graph: Graph) -> Captured:
    return kit.one(graph, NAME)


def test_everything_that_a_config_or_model_is_made_of_gives_another_name() -> None:
    before = _name(declared(rest()))
    assert _name(declared(rest())).inputs["digest"] == before.inputs["digest"]
    # A bucket is in no digest of the settings, and is where requests are captured.
    for changed in (declared(rest(max_rows=7)), declared(rest(), store={"bucket": "another"})):
        assert _name(changed).inputs["digest"] != before.inputs["digest"]
        assert kit.inputs(changed.one(CONFIG))["name"] == f"mlops-delay-delays-up{_name(changed).inputs['digest']}"


def new_name(props: dict[str, Any]) -> str:
    outputs = NewNames().create(props).outs
    assert outputs is not None
    return str(outputs["made"])


def test_a_name_is_never_had_twice_and_stays_as_long_as_nothing_changes() -> None:
    props = {"beginning": "mlops-delay-delay", "digest": "1", "made": None}
    first, second = (new_name(props) for _ in range(2))
    assert first != second
    assert all(re.fullmatch(r"mlops-delay-delay-up[0-9a-f]{8}", each) for each in (first, second))
    assert not NewNames().diff(first, {**props, "made": first}, props).changes
    found = NewNames().diff(first, {**props, "made": first}, {**props, "digest": "2"})
    assert (found.changes, found.replaces, found.delete_before_replace) == (True, ["digest"], False)


@pytest.mark.parametrize("prefix", ["mlops", "p" * 20])
def test_names_fit_and_are_found_again_however_long_they_are(sagemaker: Any, prefix: str) -> None:
    names = Names(kit.settings(prefix=prefix))
    endpoints = ["a" * 40, f"{'a' * 39}b"]
    first, second = (endpoint_names.made_beginning(names, "b" * 40, each) for each in endpoints)
    made = [new_name({"beginning": each, "digest": "1"}) for each in (first, second)]
    assert max(map(len, made)) <= 63
    make(sagemaker, made)
    ModelsOfEndpoints().delete(first, {**PLACE, "target": first})
    assert models(sagemaker) == configs(sagemaker) == made[1:]


def make(sagemaker: Any, names: list[str]) -> None:
    """Make a model and a config of each name."""
    for name in names:
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE)
        variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large"}
        sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[{**variant, "InitialInstanceCount": 1}]
        )


def models(sagemaker: Any) -> list[str]:
    pages = sagemaker.get_paginator("list_models").paginate()
    return sorted(each["ModelName"] for page in pages for each in page["Models"])


def configs(sagemaker: Any) -> list[str]:
    pages = sagemaker.get_paginator("list_endpoint_configs").paginate()
    return sorted(each["EndpointConfigName"] for page in pages for each in page["EndpointConfigs"])


def test_models_and_configs_of_an_endpoint_go_and_those_of_its_neighbours_stay(sagemaker: Any) -> None:
    make(sagemaker, [*ITS_OWN, *NEIGHBOURS])
    provider, props = ModelsOfEndpoints(), {**PLACE, "target": "mlops-delay-delay"}
    made = provider.create(props)
    assert models(sagemaker) == sorted([*ITS_OWN, *NEIGHBOURS])
    assert (made.id, made.outs) == ("mlops-delay-delay", props)
    provider.delete(made.id, props)
    assert models(sagemaker) == configs(sagemaker) == sorted(NEIGHBOURS)
    provider.delete(made.id, props)  # there is nothing any more


def test_what_goes_meanwhile_is_no_matter_and_a_refusal_is_told_in_one_line(sagemaker: Any) -> None:
    make(sagemaker, ITS_OWN[:2])
    props = {**PLACE, "target": "mlops-delay-delay"}
    gone = refusal("ValidationException", 'Could not find endpoint configuration "x".')
    with recorded({("sagemaker", "DeleteEndpointConfig"): gone}):
        ModelsOfEndpoints().delete("it", props)
    assert models(sagemaker) == []
    make(sagemaker, ITS_OWN[:1])
    denied = refusal("AccessDeniedException", "User is not authorized to perform: sagemaker:DeleteModel")
    with (
        recorded({("sagemaker", "DeleteModel"): denied}),
        pytest.raises(AwsError, match="the model mlops-delay-delay-1-0a1b2c3d: access denied") as error,
    ):
        ModelsOfEndpoints().delete("it", props)
    assert "\n" not in str(error.value)


def test_all_pages_are_read(sagemaker: Any) -> None:
    names = [f"mlops-delay-delay-{number}-0a1b2c3d" for number in range(1, 4)]
    asked: list[Mapping[str, Any]] = []

    def page(request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(request)
        at = int(request.get("NextToken", 0))
        found = {"ModelName": names[at], "ModelArn": f"{ROLE}-a-model-arn", "CreationTime": 0}
        return {"Models": [found], **({"NextToken": str(at + 1)} if at + 1 < len(names) else {})}

    with recorded({("sagemaker", "ListModels"): page, ("sagemaker", "DeleteModel"): {}}) as requests:
        ModelsOfEndpoints().delete("it", {**PLACE, "target": "mlops-delay-delay"})
    assert {each["NameContains"] for each in asked} == {"mlops-delay-delay"}
    assert [each.parameters["ModelName"] for each in requests if each.operation == "DeleteModel"] == names


def test_all_packages_of_the_group_go_and_no_others(sagemaker: Any) -> None:
    for group in ("mlops-delay", "mlops-delay-2", "mlops-wine"):
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
        for _ in range(2):
            sagemaker.create_model_package(ModelPackageGroupName=group, ModelApprovalStatus="Approved")
    listed = sagemaker.list_model_packages(ModelPackageGroupName="mlops-delay")["ModelPackageSummaryList"]
    answers = iter([{}, refusal("ValidationException", "ModelPackage mlops-delay/2 does not exist.")])
    with recorded({("sagemaker", "DeleteModelPackage"): lambda _: next(answers)}) as asked:  # moto lacks it
        PackagesOfGroups().delete("mlops-delay", {**PLACE, "target": "mlops-delay"})
    assert sorted(each.parameters["ModelPackageName"] for each in asked) == sorted(
        each["ModelPackageArn"] for each in listed
    )
    assert len(asked) == 2


def test_a_group_that_is_gone_has_no_packages(sagemaker: Any) -> None:
    missing = refusal("ValidationException", "ModelPackageGroup mlops-delay does not exist.")
    with recorded({("sagemaker", "ListModelPackages"): missing}):
        PackagesOfGroups().delete("mlops-delay", {**PLACE, "target": "mlops-delay"})


def test_the_role_of_the_spec_is_assumed(sagemaker: Any) -> None:
    answer = {
        "Credentials": {"AccessKeyId": "A" * 16, "SecretAccessKey": "b", "SessionToken": "c", "Expiration": 2**31},
        "AssumedRoleUser": {"AssumedRoleId": "it:session", "Arn": ROLE},
    }
    with recorded({("sts", "AssumeRole"): answer}) as asked:
        PackagesOfGroups().delete("mlops-delay", {**PLACE, "assume_role": ROLE, "target": "mlops-delay"})
    assert [each.parameters["RoleArn"] for each in asked] == [ROLE]


def test_another_account_is_refused_before_anything_goes(sagemaker: Any) -> None:
    make(sagemaker, ITS_OWN[:1])
    with pytest.raises(AwsError, match="the spec is for 210987654321"):
        ModelsOfEndpoints().delete("it", {**PLACE, "account": "210987654321", "target": "mlops-delay-delay"})
    assert models(sagemaker) == ITS_OWN[:1]


@pytest.mark.parametrize("provider", [PackagesOfGroups(), ModelsOfEndpoints()])
@pytest.mark.parametrize(
    ("change", "replaced"),
    [
        ({}, None),
        ({"target": "mlops-other"}, ["target"]),
        ({"region": "eu-central-1"}, ["region"]),
        ({"account": "210987654321"}, ["account"]),
        ({"assume_role": ROLE}, []),
    ],
)
def test_only_another_place_is_another_resource(provider: Any, change: dict[str, Any], replaced: Any) -> None:
    before = {**PLACE, "target": "mlops-delay", "__provider": "1"}
    after = {**before, "__provider": "2", **change}
    found = provider.diff("it", before, after)
    assert (found.changes, found.replaces) == (replaced is not None, replaced or [])
    if replaced == []:
        assert provider.update("it", before, after).outs == after


def test_names_of_versions_are_those_that_the_state_machine_makes() -> None:
    graph = declared(rest())
    definition = graph.one("aws:sfn/stateMachine:StateMachine").inputs["definition"]
    beginning = graph.one(DEPLOYED).inputs["target"]
    assert f"States.Format('{beginning}-{{}}-{{}}', $.described.ModelPackageVersion" in definition
