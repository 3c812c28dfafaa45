"""What a spec is refused for on AWS, before anything is asked or made."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

import pulumi_mlops as mlops
from pulumi_mlops.platforms.aws import preflight
from pulumi_mlops.platforms.aws.platform import AwsPlatform
from tests.unit.platforms.aws import kit

ENDPOINTS = kit.document()["endpoints"]
MONITORS = kit.document()["monitors"]


def found(**sections: Any) -> list[str]:
    return preflight.problems(kit.spec(**sections))


def test_the_specs_of_the_tests_come_up() -> None:
    assert found() == []
    assert preflight.problems(kit.quickstart()) == []


def test_it_is_the_platforms_preflight() -> None:
    wrong = kit.spec(governance={"regions": ["eu-north-1"]})
    assert AwsPlatform.preflight(wrong) == preflight.problems(wrong)
    with pytest.raises(pulumi.RunError, match=r"the spec can't come up on this platform:\n  governance\.regions: "):
        kit.graph(wrong)


def test_specs_of_other_platforms_have_no_problems_here() -> None:
    wine = mlops.load(kit.ROOT / "examples/wine/mlops.yaml")
    assert preflight.problems(wine) == []


@pytest.mark.parametrize(
    ("sections", "beginning"),
    [
        ({"governance": {"regions": ["eu-north-1"]}}, "governance.regions: "),
        ({"governance": {"tags": {"mlops:x": "y"}}}, "governance.tags.mlops:x: "),
        ({"identity": {"owner": "Ann (EU)"}}, "identity.owner: "),
        (
            {"delivery": None, "aws": {"oidc_provider_arn": f"arn:aws:iam::{kit.ACCOUNT}:oidc-provider/x"}},
            "platform.aws.",
        ),
        ({"aws": {"network": None}}, "data.sources.weather.uri: the network that is made "),
        ({"aws": {"store": {"bucket": "warehouse"}}}, "endpoints[0].capture.retention: the bucket exists "),
        ({"data": {"sources": {"flights": {"uri": "data/flights.csv"}}}}, "data.sources.flights.uri: "),
        ({"endpoints": [{**ENDPOINTS[0], "token": "secret:tokens/delay"}, *ENDPOINTS[1:]]}, "endpoints[0].token: "),
        ({"endpoints": [{**ENDPOINTS[0], "host": "delay.example.com"}, *ENDPOINTS[1:]]}, "endpoints[0].host: "),
        ({"endpoints": [{**ENDPOINTS[0], "port": 8081}, *ENDPOINTS[1:]]}, "endpoints[0].port: "),
        ({"monitors": [{**MONITORS[0], "port": 9100}]}, "monitors"),
        ({"training": {"compute": {"cpu": 1000}}}, "training.compute"),
        ({"retraining": {"triggers": {"new_data": {"source": "flights", "interval": "90s"}}}}, "retraining.triggers."),
    ],
)
def test_every_part_is_asked(sections: dict[str, Any], beginning: str) -> None:
    problems = found(**sections)
    assert any(each.startswith(beginning) for each in problems), problems
    # Each says how to mend it.
    assert all(";" in each or "take" in each for each in problems)


def test_secrets_of_this_machine_are_refused_where_they_stand() -> None:
    problems = found(
        data={"sources": {"weather": {"password": "env:WEATHER"}}},
        retraining={"alerts": [{"webhook": "file:/run/secrets/hook"}]},
    )
    for field in ("data.sources.weather.password", "retraining.alerts[0].webhook"):
        [told] = [each for each in problems if each.startswith(f"{field}: ")]
        assert "secret:NAME/KEY" in told
    assert len(problems) == 2


def test_a_production_environment_asks_for_production() -> None:
    def problems(name: str, **overlay: Any) -> list[str]:
        spec = kit.spec(environments={name: overlay or {"registry": {"keep_versions": 9}}})
        return preflight.problems(spec.in_environment(name))

    assert [each.partition(":")[0] for each in problems("prod")] == ["platform.aws.production"]
    assert problems("staging") == []
    assert problems("prod", platform={"aws": {"production": True}}) == []


def test_nothing_is_told_twice() -> None:
    problems = found(aws={"network": None}, data={"sources": {"flights": {"uri": "data/flights.csv"}}})
    assert len(problems) == len({*problems})
