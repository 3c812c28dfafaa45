"""Parameters of rules change what is found, and remedies mend what they say and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_policies import Resource, Secret, Settings, rules
from mlops_policies.judge import remedied
from pulumi_mlops.testing.policy import UNKNOWN, assert_finds, assert_not_applicable, assert_passes, judge, resource
from tests.unit.policies.cases import cost, security_accounts

KEY = "arn:aws:kms:us-east-1:123456789012:key/2"
REPOSITORY = "aws:ecr/repository:Repository"


def given(rule: str, **parameters: Any) -> Settings:
    return Settings.read({rule: parameters})


@pytest.mark.parametrize(
    ("rule", "found", "parameters"),
    [
        ("encrypt-bucket-kms", security_accounts.encrypted(key=None), {"aws_managed_key": True}),
        ("ecr-scan-immutable", resource(REPOSITORY, imageTagMutability="IMMUTABLE"), {"registry_scans": True}),
        ("role-least-privilege", security_accounts.policy(security_accounts.allow("a:Do")), {"unscoped": ["a:*"]}),
        ("role-least-privilege", security_accounts.attachment("arn:aws:iam::aws:policy/AFullAccess"), {"refused": []}),
        ("cost-tags-required", resource("aws:s3/bucket:Bucket", tags={"team": "ml"}), {"required": ["team"]}),
        ("autoscaling-bounded", cost.target(1, 100), {"most": 100}),
        ("scale-to-zero-nonprod", cost.inference(), {"production": ["s*"]}),
    ],
)
def test_a_parameter_allows_what_the_default_does_not(rule: str, found: Resource, parameters: dict[str, Any]) -> None:
    assert_finds(rule, found)
    assert not judge([found], rule, settings=given(rule, **parameters)).findings


def test_where_no_regions_are_declared_no_resource_is_in_a_wrong_one() -> None:
    found = resource("aws:s3/bucket:Bucket", region="us-east-1")
    assert_finds("region-allowed", found, settings=given("region-allowed", regions=["eu-west-1"]))
    assert_not_applicable("region-allowed", found, settings=given("region-allowed"))


def test_a_trail_of_the_organisation_is_one() -> None:
    assert_finds("audit-trail-on", security_accounts.ENDPOINT)
    allowed = given("audit-trail-on", organization_trail=True)
    assert not judge([security_accounts.ENDPOINT], "audit-trail-on", settings=allowed).findings


@pytest.mark.parametrize(
    ("rule", "broken", "parameters", "changed"),
    [
        ("ecr-scan-immutable", resource(REPOSITORY, imageTagMutability="IMMUTABLE"), {}, "imageScanningConfiguration"),
        ("kms-rotation", resource("aws:kms/key:Key", description="data"), {}, "enableKeyRotation"),
        ("encrypt-bucket-kms", security_accounts.encrypted("AES256", None), {"key": KEY}, "rules"),
        ("encrypt-bucket-kms", security_accounts.native, {"key": KEY}, "bucketEncryption"),
        (
            "encrypt-bucket-kms",
            security_accounts.inline("aws:s3/bucket:Bucket", {"sseAlgorithm": "AES256"}),
            {"key": KEY},
            "serverSideEncryptionConfiguration",
        ),
        (
            "encrypt-bucket-kms",
            security_accounts.inline("aws:s3/bucketV2:BucketV2", {"sseAlgorithm": "AES256"}),
            {"key": KEY},
            "serverSideEncryptionConfigurations",
        ),
        (
            "cost-tags-required",
            resource("aws:s3/bucket:Bucket", bucket=UNKNOWN, tags={"owner": Secret("ml")}),
            {"defaults": {"environment": "dev", "owner": "nobody"}},
            "tags",
        ),
        (
            "cost-tags-required",
            resource("aws-native:s3:Bucket"),
            {"defaults": {"environment": "dev", "owner": "ml"}},
            "tags",
        ),
        (
            "cost-tags-required",
            resource("aws:autoscaling/group:Group", tags=[{"key": "owner", "value": "ml", "propagateAtLaunch": True}]),
            {"defaults": {"environment": "dev"}},
            "tags",
        ),
    ],
)
def test_a_remedy_mends_one_property(rule: str, broken: Resource, parameters: dict[str, Any], changed: str) -> None:
    settings = Settings.read({rule: parameters}) if parameters else Settings()
    assert_finds(rule, broken, settings=settings)
    mended = remedied(rules()[rule], broken, settings)
    assert mended is not None
    assert {key for key in {*mended, *broken.props} if mended.get(key) is not broken.props.get(key)} == {changed}
    assert_passes(rule, Resource(broken.type, broken.name, mended), settings=settings)


def test_a_remedy_keeps_the_tags_that_there_are() -> None:
    broken = resource("aws:s3/bucket:Bucket", tags={"owner": Secret("ml"), "team": UNKNOWN})
    settings = given("cost-tags-required", defaults={"environment": "dev", "owner": "nobody"})
    mended = remedied(rules()["cost-tags-required"], broken, settings)
    assert mended == {"tags": {"owner": Secret("ml"), "team": UNKNOWN, "environment": "dev"}}


def test_tags_of_a_launched_instance_are_passed_on() -> None:
    settings = given("cost-tags-required", defaults={"owner": "ml"})
    mended = remedied(rules()["cost-tags-required"], resource("aws:autoscaling/group:Group"), settings)
    assert mended == {"tags": [{"key": "owner", "value": "ml", "propagateAtLaunch": True}]}


@pytest.mark.parametrize(
    ("rule", "left", "parameters"),
    [
        ("encrypt-bucket-kms", security_accounts.encrypted("AES256", None), {}),
        # A configuration beside it may name another key.
        ("encrypt-bucket-kms", security_accounts.bucket, {"key": KEY}),
        ("cost-tags-required", resource("aws:s3/bucket:Bucket"), {}),
        ("cost-tags-required", resource("aws:s3/bucket:Bucket", tags=cost.TAGS), {"defaults": cost.TAGS}),
        ("ecr-scan-immutable", resource(REPOSITORY, imageScanningConfiguration={"scanOnPush": True}), {}),
    ],
)
def test_what_can_not_be_mended_safely_is_left(rule: str, left: Resource, parameters: dict[str, Any]) -> None:
    settings = Settings.read({rule: parameters}) if parameters else Settings()
    assert remedied(rules()[rule], left, settings) is None
