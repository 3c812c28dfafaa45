"""Notebook instances: their network, their users' rights, their platform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource

rule = pack("security")


@rule(
    *aws.NOTEBOOK_INSTANCE,
    severity="high",
    remediation='Set `directInternetAccess` to "Disabled", and `subnetId` to a subnet of yours.',
    references={
        "aws-ai-bp": ["SageMaker.1"],
        "aws-config": ["sagemaker-notebook-no-direct-internet-access"],
        "checkov": ["CKV_AWS_122"],
        "prowler": ["sagemaker_notebook_instance_without_direct_internet_access_configured", "AISF-ML-02"],
        "hipaa": ["164.312(a)(1)"],
        "gdpr": ["Art. 32(1)(b)"],
        "soc2": ["CC6.6"],
        "eu-ai-act": ["Art. 15(5)"],
    },
)
def notebook_no_direct_internet(notebook: Resource) -> Iterator[Finding]:
    """Notebook instances have no direct access to the internet.

    By default they have it, through a network interface of SageMaker's that no rule of yours reaches.
    """
    if notebook.text("directInternetAccess") != "Disabled":
        yield notebook.finding("it reaches the internet directly", "directInternetAccess")


@rule(
    *aws.NOTEBOOK_INSTANCE,
    severity="high",
    remediation="Set `subnetId` and `securityGroups` (aws-native: `securityGroupIds`) of a VPC of yours.",
    references={
        "aws-ai-bp": ["SageMaker.2"],
        "checkov": ["CKV_AWS_306"],
        "prowler": ["sagemaker_notebook_instance_vpc_settings_configured", "AISF-ML-02"],
        "hipaa": ["164.312(a)(1)"],
        "gdpr": ["Art. 32(1)(b)"],
        "soc2": ["CC6.6"],
        "eu-ai-act": ["Art. 15(5)"],
    },
)
def notebook_in_vpc(notebook: Resource) -> Iterator[Finding]:
    """Notebook instances run in a VPC of yours.

    What they reach is then decided by its security groups and routes, and seen in its flow logs.
    """
    if not notebook.has("subnetId"):
        yield notebook.finding("it runs in no VPC of yours", "subnetId")


@rule(
    *aws.NOTEBOOK_INSTANCE,
    severity="high",
    remediation='Set `rootAccess` to "Disabled"; what needs root goes into a lifecycle configuration, which keeps it.',
    references={
        "aws-ai-bp": ["SageMaker.3"],
        "checkov": ["CKV_AWS_307"],
        "prowler": ["sagemaker_notebook_instance_root_access_disabled", "AISF-ML-02"],
        "hipaa": ["164.312(a)(1)"],
        "gdpr": ["Art. 32(1)(b)"],
        "soc2": ["CC6.3"],
    },
)
def notebook_no_root(notebook: Resource) -> Iterator[Finding]:
    """Users of notebook instances are not root.

    Root can change what a lifecycle configuration set up for all, its logging included. The default is root.
    """
    if notebook.text("rootAccess") != "Disabled":
        yield notebook.finding("its users are root", "rootAccess")


class Platforms(Parameters):
    """Parameters of `notebook-supported-platform`."""

    supported: tuple[str, ...] = ("notebook-al2023-v1", "notebook-al2023-v2")
    """Platform identifiers that get updates. Default: those on Amazon Linux 2023; support of Amazon Linux 2
    (`notebook-al2-v1` to `-v3`) ended on 30 June 2026."""


@rule(
    *aws.NOTEBOOK_INSTANCE,
    severity="medium",
    remediation='Set `platformIdentifier` to "notebook-al2023-v1".',
    references={"aws-ai-bp": ["SageMaker.8"], "soc2": ["CC7.1"]},
    parameters=Platforms,
)
def notebook_supported_platform(notebook: Resource, parameters: Platforms) -> Iterator[Finding]:
    """Notebook instances run on a platform that gets security updates.

    One that names no platform gets SageMaker's default, which is supported (API reference, `CreateNotebookInstance`).
    """
    platform = notebook.text("platformIdentifier")
    if platform is not None and platform not in parameters.supported:
        message = f"its platform is none of those that get updates: {', '.join(parameters.supported)}"
        yield notebook.finding(message, "platformIdentifier")


def _with_imdsv2(notebook: Resource) -> Mapping[str, Any]:
    return {
        **notebook.props,
        "instanceMetadataServiceConfiguration": {"minimumInstanceMetadataServiceVersion": "2"},
    }


@rule(
    *aws.NOTEBOOK_INSTANCE,
    severity="medium",
    remediation='Set `instanceMetadataServiceConfiguration.minimumInstanceMetadataServiceVersion` to "2".',
    references={"checkov": ["CKV_AWS_371"], "soc2": ["CC6.1"]},
    remedy=_with_imdsv2,
)
def notebook_imdsv2(notebook: Resource) -> Iterator[Finding]:
    """The metadata service of notebook instances answers only to IMDSv2.

    Version 1 gives the credentials of the instance's role to any request that can be made to leave it (SSRF). It is the
    default.
    """
    path = "instanceMetadataServiceConfiguration.minimumInstanceMetadataServiceVersion"
    if notebook.number(path) != 2:
        yield notebook.finding("its metadata service answers to version 1 too", path)
