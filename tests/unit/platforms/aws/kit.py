"""Specs for an AWS account, and the resources that they become.

graph(spec(aws={"production": False}, endpoints=[...]))          # a whole stack
declared(lambda account, parent: endpoint.build(account, parent, "ml-delay", ...))  # one part of it
inputs(found.one("aws:sagemaker/endpoint:Endpoint"))             # a resource as AWS gets it: no marks of secrets
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pulumi
import pulumi_aws

import pulumi_mlops as mlops
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.document import read
from pulumi_mlops.spec.environments import merge
from pulumi_mlops.spec.governance import Governance
from pulumi_mlops.testing import Captured, Graph, aws, capture
from pulumi_mlops.testing.lookups import LOOKUPS
from tests.aws_kit.plain import plain

HERE: Final = Path(__file__).parent
PROJECT: Final = HERE / "project"
"""Folder of the specs, with the user's code."""

ROOT: Final = HERE.parents[3]

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"
BUCKET: Final = f"mlops-{ACCOUNT}-{REGION}"
KEY_ARN: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SUBNETS: Final = ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]
SECURITY_GROUP: Final = "sg-0a1b2c3d4e5f60001"
TRACKING_ARN: Final = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:mlflow-tracking-server/mlops"


def document(**sections: Any) -> dict[str, Any]:
    """The full spec for an account (every field of tests/unit/spec/full.yaml that AWS knows), as plain data.

    Arguments:
        sections: merged over the spec's (RFC 7396: mappings are merged, lists replaced, None takes a key out);
            `aws` stands for `platform.aws`.
    """
    full = _read(ROOT / "tests/unit/spec/full.yaml")
    return _merged(merge(full, _read(PROJECT / "overlay.yaml")), sections)


def quickstart(**sections: Any) -> mlops.Spec:
    """examples/wine with another `platform`, whose network is made, and data that an account can read; see
    `document`."""
    wine = _read(ROOT / "examples/wine/mlops.yaml")
    bottles = {"sources": {"bottles": {"uri": "s3://warehouse/bottles.parquet"}}}
    endpoints = [{key: value for key, value in each.items() if key != "port"} for each in wine["endpoints"]]
    platform = document()["platform"]
    del platform["aws"]["network"]
    return _spec(_merged(merge(wine, {"platform": platform, "data": bottles, "endpoints": endpoints}), sections))


def spec(**sections: Any) -> mlops.Spec:
    """The full spec for an account; see `document`."""
    return _spec(document(**sections))


def settings(**changes: Any) -> Aws:
    """Its `platform.aws` section, with other values; see `document`."""
    found = spec(aws=changes).platform.aws
    assert found is not None
    return found


def outputs(resource: Captured, *, account: str = ACCOUNT, region: str = REGION) -> Mapping[str, Any]:
    """Outputs beside the inputs, as AWS gives them in an account and region: those of the specs here, by default."""
    return aws.outputs(resource.type, resource.name, resource.inputs, account=account, region=region)


def captured(
    program: Callable[[], Any], *, preview: bool = False, account: str = ACCOUNT, region: str = REGION
) -> Graph:
    """What any program declares, with outputs and answers of an account and region: those of the specs here, unless
    others are given."""

    def made(resource: Captured) -> Mapping[str, Any]:
        return {} if preview else outputs(resource, account=account, region=region)

    def answer(token: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return LOOKUPS[token]({"region": region, **arguments})

    return capture(program, outputs=made, preview=preview, answer=answer)


def graph(declared_spec: mlops.Spec) -> Graph:
    """Resources of the stack `ml` that a spec declares."""
    return captured(lambda: mlops.MLStack("ml", declared_spec))


def declared(
    build: Callable[[Account, pulumi.Resource], Any],
    chosen: Aws | None = None,
    *,
    directory: Path = PROJECT,
    governance: Mapping[str, Governance] | None = None,
    preview: bool = False,
) -> Graph:
    """What a part of the platform declares, on a foundation that exists: no resource of it is in the graph.

    Arguments:
        build: declares it, given an account and a component to be its parent.
        chosen: the platform's settings. Default: `settings()`.
        directory: that relative paths start from.
        governance: governance sections by the model's name. Default: none.
        preview: whether outputs are unknown, as in a preview of a new stack.
    """

    def program() -> None:
        component = pulumi.ComponentResource("mlops:index:Component", "ml")
        build(account(component, chosen, directory=directory, governance=governance), component)

    return captured(program, preview=preview)


def account(
    component: pulumi.Resource,
    chosen: Aws | None = None,
    *,
    directory: Path = PROJECT,
    governance: Mapping[str, Governance] | None = None,
) -> Account:
    """An account with a foundation that exists, within a captured program; see `declared`."""
    section = chosen or settings()
    provider = pulumi_aws.Provider("aws", region=section.region, allowed_account_ids=[section.account])
    made = Account(component, "ml", section, directory, provider)
    made.key_arn = pulumi.Output.from_input(section.key_arn or KEY_ARN)
    made.bucket = section.store.bucket or BUCKET
    made.subnet_ids = pulumi.Output.from_input(section.network.subnet_ids or SUBNETS)
    made.security_group_id = pulumi.Output.from_input(SECURITY_GROUP)
    made.tracking_arn = section.tracking.server_arn or TRACKING_ARN
    made.governance.update(governance or {})
    return made


def inputs(resource: Captured) -> dict[str, Any]:
    """A resource's inputs as AWS gets them: secrets as plain as the rest, whole numbers without a point, no nulls."""
    return plain(resource.inputs)


def json_of(resource: Captured, field: str) -> Any:
    """The JSON document in an input, such as a role's policy or a pipeline's definition."""
    return json.loads(inputs(resource)[field])


def one(found: Graph, token: str, name: str | None = None) -> Captured:
    """The only resource of a type, or the one with a Pulumi name."""
    matching = [each for each in found.of(token) if name in (None, each.name)]
    assert len(matching) == 1, f"{len(matching)} resources {token} {name}: {[each.name for each in found.of(token)]}"
    return matching[0]


def _read(file: Path) -> dict[str, Any]:
    found = read(file, str(file)).root.plain()
    assert isinstance(found, dict)
    return found


def _merged(base: Mapping[str, Any], sections: Mapping[str, Any]) -> dict[str, Any]:
    changes = dict(sections)
    chosen = changes.pop("aws", {})
    # One after the other: merged with each other first, the keys that they take out would be forgotten.
    merged = merge(merge(base, changes), {"platform": {"aws": chosen}})
    assert isinstance(merged, dict)
    return merged


def _spec(data: Mapping[str, Any]) -> mlops.Spec:
    return mlops.Spec.model_validate(data).located(PROJECT)
