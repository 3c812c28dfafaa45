"""Records of what was done: audit trails, and logs of workflows."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, Stack, View
from mlops_policies.several import thorough

rule = pack("security")


class AuditTrail(Parameters):
    """What is known of the account."""

    organization_trail: bool = False
    """Whether a trail of the organisation, declared elsewhere, records the account in all regions. Default: no."""


@rule(
    severity="high",
    remediation="Declare a multi-region `Trail` with log file validation and a KMS key, or say by the parameter "
    "`organization_trail` that the organisation has one.",
    references={
        "aws-security-hub": ["CloudTrail.1", "CloudTrail.2", "CloudTrail.3", "CloudTrail.4"],
        "prowler": ["AISF-DETECT-01"],
        "nsa-hardening": ["C-0067"],
        "hipaa": ["164.312(b)"],
        "soc2": ["CC7.2"],
    },
    parameters=AuditTrail,
)
def audit_trail_on(stack: Stack, settings: AuditTrail) -> Iterator[Finding]:
    """What is done to ML resources is recorded.

    A stack with resources of SageMaker or Bedrock has a trail that is on, records the management events of all regions,
    is validated (so that a changed log file is noticed) and encrypted with a key of yours. A cluster of EKS writes the
    audit log of its API server.
    """
    yield from thorough((_untrailed(stack, settings), *(_unaudited(found) for found in stack.of(*aws.CLUSTER))))


@rule(
    *aws.STATE_MACHINE,
    *aws.EVENT_BUS,
    severity="medium",
    remediation="Set the logging configuration's `level` to `ERROR` or more, and its destination to a log group.",
    references={
        "aws-security-hub": ["StepFunctions.1"],
        "hipaa": ["164.312(b)"],
        "soc2": ["CC7.2"],
        "iso-42001": ["A.6.2.8"],
    },
)
def workflow_logging(workflow: Resource) -> Iterator[Finding]:
    """State machines and event buses log what fails.

    State machines that train and deploy, and custom buses that start them, log nothing unless told to. No control of
    Security Hub asks it of event buses; the reason is the same.
    """
    path = "logConfig" if workflow.type in aws.EVENT_BUS else "loggingConfiguration"
    if (workflow.text(f"{path}.level") or "OFF") == "OFF":
        yield workflow.finding("it logs nothing", f"{path}.level")
    elif path == "loggingConfiguration" and not (
        workflow.has(f"{path}.logDestination") or workflow.has(f"{path}.destinations")
    ):
        yield workflow.finding("its log goes nowhere", f"{path}.logDestination")


def _untrailed(stack: Stack, settings: AuditTrail) -> Iterator[Finding]:
    if settings.organization_trail or not stack.of(*aws.ML):
        return
    trails = stack.of(*aws.TRAIL)
    if not trails:
        yield stack.finding("no trail records what is done to its ML resources")
        return
    lacking = [(trail, _lacks(trail)) for trail in trails]
    if all(lacks for _, lacks in lacking):
        for trail, lacks in lacking:
            for path, what in lacks:
                yield trail.finding(what, path)


def _lacks(trail: Resource) -> list[tuple[str, str]]:
    on = trail.flag("enableLogging", default=True) and trail.flag("isLogging", default=True)
    checks = (
        (not on, "enableLogging", "it is switched off"),
        (not trail.flag("isMultiRegionTrail"), "isMultiRegionTrail", "it records one region only"),
        (
            not trail.flag("enableLogFileValidation"),
            "enableLogFileValidation",
            "its log files can be changed unnoticed",
        ),
        (not aws.has_own_key(trail, "kmsKeyId"), "kmsKeyId", "no key of yours encrypts its log files"),
        (not _records_management(trail), "eventSelectors", "it does not record all management events"),
    )
    return [(path, what) for wrong, path, what in checks if wrong]


def _records_management(trail: Resource) -> bool:
    basic, advanced = trail.each("eventSelectors"), trail.each("advancedEventSelectors")
    if not basic and not advanced:
        return True
    return any(_basic(selector) for selector in basic) or any(_advanced(selector) for selector in advanced)


def _basic(selector: View) -> bool:
    everything = (selector.text("readWriteType") or "All") == "All"
    return everything and selector.flag("includeManagementEvents", default=True)


def _advanced(selector: View) -> bool:
    fields = {field.text("field"): field.texts("equals") for field in selector.each("fieldSelectors")}
    return fields.get("eventCategory") == ["Management"] and "readOnly" not in fields


def _unaudited(cluster: Resource) -> Iterator[Finding]:
    enabled = cluster.view("logging.clusterLogging").each("enabledTypes")
    types = [*cluster.texts("enabledClusterLogTypes"), *(kind.text("type") for kind in enabled)]
    if "audit" not in types:
        yield cluster.finding("its API server writes no audit log", "enabledClusterLogTypes")
