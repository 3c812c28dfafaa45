"""Who is told of alerts on AWS: exact resources, no secret in clear, and refusals by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pulumi
import pytest

from pulumi_mlops.platforms import naming
from pulumi_mlops.platforms.aws import alerts
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.monitors import Alert
from pulumi_mlops.testing import Graph
from tests.aws_kit import models, permissions
from tests.unit.platforms.aws import kit

EMAIL = {"email": "ada@example.com"}
PLAIN = {"webhook": "https://alerts.example.com/mlops"}
HIDDEN = {"webhook": "secret:alerts/url"}
TOPIC = "arn:aws:sns:eu-west-1:123456789012:mlops-delay-monitor-traffic"


def declared(receivers: Sequence[dict[str, Any]], *, preview: bool = False) -> Graph:
    identity = kit.spec().identity
    found = [Alert.model_validate(each) for each in receivers]

    def build(account: Account, parent: pulumi.Resource) -> None:
        alerts.topic(account, parent, "ml-traffic", found, identity, component="monitor", called=("traffic",))

    return kit.declared(build, preview=preview)


def kinds(found: Graph) -> list[str]:
    return sorted(each.type.split(":")[-1] for each in found.resources if each.type.startswith("aws:"))


def test_a_topic_is_encrypted_and_only_alarms_and_rules_of_the_account_publish() -> None:
    found = declared([])
    assert kinds(found) == ["Topic"]
    made = kit.inputs(kit.one(found, "aws:sns/topic:Topic", "ml-traffic-alerts"))
    assert (made["name"], made["kmsMasterKeyId"]) == ("mlops-delay-monitor-traffic", kit.KEY_ARN)
    assert made["tags"]["mlops:component"] == "monitor"
    alarms, rules, plain = json.loads(made["policy"])["Statement"]
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": kit.ACCOUNT}}
    assert rules["Principal"] == {"Service": "events.amazonaws.com"}
    assert rules["Condition"] == {"ArnLike": {"aws:SourceArn": "arn:aws:events:eu-west-1:123456789012:rule/*"}}
    assert (plain["Effect"], plain["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert {each["Resource"] for each in (alarms, rules, plain)} == {TOPIC}


def test_an_address_is_a_subscription() -> None:
    found = declared([EMAIL])
    assert kinds(found) == ["Topic", "TopicSubscription"]
    made = kit.inputs(kit.one(found, "aws:sns/topicSubscription:TopicSubscription"))
    assert made == {"topic": TOPIC, "protocol": "email", "endpoint": "ada@example.com"}


def test_a_webhook_gets_the_topics_messages_by_a_queue_and_a_pipe() -> None:
    found = declared([PLAIN])
    assert kinds(found) == [
        *("EventApiDestination", "EventConnection", "Pipe", "Queue", "Queue", "QueuePolicy", "Role", "RolePolicy"),
        *("Topic", "TopicSubscription"),
    ]
    digest = naming.digest(PLAIN["webhook"])
    name = f"ml-traffic-webhook-{digest}"
    queue = kit.inputs(kit.one(found, "aws:sqs/queue:Queue", name))
    lost = kit.inputs(kit.one(found, "aws:sqs/queue:Queue", f"{name}-undelivered"))
    assert queue["kmsMasterKeyId"] == lost["kmsMasterKeyId"] == kit.KEY_ARN
    queue_arn = f"arn:aws:sqs:eu-west-1:123456789012:{queue['name']}"
    redrive = json.loads(queue["redrivePolicy"])
    assert redrive["deadLetterTargetArn"] == f"arn:aws:sqs:eu-west-1:123456789012:{lost['name']}"
    assert redrive["maxReceiveCount"] * queue["visibilityTimeoutSeconds"] >= 86_400, "it is tried for a day"
    send, plain = kit.json_of(kit.one(found, "aws:sqs/queuePolicy:QueuePolicy"), "policy")["Statement"]
    assert send["Condition"] == {"ArnEquals": {"aws:SourceArn": TOPIC}}
    assert plain["Effect"] == "Deny"
    subscription = kit.inputs(kit.one(found, "aws:sns/topicSubscription:TopicSubscription"))
    assert subscription == {"topic": TOPIC, "protocol": "sqs", "endpoint": queue_arn, "rawMessageDelivery": True}
    destination = kit.one(found, "aws:cloudwatch/eventApiDestination:EventApiDestination")
    assert kit.inputs(destination)["invocationEndpoint"] == PLAIN["webhook"]
    assert kit.inputs(destination)["httpMethod"] == "POST"
    pipe = kit.inputs(kit.one(found, "aws:pipes/pipe:Pipe"))
    assert pipe["source"] == queue_arn
    assert pipe["target"].startswith("arn:aws:events:eu-west-1:123456789012:api-destination/")
    assert json.loads(pipe["targetParameters"]["inputTemplate"]) == {
        "text": "[mlops] delay: <$.body.AlarmDescription> (<$.body.NewStateValue>)",
        "model": "delay",
        "component": "monitor",
        "alert": "<$.body.AlarmName>",
        "state": "<$.body.NewStateValue>",
        "reason": "<$.body.NewStateReason>",
    }
    policy = kit.json_of(kit.one(found, "aws:iam/rolePolicy:RolePolicy"), "policy")["Statement"]
    assert permissions.allows(policy, "sqs:ReceiveMessage", queue_arn)
    assert permissions.allows(policy, "events:InvokeApiDestination", pipe["target"])
    assert not permissions.allows(policy, "sqs:ReceiveMessage", f"arn:aws:sqs:eu-west-1:123456789012:{lost['name']}")


def test_what_is_published_otherwise_has_what_webhooks_read() -> None:
    template = json.loads(
        kit.inputs(kit.one(declared([PLAIN]), "aws:pipes/pipe:Pipe"))["targetParameters"]["inputTemplate"]
    )
    read = {part.partition(">")[0] for value in template.values() for part in value.split("<$.body.")[1:]}
    assert read == alerts.message("delay", "a run failed", "ALARM", "because").keys()


@pytest.mark.parametrize("receiver", [HIDDEN, {"webhook": "pulumi:alertsUrl"}], ids=["secret", "pulumi"])
def test_a_secret_address_is_no_plain_text(receiver: dict[str, Any]) -> None:
    pulumi.runtime.set_config("test:alertsUrl", "https://alerts.example.com/hook")
    found = declared([receiver])
    destination = kit.one(found, "aws:cloudwatch/eventApiDestination:EventApiDestination")
    assert kit.inputs(destination)["invocationEndpoint"] == "https://alerts.example.com/hook"
    assert destination.inputs["invocationEndpoint"] != "https://alerts.example.com/hook", "marked as a secret"
    others = [each for each in found.resources if each is not destination]
    assert not any("alerts.example.com" in json.dumps(each.inputs) for each in others)


def test_a_secret_without_the_key_stops_an_update_and_not_a_preview() -> None:
    with pytest.raises(pulumi.RunError, match="the secret alerts of AWS Secrets Manager has no text at nothing"):
        declared([{"webhook": "secret:alerts/nothing"}])
    destination = "aws:cloudwatch/eventApiDestination:EventApiDestination"
    previewed = kit.one(declared([{"webhook": "secret:alerts/nothing"}], preview=True), destination)
    assert kit.inputs(previewed)["invocationEndpoint"] == "https://unknown.invalid/"


@pytest.mark.parametrize(
    ("receiver", "told"),
    [
        ({**EMAIL, "min_interval": "2h"}, "monitors.traffic.alerts[0].min_interval: has no effect on aws"),
        ({"webhook": "http://alerts.example.com"}, "monitors.traffic.alerts[0].webhook: EventBridge calls https only"),
        ({"webhook": "env:ALERTS"}, "monitors.traffic.alerts[0].webhook: env:ALERTS"),
        ({"webhook": "file:/run/alerts"}, "monitors.traffic.alerts[0].webhook: file:/run/alerts"),
    ],
)
def test_what_aws_cannot_keep_is_refused(receiver: dict[str, Any], told: str) -> None:
    (found,) = alerts.problems("monitors.traffic", [Alert.model_validate(receiver)])
    assert found.startswith(told)
    with pytest.raises(pulumi.RunError, match=r"min_interval|webhook"):
        declared([receiver])


def test_what_is_fine_is_not_refused() -> None:
    assert alerts.problems("monitors.traffic", [Alert.model_validate(each) for each in (EMAIL, PLAIN, HIDDEN)]) == []


def test_aws_takes_all_of_it() -> None:
    found = declared([EMAIL, PLAIN, HIDDEN])
    assert models.all_problems(found.resources) == []
    assert permissions.problems(found.resources) == []
