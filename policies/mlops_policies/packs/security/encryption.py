"""Encryption of what SageMaker stores and sends, with keys of the customer's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws
from mlops_policies.kinds.jobs import MONITORING, TRAINING, Job, Work, jobs
from mlops_policies.registry import pack
from mlops_policies.resources import Resource, View
from mlops_policies.several import some, thorough
from mlops_policies.values import NotApplicable

rule = pack("security")

_AT_REST: Final = {
    "hipaa": ["164.312(a)(2)(iv)"],
    "gdpr": ["Art. 32(1)(a)"],
    "soc2": ["CC6.1"],
    "eu-ai-act": ["Art. 15(5)"],
}


@rule(
    *aws.ENDPOINT_CONFIGURATION,
    severity="high",
    remediation="Set `kmsKeyArn` (aws-native: `kmsKeyId`) to a KMS key of yours.",
    references={
        "aws-config": ["sagemaker-endpoint-configuration-kms-key-configured"],
        "checkov": ["CKV_AWS_98"],
        "prowler": ["sagemaker_endpoint_config_kms_encryption_enabled"],
        **_AT_REST,
    },
)
def encrypt_endpoint_volume(config: Resource) -> Iterator[Finding]:
    """The storage volumes of endpoints are encrypted with a key of yours.

    Model artefacts and temporary data lie on them. AWS's own keys (`alias/aws/…`) do not count: who may use them can't
    be restricted. Exempt are variants without such a volume: serverless ones, and instance types with NVMe disks of
    their own, which their hardware encrypts.
    """
    if aws.has_own_key(config, "kmsKeyArn", "kmsKeyId"):
        return
    variants = [*config.each("productionVariants"), *config.each("shadowProductionVariants")]
    if not any(not variant.has("serverlessConfig") and _has_volume(variant) for variant in variants):
        raise NotApplicable("no variant has a volume that takes a key")
    yield config.finding("no key of yours encrypts the volumes of its instances", _key(config, "kmsKeyArn"))


@rule(
    *aws.ENDPOINT_CONFIGURATION,
    *aws.INFERENCE_EXPERIMENT,
    *aws.FLOW_DEFINITION,
    severity="high",
    remediation="Set the KMS key beside the S3 location that the data are written to; for an inference experiment also"
    " `kmsKey`, the key of its volumes.",
    references={
        "aws-ai-bp": ["SageMaker.23", "SageMaker.24"],
        "checkov": ["CKV_AWS_372"],
        **_AT_REST,
    },
)
def encrypt_data_capture(resource: Resource) -> Iterator[Finding]:
    """What endpoints, experiments and human reviews store of requests and answers is encrypted with a key of yours.

    Judged are data capture where it is on, the answers of asynchronous endpoints, core dumps, the volumes of an
    inference experiment and what it stores, and the results of human review loops.
    """
    if resource.type in aws.INFERENCE_EXPERIMENT:
        if not aws.has_own_key(resource, "kmsKey"):
            yield resource.finding("no key of yours encrypts the volumes of its instances", "kmsKey")
        yield from _stored(resource, "dataStorageConfig", "kmsKey", "the requests and answers that it stores")
    elif resource.type in aws.FLOW_DEFINITION:
        yield from _stored(resource, "outputConfig", "kmsKeyId", "the results of human review")
    else:
        for part, where, what in some(_stores(resource), "it stores nothing of requests and answers"):
            yield from _stored(part, where, "kmsKeyId", what)


@rule(
    *aws.NOTEBOOK_INSTANCE,
    severity="high",
    remediation="Set `kmsKeyId` to a KMS key of yours. It can't be changed: the instance is replaced.",
    references={
        "aws-ai-bp": ["SageMaker.21"],
        "aws-config": ["sagemaker-notebook-instance-kms-key-configured"],
        "checkov": ["CKV_AWS_22", "CKV_AWS_187"],
        "prowler": ["sagemaker_notebook_instance_encryption_enabled"],
        **_AT_REST,
    },
)
def encrypt_notebook(notebook: Resource) -> Iterator[Finding]:
    """The volumes of notebook instances are encrypted with a key of yours.

    Notebooks, and the data that people download to look at, lie on them. AWS's own keys (`alias/aws/…`) do not count.
    """
    if not aws.has_own_key(notebook, "kmsKeyId"):
        yield notebook.finding("no key of yours encrypts the volume", "kmsKeyId")


@rule(
    *aws.DOMAIN,
    severity="medium",
    remediation="Set `kmsKeyId` to a KMS key of yours. It can't be changed: the domain is replaced.",
    references={
        "checkov": ["CKV_AWS_187"],
        "prowler": ["sagemaker_domain_encrypted_with_cmk"],
        **_AT_REST,
    },
)
def encrypt_domain(domain: Resource) -> Iterator[Finding]:
    """The file system of a Studio domain is encrypted with a key of yours.

    The homes of all users lie on it. AWS's own keys (`alias/aws/…`) do not count.
    """
    if not aws.has_own_key(domain, "kmsKeyId"):
        yield domain.finding("no key of yours encrypts the file system with the users' homes", "kmsKeyId")


@rule(
    *aws.FEATURE_GROUP,
    severity="high",
    remediation="Set `offlineStoreConfig.s3StorageConfig.kmsKeyId` and `onlineStoreConfig.securityConfig.kmsKeyId` to a"
    " KMS key of yours.",
    references={
        "aws-ai-bp": ["SageMaker.17", "SageMaker.18"],
        "prowler": ["sagemaker_feature_group_offline_store_encrypted_with_cmk"],
        **_AT_REST,
    },
)
def encrypt_feature_store(group: Resource) -> Iterator[Finding]:
    """The offline and online stores of feature groups are encrypted with a key of yours.

    Judged are the stores that a group has: the online store where `enableOnlineStore` is true and its storage is not
    `InMemory`, of which the control does not speak. AWS's own keys (`alias/aws/…`) do not count.
    """
    offline = "offlineStoreConfig.s3StorageConfig.kmsKeyId"
    if group.has("offlineStoreConfig") and not aws.has_own_key(group, offline):
        yield group.finding("no key of yours encrypts the offline store", offline)
    online = "onlineStoreConfig.securityConfig.kmsKeyId"
    if aws.has_own_key(group, online):
        return
    if group.flag("onlineStoreConfig.enableOnlineStore") and not _in_memory(group):
        yield group.finding("no key of yours encrypts the online store", online)
    elif not group.has("offlineStoreConfig"):
        raise NotApplicable("it has no store that takes a key")


@rule(
    *MONITORING,
    *TRAINING,
    *aws.PROCESSING_JOB,
    severity="medium",
    remediation="Set the KMS key of the job's instances (`volumeKmsKeyId`) and of its output (`kmsKeyId`).",
    references={
        "checkov": ["CKV_AWS_367", "CKV_AWS_368"],
        "prowler": [
            "sagemaker_training_jobs_volume_and_output_encryption_enabled",
            "sagemaker_processing_job_volume_encrypted_with_cmk",
            "sagemaker_transform_job_volume_encrypted_with_cmk",
        ],
        **_AT_REST,
    },
)
def encrypt_monitor_jobs(resource: Resource) -> Iterator[Finding]:
    """Jobs that monitor, train, process or transform encrypt their volumes and what they write with keys of yours.

    Judged are the definitions of monitoring jobs, jobs that are resources, and jobs that pipelines and state machines
    start. Instance types with NVMe disks of their own take no key for volumes, and need none.
    """
    works = (Work.MONITORING, Work.TRAINING, Work.PROCESSING, Work.TRANSFORM)
    found = some(jobs(resource, *works), "it defines no such job")
    yield from thorough(part for job in found for part in (_volume(job), _output(job)))


@rule(
    *MONITORING,
    *TRAINING,
    severity="medium",
    remediation="Set `enableInterContainerTrafficEncryption` to true. A definition can't be changed: it is replaced.",
    references={
        "aws-ai-bp": ["SageMaker.9", "SageMaker.10", "SageMaker.13", "SageMaker.15", "SageMaker.22"],
        "checkov": ["CKV_AWS_369"],
        "prowler": ["sagemaker_training_jobs_intercontainer_encryption_enabled"],
        "hipaa": ["164.312(e)(1)", "164.312(e)(2)(ii)"],
        "gdpr": ["Art. 32(1)(a)"],
        "soc2": ["CC6.7"],
        "eu-ai-act": ["Art. 15(5)"],
    },
)
def monitor_job_traffic_encryption(resource: Resource) -> Iterator[Finding]:
    """Jobs that monitor or train encrypt what their instances send each other.

    Rows of data and weights of models travel between them. Jobs of one instance are judged as well: they are given more
    by changing a number. A schedule that names a definition is judged by that definition.
    """
    found = some(jobs(resource, Work.MONITORING, Work.TRAINING), "it defines no job that monitors or trains")
    yield from thorough(_traffic(job) for job in found)


def _has_volume(cluster: View) -> bool:
    return not aws.has_local_storage(cluster.text("instanceType"))


def _key(resource: Resource, classic: str) -> str:
    return "kmsKeyId" if resource.type.startswith("aws-native:") else classic


def _in_memory(group: Resource) -> bool:
    return group.text("onlineStoreConfig.storageType") == "InMemory"


def _stores(config: Resource) -> Iterator[tuple[View, str, str]]:
    """What an endpoint stores: the part, its property, and what it is called."""
    asynchronous, capture, dumps = "asyncInferenceConfig.outputConfig", "dataCaptureConfig", "coreDumpConfig"
    if config.has(asynchronous):
        yield config, asynchronous, "asynchronous answers"
    # The API captures unless told otherwise, pulumi-aws only if told.
    by_default = config.type.startswith("aws-native:")
    keyed = aws.has_own_key(config, f"{capture}.kmsKeyId")
    if config.has(capture) and (keyed or config.flag(f"{capture}.enableCapture", default=by_default)):
        yield config, capture, "captured requests and answers"
    for variant in [*config.each("productionVariants"), *config.each("shadowProductionVariants")]:
        if variant.has(dumps):
            yield variant, dumps, "core dumps of the model's process"


def _stored(view: View, where: str, key: str, what: str) -> Iterator[Finding]:
    if view.has(where) and not aws.has_own_key(view, f"{where}.{key}"):
        yield view.finding(f"no key of yours encrypts {what}", f"{where}.{key}")


def _volume(job: Job) -> Iterator[Finding]:
    path = f"{job.cluster}.volumeKmsKeyId"
    if aws.has_own_key(job, path):
        return
    cluster = job.view(job.cluster)
    groups = [*cluster.each("instanceGroups"), *cluster.each("instanceConfigs")]
    if any(_has_volume(group) for group in groups or [cluster]):
        yield job.finding(f"no key of yours encrypts the volumes of {job.name}", path)


def _output(job: Job) -> Iterator[Finding]:
    if job.shape.work is Work.PROCESSING and not job.has(job.shape.output):
        return  # SageMaker uploads nothing of it
    path = f"{job.shape.output}.kmsKeyId"
    if not aws.has_own_key(job, path):
        yield job.finding(f"no key of yours encrypts what {job.name} writes", path)


def _traffic(job: Job) -> Iterator[Finding]:
    path = job.network("enableInterContainerTrafficEncryption")
    if not job.flag(path):
        yield job.finding(f"what the instances of {job.name} send each other is not encrypted", path)
