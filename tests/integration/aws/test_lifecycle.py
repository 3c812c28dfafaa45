"""A stack on AWS lives under the engine: made, left alone, changed in place or replaced, refreshed, gone in order.

The account is a folder (`tools/standins/aws`), whose provider replaces what CloudFormation's schemas say can't change.
What `up` starts by boto3 is started in moto.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from pulumi_mlops.spec.model import plain
from tests.e2e.conftest import REPOSITORY, Outcome, PulumiProject
from tests.unit.platforms.aws import kit
from tools.standins.aws.account import Account, Thing

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("engine")]

PROVIDER = REPOSITORY / "tools/standins/aws/bin"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": kit.REGION}
PROGRAM = """
import pulumi_mlops as mlops

mlops.MLStack("ml", mlops.load("mlops.yaml"))
"""


@dataclass
class AccountProject(PulumiProject):
    """A project whose AWS account is a folder.

    Arguments:
        account: what is there.
        endpoint_url: where boto3 finds AWS.
    """

    account: Account
    endpoint_url: str

    @property
    def environment(self) -> dict[str, str]:
        inherited = {key: value for key, value in super().environment.items() if not key.startswith("AWS_")}
        return {
            **inherited,
            **CREDENTIALS,
            "PATH": f"{PROVIDER}:{inherited['PATH']}",
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "PULUMI_MLOPS_STANDIN_ACCOUNT": str(self.folder / "account"),
        }

    def declare(self, **sections: Any) -> None:
        """Writes the spec of the quickstart with changes; see `kit.quickstart`."""
        spec = plain(kit.quickstart(**sections))
        (self.folder / "mlops.yaml").write_text(json.dumps(spec, default=_written))

    def refresh(self) -> Outcome:
        return self.pulumi("refresh", "--yes", "--skip-preview")

    def one(self, kind: str, ending: str = "") -> Thing:
        """The only resource of a type, or the one whose id ends so."""
        (found,) = [each for each in self.account.things(kind) if each.id.endswith(ending)]
        return found

    def since(self, before: int) -> list[tuple[str, str]]:
        """What was done to resources of which type after so many entries of the journal."""
        return [(operation, kind) for operation, kind, _ in self.account.journal()[before:]]


def _written(value: Any) -> str:
    return f"{value.total_seconds():.0f}s" if isinstance(value, timedelta) else str(value)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """AWS for what `up` starts: the pipeline and the state machine, under the names that the stack gives them."""
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = _client("sagemaker", url)
    role = f"arn:aws:iam::{kit.ACCOUNT}:role/it"
    definition = json.dumps({"Version": "2020-12-01", "Steps": []})
    client.create_pipeline(
        PipelineName="mlops-wine", RoleArn=role, PipelineDefinition=definition, ClientRequestToken="0" * 32
    )
    steps = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    _client("stepfunctions", url).create_state_machine(
        name="mlops-wine-wine-deploy", definition=json.dumps(steps), roleArn=role
    )
    yield url
    server.stop()


def _client(service: str, url: str) -> Any:
    return boto3.client(
        service,
        region_name=kit.REGION,
        endpoint_url=url,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, moto: str) -> AccountProject:
    """The quickstart's stack, up."""
    assert shutil.which("pulumi"), "no engine on PATH; run the tests with `make test`"
    folder, backend = tmp_path_factory.mktemp("stack"), tmp_path_factory.mktemp("backend")
    (folder / "Pulumi.yaml").write_text("name: test\nruntime: python\n")
    (folder / "__main__.py").write_text(PROGRAM)
    shutil.copy(REPOSITORY / "examples/wine/wine.py", folder)
    made = AccountProject(folder, backend, Account(folder / "account"), moto)
    made.declare()
    made.pulumi("stack", "init", "dev")
    made.up()
    return made


def test_a_stack_comes_up_and_a_second_up_changes_nothing(project: AccountProject) -> None:
    before = len(project.account.journal())
    assert {operation for operation, _, _ in project.account.journal()} == {"create"}
    again = project.up()
    assert set(again.changes) == {"unchanged"}, again.text
    assert project.since(before) == []
    assert project.one("sagemaker/endpoint").inputs["endpointConfigName"] in [
        each.id for each in project.account.things("sagemaker/endpointConfiguration")
    ]


def _endpoint(**changes: Any) -> dict[str, Any]:
    first, *rest = kit.quickstart().endpoints
    return {"endpoints": [{**plain(first), **changes}, *map(plain, rest)]}


HOSTED = ("sagemaker/model", "sagemaker/endpointConfiguration")
"""What an endpoint may be on longer than `up` takes."""

# Of what the endpoint is made of: what happens to each part when a setting of the spec changes.
CHANGES: list[tuple[str, Callable[[], dict[str, Any]], set[tuple[str, str]]]] = [
    (
        "more servers",
        lambda: _endpoint(scale={"min": 2, "max": 4}),
        {
            ("create", "appautoscaling/policy"),
            ("create", "appautoscaling/target"),
            ("create", "sagemaker/endpointConfiguration"),
        },
    ),
    (
        "larger servers",
        lambda: _endpoint(resources={"cpu": 4, "memory": "8Gi"}),
        {("create", "sagemaker/model"), ("create", "sagemaker/endpointConfiguration")},
    ),
]


@pytest.mark.parametrize(("change", "expected"), [each[1:] for each in CHANGES], ids=[each[0] for each in CHANGES])
def test_a_setting_of_the_endpoint_changes_or_replaces_its_parts(
    project: AccountProject, change: Callable[[], dict[str, Any]], expected: set[tuple[str, str]]
) -> None:
    project.declare()
    project.up()
    endpoint, before = project.one("sagemaker/endpoint"), len(project.account.journal())
    project.declare(**change())
    project.up()
    done = project.since(before)
    assert expected <= set(done), done
    assert ("create", "sagemaker/endpoint") not in done, "the endpoint answers while it is changed"
    for kind in HOSTED:
        assert [operation for operation, each in done if each == kind] == ["create"], "the endpoint is on the old one"
    # The deployment moves it, not Pulumi.
    assert project.one("sagemaker/endpoint").inputs["endpointConfigName"] == endpoint.inputs["endpointConfigName"]


def test_the_configuration_that_the_endpoint_is_on_stays_until_the_deployment_has_moved_it(
    project: AccountProject,
) -> None:
    project.declare()
    project.up()
    project.declare(**_endpoint(resources={"cpu": 8, "memory": "16Gi"}))
    project.up()
    used = project.one("sagemaker/endpoint").inputs["endpointConfigName"]
    (config,) = [each for each in project.account.things("sagemaker/endpointConfiguration") if each.id == used]
    models = [each["modelName"] for each in config.inputs["productionVariants"]]
    assert set(models) <= {each.id for each in project.account.things("sagemaker/model")}


def test_what_the_deployment_did_to_the_endpoint_stays(project: AccountProject) -> None:
    project.declare()
    project.up()
    endpoint = project.one("sagemaker/endpoint")
    moved = {**endpoint.inputs, "endpointConfigName": "mlops-wine-7"}
    project.account.change(Thing(endpoint.type, endpoint.id, moved, endpoint.outputs))
    project.refresh()
    before = len(project.account.journal())
    project.up()
    assert ("update", "sagemaker/endpoint") not in project.since(before)
    assert project.one("sagemaker/endpoint").inputs["endpointConfigName"] == "mlops-wine-7"


def test_what_somebody_edits_or_deletes_is_found_and_mended(project: AccountProject) -> None:
    project.declare()
    project.up()
    group = project.account.things("cloudwatch/logGroup")[0]
    days = group.inputs["retentionInDays"]
    project.account.change(Thing(group.type, group.id, {**group.inputs, "retentionInDays": 1}, group.outputs))
    dashboard = project.account.things("cloudwatch/dashboard")[0]
    project.account.delete(dashboard.type, dashboard.id)

    refreshed = project.refresh()
    assert refreshed.changes["updated"] == 1, refreshed.text
    assert refreshed.changes["deleted"] == 1, refreshed.text
    mended = project.up()
    assert mended.changes["created"] == 1, mended.text
    assert mended.changes["updated"] == 1, mended.text
    assert project.account.find(group.type, group.id).inputs["retentionInDays"] == days
    project.account.find(dashboard.type, dashboard.id)


def test_a_stack_goes_in_an_order_in_which_nothing_is_in_use(project: AccountProject) -> None:
    project.declare()
    project.up()
    # What Pulumi leaves to boto3, and what deployments have made beside it, is moto's to delete.
    hosted = {kind: {each.id for each in project.account.things(kind)} for kind in HOSTED}
    assert all(len(names) > 1 for names in hosted.values()), "some were replaced, and kept"
    sagemaker = _client("sagemaker", project.endpoint_url)
    neighbours = {"mlops-wine-wine-2-up0a1b2c3d", "mlops-wine-wines-1-0a1b2c3d"}
    for name in {*hosted["sagemaker/model"], "mlops-wine-wine-1-0a1b2c3d", *neighbours}:
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=f"arn:aws:iam::{kit.ACCOUNT}:role/it")
    for name in {*hosted["sagemaker/endpointConfiguration"], "mlops-wine-wine-1-0a1b2c3d", *neighbours}:
        variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large"}
        sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[{**variant, "InitialInstanceCount": 1}]
        )
    project.destroy()
    assert {each["ModelName"] for each in sagemaker.list_models()["Models"]} == neighbours
    configs = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert {each["EndpointConfigName"] for each in configs} == neighbours
    left = {each.kind for each in project.account.things()}
    # What runs were started with is evidence, and stays in the bucket, which would be emptied with it.
    assert left <= {"s3/bucketObjectv2", *HOSTED}
    assert project.state() == []
