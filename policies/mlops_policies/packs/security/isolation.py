"""Networks of models, jobs and Studio domains, and who may sign in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, mlops
from mlops_policies.kinds.jobs import MONITORING, TRAINING, Job, Work, jobs
from mlops_policies.registry import pack
from mlops_policies.resources import Resource, Stack
from mlops_policies.several import some, thorough

rule = pack("security")

_ISOLATED: Final = {
    "hipaa": ["164.312(a)(1)"],
    "gdpr": ["Art. 32(1)(b)"],
    "soc2": ["CC6.6"],
    "eu-ai-act": ["Art. 15(5)"],
}
_NEITHER: Final = "it makes no model, and trains none"


@rule(
    *aws.MODEL,
    *TRAINING,
    graph=True,
    severity="high",
    remediation="Set `enableNetworkIsolation` to true; what the container loads must be in its image or its input.",
    references={
        "aws-ai-bp": ["SageMaker.5"],
        "checkov": ["CKV_AWS_370"],
        "prowler": [
            "sagemaker_models_network_isolation_enabled",
            "sagemaker_training_jobs_network_isolation_enabled",
            "AISF-ML-01",
        ],
        "nist-ai-rmf": ["MEASURE 2.7"],
        **_ISOLATED,
    },
)
def model_network_isolation(resource: Resource, stack: Stack) -> Iterator[Finding]:
    """Containers of models and of training jobs reach no network.

    What a model's artefact or a training library does unseen can then send no data away. Judged are models, training
    and tuning jobs, as resources and where pipelines and state machines make them. The steps of a pipeline of ours read
    and write the store themselves: they are isolated by the platform's private network, which has no way out.
    """
    private = _is_private(resource, stack)
    found = some(jobs(resource, Work.MODEL, Work.TRAINING), _NEITHER)
    yield from thorough(_isolation(job) for job in found if not (private and job.has("vpcConfig.subnets")))


@rule(
    *MONITORING,
    severity="high",
    remediation="Set `networkConfig.enableNetworkIsolation` to true. A definition can't be changed: it is replaced.",
    references={
        "aws-ai-bp": ["SageMaker.11", "SageMaker.12", "SageMaker.14", "SageMaker.20", "SageMaker.25"],
        **_ISOLATED,
    },
)
def monitor_job_isolation(resource: Resource) -> Iterator[Finding]:
    """Containers of monitoring jobs reach no network.

    They read what people asked a model. A schedule that names a definition is judged by that definition.
    """
    found = some(jobs(resource, Work.MONITORING), "it defines no job itself")
    yield from thorough(_isolation(job) for job in found)


@rule(
    *aws.MODEL,
    *TRAINING,
    severity="medium",
    remediation="Set `vpcConfig` with subnets and security groups of a VPC of yours.",
    references={
        "aws-config": ["sagemaker-model-in-vpc"],
        "prowler": [
            "sagemaker_models_vpc_settings_configured",
            "sagemaker_training_jobs_vpc_settings_configured",
            "AISF-ML-01",
        ],
        "nist-ai-rmf": ["MEASURE 2.7"],
        **_ISOLATED,
    },
)
def model_in_vpc(resource: Resource) -> Iterator[Finding]:
    """Models and training jobs run in a VPC of yours.

    Their data then travel through endpoints and rules of yours, and flow logs see it. Judged are models, training and
    tuning jobs, as resources and where pipelines and state machines make them.
    """
    yield from thorough(_vpc(job) for job in some(jobs(resource, Work.MODEL, Work.TRAINING), _NEITHER))


@rule(
    *aws.DOMAIN,
    severity="high",
    remediation='Set `appNetworkAccessType` to "VpcOnly", and give its VPC the endpoints that Studio needs.',
    references={
        "aws-config": ["sagemaker-domain-in-vpc"],
        "prowler": ["sagemaker_domain_vpc_only_enabled"],
        **_ISOLATED,
    },
)
def domain_vpc_only(domain: Resource) -> Iterator[Finding]:
    """All traffic of a Studio domain goes through a VPC of yours.

    By default its apps reach the internet through a VPC of SageMaker's, past every rule of yours.
    """
    if domain.text("appNetworkAccessType") != "VpcOnly":
        yield domain.finding("its apps reach the internet directly", "appNetworkAccessType")


@rule(
    *aws.DOMAIN,
    severity="medium",
    remediation='Set `authMode` to "SSO" and assign users in IAM Identity Center. It can\'t be changed: the domain is'
    " replaced.",
    references={
        "prowler": ["sagemaker_domain_sso_configured", "AISF-ML-04"],
        "hipaa": ["164.312(a)(2)(i)", "164.312(d)"],
        "soc2": ["CC6.1"],
    },
)
def domain_sso_auth(domain: Resource) -> Iterator[Finding]:
    """People sign in to a Studio domain through IAM Identity Center.

    Each is then known by name, with the second factor and the leaving date that the organisation keeps.
    """
    if domain.text("authMode") != "SSO":
        yield domain.finding("people sign in with IAM credentials", "authMode")


def _is_private(resource: Resource, stack: Stack) -> bool:
    """Whether a resource is part of a pipeline of ours, on a platform whose network is private."""
    platforms = stack.of("mlops:index:AwsPlatform")
    ours = f"{mlops.PIPELINE}$" in resource.urn
    return ours and bool(platforms) and all(each.text("network.policy") == "private" for each in platforms)


def _isolation(job: Job) -> Iterator[Finding]:
    path = job.network("enableNetworkIsolation")
    if not job.flag(path):
        yield job.finding(f"containers of {job.name} reach the network", path)


def _vpc(job: Job) -> Iterator[Finding]:
    path = job.network("vpcConfig")
    if not job.has(f"{path}.subnets"):
        yield job.finding(f"{job.name} runs in no VPC of yours", path)
