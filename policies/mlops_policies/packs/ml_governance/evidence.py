"""Records of what models did: made, kept long enough, and not to be altered."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, kubernetes, mlops, serving
from mlops_policies.kinds.buckets import lifecycle_rules
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, Stack, View
from mlops_policies.values import NotApplicable

rule = pack("ml-governance")

_LOGS = (mlops.REGISTRY, mlops.ENDPOINT, *aws.LOG_GROUP, *aws.BUCKET)


@rule(
    mlops.ENDPOINT,
    *aws.ENDPOINT_CONFIGURATION,
    *kubernetes.INFERENCE_SERVICE,
    severity="high",
    remediation="Leave `capture` of the endpoint on; set `dataCaptureConfig` of a SageMaker endpoint configuration, "
    "and `spec.predictor.logger` of an InferenceService.",
    references={
        "eu-ai-act": ["Art. 12(1)", "Art. 12(2)"],
        "iso-42001": ["A.6.2.8"],
        "hipaa": ["164.312(b)"],
        "soc2": ["CC7.2"],
    },
    graph=True,
)
def inference_logging(endpoint: Resource, stack: Stack) -> Iterator[Finding]:
    """Requests and predictions of every endpoint that answers requests are recorded.

    A sample is enough: how much is needed depends on the use. Batch endpoints keep their output; bundles for devices
    are judged by nobody here. An InferenceService that one of our endpoints makes is recorded by its own server, as the
    endpoint says.
    """
    if endpoint.type == mlops.ENDPOINT:
        mlops.answers(endpoint)
        if not endpoint.has("capture.sample"):
            field = f"endpoints[{endpoint.text('endpoint')}].capture"
            yield endpoint.finding("requests and predictions are not recorded", "capture", field=field)
    elif endpoint.type in aws.ENDPOINT_CONFIGURATION:
        capture = endpoint.view("dataCaptureConfig")
        if not capture.flag("enableCapture"):
            yield capture.finding("requests and predictions are not recorded", "enableCapture")
        elif capture.has("initialSamplingPercentage") and not capture.number("initialSamplingPercentage"):
            yield capture.finding("no request is recorded: the sample is 0 percent", "initialSamplingPercentage")
    elif any(above.type == mlops.ENDPOINT for above in stack.ancestors(endpoint)):
        raise NotApplicable("the server records requests itself; its endpoint is judged")
    elif not (endpoint.has("spec.predictor.logger") or endpoint.has("spec.transformer.logger")):
        yield endpoint.finding("requests and predictions are not recorded", "spec.predictor.logger")


class Retention(Parameters):
    """Parameters of `log-retention-min`."""

    days: int = 183
    """Least retention of a high-risk model's records, in days. Default: 183, six months (EU AI Act, Art. 19(1))."""


@rule(
    *_LOGS,
    graph=True,
    severity="high",
    remediation="Set `governance.retention.logs` to 183d or longer; raise the retention of log groups and capture "
    "buckets.",
    references={"eu-ai-act": ["Art. 19(1)", "Art. 26(6)"]},
    parameters=Retention,
)
def log_retention_min(logs: Resource, stack: Stack, parameters: Retention) -> Iterator[Finding]:
    """Records of a high-risk model are kept for six months at least.

    Judged are what governance promises, the captured requests of our endpoints, log groups, and buckets that SageMaker
    captures requests into.
    """
    mlops.only_high_risk(stack, logs)
    yield from _kept(logs, stack, parameters.days, "the records of a high-risk model")


class HealthRetention(Parameters):
    """Parameters of `log-retention-phi`."""

    days: int = 2190
    """Least retention of documentation and evidence, in days. Default: 2190, six years (45 CFR 164.316(b)(2)(i))."""


@rule(
    *_LOGS,
    graph=True,
    severity="high",
    remediation="Set `governance.retention.logs` to 2190d or longer; raise the retention of log groups and capture "
    "buckets.",
    references={"hipaa": ["164.316(b)(2)(i)"]},
    parameters=HealthRetention,
)
def log_retention_phi(logs: Resource, stack: Stack, parameters: HealthRetention) -> Iterator[Finding]:
    """Documentation and evidence of a model that uses health information are kept for six years at least.

    The regulation asks it of required documentation and of records of actions, activities and assessments; what an
    endpoint answered is counted among them here. Other resources than ours are judged where a source of the program has
    the classification `health`.
    """
    if not mlops.classified(stack, logs, ("health",)):
        raise NotApplicable("no source holds health information")
    yield from _kept(logs, stack, parameters.days, "documentation and evidence about health information")


def _kept(logs: Resource, stack: Stack, days: int, what: str) -> Iterator[Finding]:
    short = f"{what} must be kept for {days} days"
    if logs.type == mlops.REGISTRY:
        promised = mlops.governance(stack, logs).number("retention.logs")
        if promised is None or promised < days * mlops.DAY:
            found = "nothing is promised" if promised is None else f"{promised / mlops.DAY:g} are promised"
            yield logs.finding(f"{short}, and {found}", field="governance.retention.logs")
    elif logs.type == mlops.ENDPOINT:
        if not logs.has("capture.sample"):
            raise NotApplicable("the endpoint captures no requests")
        kept = logs.number("capture.retention")
        if kept is not None and kept < days * mlops.DAY:
            field = f"endpoints[{logs.text('endpoint')}].capture.retention"
            message = f"{short}, and captured requests are for {kept / mlops.DAY:g}"
            yield logs.finding(message, "capture.retention", field=field)
    elif logs.type in aws.LOG_GROUP:
        # Nothing and zero both mean for ever.
        if (kept := logs.number("retentionInDays")) and kept < days:
            yield logs.finding(f"{short}, and these are for {kept:g}", "retentionInDays")
    else:
        if not _captures(logs, stack):
            raise NotApplicable("no requests are captured into the bucket")
        for part, name, kept in _expirations(logs, stack):
            if kept < days:
                yield part.finding(f"{short}, and captured requests are for {kept:g}", name)


class Documentation(Parameters):
    """Parameters of `technical-file-retention`."""

    days: int = 3650
    """Least retention of versions, cards and metrics of a high-risk model, in days. Default: 3650, ten years (EU AI
    Act, Art. 18(1))."""


@rule(
    mlops.REGISTRY,
    *aws.BUCKET,
    graph=True,
    severity="medium",
    remediation="Set `governance.retention.technical_file` to 3650d or longer; give the bucket of model artefacts an "
    "object lock of that length.",
    references={"eu-ai-act": ["Art. 18(1)"], "aws-security-hub": ["S3.15"]},
    parameters=Documentation,
)
def technical_file_retention(kept: Resource, stack: Stack, parameters: Documentation) -> Iterator[Finding]:
    """Versions of a high-risk model, with their cards and metrics, are kept for ten years.

    A bucket is judged where a SageMaker model of the program is loaded from it.
    """
    mlops.only_high_risk(stack, kept)
    if kept.type == mlops.REGISTRY:
        promised = mlops.governance(stack, kept).number("retention.technicalFile")
        if promised is None or promised < parameters.days * mlops.DAY:
            message = f"versions of a high-risk model and their files must be kept for {parameters.days} days"
            yield kept.finding(message, field="governance.retention.technical_file")
    elif not _holds_models(kept, stack):
        raise NotApplicable("no model of the program is loaded from the bucket")
    elif _locked_days(kept, stack) < parameters.days:
        message = f"artefacts of a high-risk model are not locked for {parameters.days} days"
        yield kept.finding(message, "objectLockConfiguration")


@rule(
    *aws.BUCKET,
    graph=True,
    severity="medium",
    remediation="Turn on object lock or versioning of the bucket, and leave `forceDestroy` off.",
    references={
        "eu-ai-act": ["Art. 15(5)", "Art. 19(1)"],
        "hipaa": ["164.312(c)(1)"],
        "soc2": ["CC6.1"],
        "aws-security-hub": ["S3.15"],
    },
)
def log_tamper_protection(bucket: Resource, stack: Stack) -> Iterator[Finding]:
    """Records can't be altered or deleted unnoticed.

    Judged are buckets that captured requests, CloudTrail's events or the access logs of other buckets are written to.
    The local platform's audit log is append-only by itself.
    """
    if not (_captures(bucket, stack) or _trails(bucket, stack)):
        raise NotApplicable("no records are written to the bucket")
    if not (_locked(bucket, stack) or _versioned(bucket, stack)):
        yield bucket.finding(
            "records in this bucket can be overwritten: it has neither object lock nor versioning", "versioning"
        )
    if bucket.flag("forceDestroy"):
        yield bucket.finding("the bucket is deleted with all its records", "forceDestroy")


def _captures(bucket: Resource, stack: Stack) -> bool:
    return any(
        _lies_in(stack, configuration, "dataCaptureConfig.destinationS3Uri", bucket)
        for configuration in stack.of(*aws.ENDPOINT_CONFIGURATION)
    )


def _trails(bucket: Resource, stack: Stack) -> bool:
    return bool(
        stack.referring(bucket, aws.TRAIL, "s3BucketName", "bucket", "bucketName")
        or stack.referring(bucket, aws.BUCKET_LOGGING, "targetBucket", "bucket")
    )


def _holds_models(bucket: Resource, stack: Stack) -> bool:
    return any(
        _lies_in(stack, part, name, bucket)
        for model in stack.of(*aws.MODEL)
        for container in serving.containers(model)
        for part, name in serving.artefacts(container)
    )


def _lies_in(stack: Stack, part: View, name: str, bucket: Resource) -> bool:
    if stack.refers(part, name, bucket, "bucket", "bucketName"):
        return True
    uri, names = part.value(name), (bucket.value("bucket"), bucket.value("bucketName"))
    return isinstance(uri, str) and any(isinstance(n, str) and n and uri.startswith(f"s3://{n}/") for n in names)


def _expirations(bucket: Resource, stack: Stack) -> Iterator[tuple[View, str, float]]:
    for found in lifecycle_rules(bucket, stack):
        for name in ("expiration.days", "expirationInDays"):
            if (days := found.number(name)) is not None:
                yield found, name, days


def _retentions(bucket: Resource, stack: Stack) -> Iterator[View]:
    for part in (bucket, *stack.referring(bucket, aws.BUCKET_OBJECT_LOCK, "bucket", "bucket")):
        yield part.view("objectLockConfiguration.rule.defaultRetention" if part is bucket else "rule.defaultRetention")


def _locked_days(bucket: Resource, stack: Stack) -> float:
    return max((found.number("days") or 0) + 365 * (found.number("years") or 0) for found in _retentions(bucket, stack))


def _locked(bucket: Resource, stack: Stack) -> bool:
    return bucket.flag("objectLockEnabled") or any(found.has("mode") for found in _retentions(bucket, stack))


def _versioned(bucket: Resource, stack: Stack) -> bool:
    if bucket.flag("versioning.enabled") or bucket.text("versioningConfiguration.status") == "Enabled":
        return True
    return any(
        found.text("versioningConfiguration.status") == "Enabled"
        for found in stack.referring(bucket, aws.BUCKET_VERSIONING, "bucket", "bucket")
    )
