"""The analyzer protocol, without an engine: what a pack answers."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import analyzer_pb2

from mlops_policies import Finding, Resource
from mlops_policies.analyzer import Analyzer
from mlops_policies.judge import Judge
from mlops_policies.settings import Settings
from tests.unit.policies.kit import BROKEN, BUCKET, LOGGED, NAMED, SHORT, TAGGED, rule

MANDATORY, ADVISORY = analyzer_pb2.MANDATORY, analyzer_pb2.ADVISORY
STACK = "urn:pulumi:dev::project"


class RefusedError(Exception):
    pass


class Context:
    def abort(self, code: Any, details: str) -> None:
        raise RefusedError(details)


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


def request(token: str, name: str, **props: Any) -> Any:
    return analyzer_pb2.AnalyzeRequest(type=token, name=name, urn=f"{STACK}::{token}::{name}", properties=struct(props))


@pytest.fixture
def analyzer() -> Analyzer:
    made = Analyzer("security")
    made.rules = [NAMED, SHORT, LOGGED]
    made.judge = Judge(made.rules, Settings())
    made.ConfigureStack(analyzer_pb2.AnalyzerStackConfigureRequest(stack="dev", dry_run=True), Context())
    return made


def told(response: Any) -> list[tuple[str, int, str]]:
    return [(d.policyName, d.enforcementLevel, d.message.splitlines()[0]) for d in response.diagnostics]


def test_each_rule_reports_by_its_own_name(analyzer: Analyzer) -> None:
    response = analyzer.Analyze(request(BUCKET, "a"), Context())
    assert told(response) == [("named", MANDATORY, "it has no name (bucket)")]
    diagnostic = response.diagnostics[0]
    assert diagnostic.urn == f"{STACK}::{BUCKET}::a"
    assert (diagnostic.policyPackName, diagnostic.severity) == ("mlops-security", analyzer_pb2.POLICY_SEVERITY_HIGH)
    assert diagnostic.message.endswith("\nMend it.")


def test_what_is_not_known_is_told_and_decided_later(analyzer: Analyzer) -> None:
    preview = analyzer.Analyze(request(BUCKET, "a", bucket=rpc.UNKNOWN), Context())
    assert told(preview) == [("short", ADVISORY, "bucket is decided during up")]
    up = analyzer.Analyze(request(BUCKET, "a", bucket="much-too-long"), Context())
    assert told(up) == [("short", ADVISORY, "the name is too long (bucket)")]


def test_what_stays_undecided_fails_during_up(analyzer: Analyzer) -> None:
    analyzer.ConfigureStack(analyzer_pb2.AnalyzerStackConfigureRequest(stack="dev"), Context())
    missing = request(BUCKET, "a", bucket=rpc.UNKNOWN)
    said = "could not be judged: bucket is decided during up"
    assert told(analyzer.Analyze(missing, Context())) == [("short", MANDATORY, said)]
    configure(analyzer, not_evaluable_is_failure=(ADVISORY, {}))
    assert told(analyzer.Analyze(missing, Context())) == [("short", ADVISORY, said)]


def test_the_engine_is_told_what_does_not_apply(analyzer: Analyzer) -> None:
    analyzer.judge = Judge([TAGGED], Settings())
    response = analyzer.Analyze(request(BUCKET, "a", tag="x"), Context())
    assert not response.diagnostics
    assert [(one.policy_name, one.reason) for one in response.not_applicable] == [
        ("tagged", "the bucket is not public")
    ]


def test_secrets_are_not_quoted(analyzer: Analyzer) -> None:
    def quoting(bucket: Resource) -> Any:
        """Quotes.

        What it may.
        """
        yield bucket.finding(f"the key is {bucket.shown('key')}", "key")

    analyzer.judge = Judge([rule(quoting, BUCKET), BROKEN], Settings())
    secret = {rpc._special_sig_key: rpc._special_secret_sig, "value": "hunter2"}
    response = analyzer.Analyze(request(BUCKET, "a", key=secret), Context())
    assert len(response.diagnostics) == 2
    assert "hunter2" not in str(response)


def test_the_stack_is_judged_from_inputs_and_the_graph(analyzer: Analyzer) -> None:
    log = "aws:s3/bucketLogging:BucketLogging"
    analyzer.Analyze(request(BUCKET, "a", bucket="a"), Context())
    analyzer.Analyze(request(BUCKET, "b", bucket="b"), Context())
    analyzer.Analyze(request(log, "l", bucket=rpc.UNKNOWN), Context())
    resources = [
        analyzer_pb2.AnalyzerResource(type=token, name=name, urn=f"{STACK}::{token}::{name}", properties=struct({}))
        for token, name in ((BUCKET, "a"), (BUCKET, "b"), (log, "l"))
    ]
    resources[2].propertyDependencies["bucket"].urns.append(resources[0].urn)
    response = analyzer.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=resources), Context())
    assert [(d.policyName, d.urn) for d in response.diagnostics] == [("logged", resources[1].urn)]


def configure(analyzer: Analyzer, **entries: Any) -> None:
    message = analyzer_pb2.ConfigureAnalyzerRequest()
    for name, (level, properties) in entries.items():
        key = name.replace("_", "-")
        message.policyConfig[key].enforcementLevel = level
        message.policyConfig[key].properties.update(properties)
    analyzer.Configure(message, Context())


def test_levels_and_exemptions_come_from_the_configuration(analyzer: Analyzer) -> None:
    exempt = {"rule": "named", "resource": "a", "reason": "r", "approver": "grace", "ticket": "T-1"}
    configure(analyzer, pack_settings=(0, {"exemptions": [{**exempt, "expires": "2100-01-01"}]}))
    (found,) = told(analyzer.Analyze(request(BUCKET, "a"), Context()))
    assert found == ("named", ADVISORY, "exempted until 2100-01-01 by grace (T-1: r): it has no name (bucket)")


def test_a_configuration_that_can_not_be_used_stops_the_engine(analyzer: Analyzer) -> None:
    with pytest.raises(RefusedError, match="there is no rule nothing"):
        configure(analyzer, nothing=(MANDATORY, {}))


def test_what_the_stack_says_holds_for_what_comes_after_it(analyzer: Analyzer) -> None:
    exempt = {"rule": "named", "resource": "a", "reason": "r", "approver": "grace", "ticket": "T-1"}
    governance = {"exemptions": [{**exempt, "expires": "2100-01-01"}]}
    analyzer.Analyze(request("mlops:index:MLStack", "s", owner="ada", governance=governance), Context())
    assert told(analyzer.Analyze(request(BUCKET, "a"), Context()))[0][1] == ADVISORY
    assert told(analyzer.Analyze(request(BUCKET, "b"), Context()))[0][1] == MANDATORY


def test_a_remedy_changes_what_it_must_and_nothing_else(analyzer: Analyzer) -> None:
    def tag(bucket: Resource) -> dict[str, Any]:
        return {**bucket.props, "bucket": "named"}

    def always_named(bucket: Resource) -> Any:
        """Has a name.

        Or gets one.
        """
        if not bucket.has("bucket"):
            yield Finding("it has no name", bucket.urn)

    mending = rule(always_named, BUCKET, remedy=tag)
    secret = {rpc._special_sig_key: rpc._special_secret_sig, "value": "hunter2"}
    asset = {rpc._special_sig_key: rpc._special_asset_sig, "text": "x"}
    props = {"key": secret, "asset": asset, "later": rpc.UNKNOWN, "__internal": {}}
    analyzer.judge = Judge([mending], Settings())
    assert not analyzer.Remediate(request(BUCKET, "a", **props), Context()).remediations, "off by default"
    analyzer.judge = Judge([mending], Settings.read({"all": "remediate"}))
    (remediation,) = analyzer.Remediate(request(BUCKET, "a", **props), Context()).remediations
    assert json_format.MessageToDict(remediation.properties) == {**props, "bucket": "named"}
    assert (remediation.policyName, remediation.diagnostic) == ("always-named", "")
    assert not analyzer.Remediate(request(BUCKET, "a", bucket="x"), Context()).remediations


def test_the_engine_is_told_of_every_rule() -> None:
    info = Analyzer("cost").GetAnalyzerInfo(None, Context())
    assert info.name == "mlops-cost"
    by_name = {policy.name: policy for policy in info.policies}
    tags = by_name["cost-tags-required"]
    assert tags.enforcementLevel == ADVISORY
    assert "required" in tags.configSchema.properties
    assert tags.remediation_steps
