"""The state machine of an endpoint, what starts it, and what it may; `test_deployment_runs` executes it."""

from __future__ import annotations

import json

import pytest
from cfnlint.api import lint

from pulumi_mlops.platforms.aws import deployment, rollout
from tests.unit.platforms.aws import kit
from tests.unit.platforms.aws.deployment_kit import STATE_MACHINE, declared, definition, rest
from tests.unit.platforms.aws.test_endpoint import allowed

ENDPOINTS = {
    "plain": rest(),
    "canary": rest(rollout={"steps": [20]}, scale={"min": 2, "max": 3}),
    "linear": rest(rollout={"steps": [25, 50, 75]}, scale={"min": 2, "max": 2}),
    "shadow": rest(shadow={"sample": 0.5}),
    "serverless": rest(serverless={}),
}


def refusals(found):
    """What the validator of state machines in cfn-lint says."""
    properties = {"RoleArn": f"arn:aws:iam::{kit.ACCOUNT}:role/x", "Definition": found}
    machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Machine": machine}}
    return [match.message for match in lint(json.dumps(template), None, [kit.REGION])]


@pytest.mark.parametrize("name", ENDPOINTS)
def test_the_definition_is_valid(name):
    assert refusals(definition(ENDPOINTS[name])) == []


def test_a_definition_that_is_not_valid_is_found():
    broken = definition(rest())
    broken["States"]["CreateModel"]["Nxt"] = broken["States"]["CreateModel"].pop("Next")
    assert refusals(broken)


@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_state_is_reached_and_every_way_leads_somewhere(name):
    found = definition(ENDPOINTS[name])
    states = found["States"]
    reached, ahead = set(), [found["StartAt"]]
    while ahead:
        state = ahead.pop()
        if state in reached:
            continue
        reached.add(state)
        content = states[state]
        ways = [content.get("Next"), content.get("Default")]
        ways += [each["Next"] for each in (*content.get("Choices", []), *content.get("Catch", []))]
        ahead += [way for way in ways if way is not None]
    assert reached == set(states)


def test_a_rollout_is_a_canary_or_equal_steps():
    linear = definition(ENDPOINTS["linear"])["States"]["Update"]["Parameters"]["DeploymentConfig"]
    assert linear["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"] == {
        "Type": "LINEAR",
        "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 25},
        "WaitIntervalInSeconds": 300,
    }
    at_once = definition(rest())["States"]["Update"]["Parameters"]["DeploymentConfig"]
    assert at_once["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"
    for name in ("serverless", "shadow"):
        assert "DeploymentConfig" not in definition(ENDPOINTS[name])["States"]["Update"]["Parameters"]


def test_alarms_are_those_that_deployments_heed():
    settings = rest(
        scale={"min": 2, "max": 2},
        rollout={"steps": [20], "max_error_rate": 0.02, "max_latency_p99": "250ms", "min_requests": 30},
    )
    found = declared(settings)
    alarms = {kit.inputs(each)["name"]: kit.inputs(each) for each in found.of("aws:cloudwatch/metricAlarm:MetricAlarm")}
    errors, latency = (alarms[f"mlops-delay-delays-deploy-{each}"] for each in ("errors", "latency"))
    assert (errors["threshold"], latency["threshold"]) == (0.02, 250_000)
    assert [each.get("expression") for each in (errors["metricQueries"][0], latency["metricQueries"][0])] == [
        "IF(requests >= 30, errors / requests, 0)",
        "IF(requests >= 30, latency, 0)",
    ]
    metrics = {
        each["metric"]["metricName"]: each["metric"]["stat"]
        for alarm in (errors, latency)
        for each in alarm["metricQueries"]
        if "metric" in each
    }
    assert metrics == {"Invocation5XXErrors": "Sum", "Invocations": "Sum", "ModelLatency": "p99"}
    assert {alarm["treatMissingData"] for alarm in alarms.values()} == {"notBreaching"}
    heeded = kit.json_of(found.one(STATE_MACHINE), "definition")["States"]["Update"]["Parameters"]
    names = heeded["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    assert [each["AlarmName"] for each in names] == list(alarms)


def test_without_limits_only_a_broken_version_is_taken_back():
    (alarm,) = declared(rest()).of("aws:cloudwatch/metricAlarm:MetricAlarm")
    assert kit.inputs(alarm)["threshold"] == rollout.BROKEN == 0.5


def test_approved_packages_of_the_model_start_it():
    found = declared(rest())
    rule = found.one("aws:cloudwatch/eventRule:EventRule")
    assert kit.json_of(rule, "eventPattern") == {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": ["mlops-delay"], "ModelApprovalStatus": ["Approved"]},
    }
    target = kit.inputs(found.one("aws:cloudwatch/eventTarget:EventTarget"))
    arn = f"arn:aws:states:eu-west-1:{kit.ACCOUNT}:stateMachine:mlops-delay-delays-deploy"
    assert target["arn"] == arn
    assert target["inputTransformer"]["inputPaths"] == {"package": "$.detail.ModelPackageArn"}
    filled = target["inputTransformer"]["inputTemplate"].replace("<package>", "arn:p")
    assert json.loads(filled) == {
        "action": "deploy",
        "package": "arn:p",
        "by": "approval",
        "reason": "The version was approved",
    }
    assert allowed(found, "ml-delays-approved")[0] == {
        "Effect": "Allow",
        "Action": ["states:StartExecution"],
        "Resource": [arn],
    }


def test_it_is_encrypted_logged_and_traced():
    machine = kit.inputs(declared(rest()).one(STATE_MACHINE))
    assert machine["encryptionConfiguration"] | {"kmsKeyId": kit.KEY_ARN} == machine["encryptionConfiguration"]
    assert machine["loggingConfiguration"]["level"] == "ALL"
    assert machine["loggingConfiguration"]["logDestination"].endswith("states/mlops-delay-delays-deploy:*")
    assert machine["tracingConfiguration"] == {"enabled": True}


def test_its_role_reaches_only_what_is_the_endpoint_s():
    statements = allowed(declared(rest()), "ml-delays-deploy")
    resources = {action: each["Resource"] for each in statements for action in each["Action"]}
    account = f"arn:aws:sagemaker:eu-west-1:{kit.ACCOUNT}"
    assert resources["sagemaker:CreateModel"] == [f"{account}:model/mlops-delay-delays-*"]
    assert resources["sagemaker:UpdateEndpoint"] == [
        f"{account}:endpoint/mlops-delay-delays",
        f"{account}:endpoint-config/mlops-delay-delays-*",
    ]
    assert resources["iam:PassRole"] == [f"arn:aws:iam::{kit.ACCOUNT}:role/mlops-delay-delays-endpoint"]
    assert resources["s3:PutObject"] == [f"arn:aws:s3:::{kit.BUCKET}/mlops/deployments/delays.json"]
    assert resources["ssm:PutParameter"] == [
        f"arn:aws:ssm:eu-west-1:{kit.ACCOUNT}:parameter/mlops/delay/delays/deployed"
    ]
    everywhere = {action for action, found in resources.items() if found == ["*"]}
    assert {action.partition(":")[0] for action in everywhere} == {"logs", "xray", "sagemaker"}
    assert {each for each in everywhere if each.startswith("sagemaker")} == {"sagemaker:ListModelPackages"}


@pytest.mark.parametrize("name", ENDPOINTS)
def test_what_it_calls_is_allowed(name):
    found = declared(ENDPOINTS[name])
    states = kit.json_of(found.one(STATE_MACHINE), "definition")["States"].values()
    called = {each["Resource"].rpartition("aws-sdk:")[2] for each in states if each["Type"] == "Task"}
    may = {action.lower() for each in allowed(found, "ml-delays-deploy") for action in each["Action"]}
    assert {each.lower() for each in called} <= may


def test_nothing_is_deployed_at_first():
    parameter = kit.inputs(declared(rest()).one("aws:ssm/parameter:Parameter"))
    assert (parameter["name"], parameter["value"]) == ("/mlops/delay/delays/deployed", "none")


def test_failures_are_told_to_whoever_asks():
    import pulumi_aws as aws

    identity = kit.spec().identity

    def build(account, parent):
        topic = aws.sns.Topic("topic", opts=account.options(parent=parent))
        deployment.tell_failures(account, parent, "ml-watch", rest(), identity, topic)

    found = kit.declared(build)
    detail = kit.json_of(found.one("aws:cloudwatch/eventRule:EventRule"), "eventPattern")["detail"]
    assert detail == {
        "stateMachineArn": [f"arn:aws:states:eu-west-1:{kit.ACCOUNT}:stateMachine:mlops-delay-delays-deploy"],
        "status": ["FAILED", "TIMED_OUT", "ABORTED"],
    }
    template = kit.inputs(found.one("aws:cloudwatch/eventTarget:EventTarget"))["inputTransformer"]["inputTemplate"]
    assert json.loads(template).startswith("Deployment on endpoint mlops-delay-delays: <status>.")
