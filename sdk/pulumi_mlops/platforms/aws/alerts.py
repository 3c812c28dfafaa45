"""Who is told of alerts: an SNS topic for each component, e-mail by its subscriptions, webhooks by EventBridge.

What is published to a topic is CloudWatch's message about an alarm, or a message of the same form (`message`), so that
every receiver reads one form. SNS itself can't call most webhooks, which don't confirm subscriptions; so the messages
go through a queue and a pipe to an API destination, which is tried for a day. What can't be delivered even so is kept
for two weeks in a second queue.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms import naming
from pulumi_mlops.platforms.aws import access, documents, roles, secrets
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.roles import Allow
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.monitors import Alert

_TOPIC_NAME: Final = 256
_QUEUE_NAME: Final = 80
_NAME: Final = 64
"""Longest name of a connection, an API destination and a pipe."""

_KEPT_SECONDS: Final = 14 * 86_400
_TRIES: Final = 100
_VISIBILITY_SECONDS: Final = 900
"""Time before a message that was not delivered is tried again: with `_TRIES`, for about a day."""

_CALLS_PER_SECOND: Final = 1

_NOWHERE: Final = "https://unknown.invalid/"
"""Address of a webhook in a preview, while its secret is not there (RFC 6761: no such host will ever be)."""


def problems(at: str, alerts: Sequence[Alert]) -> list[str]:
    """What keeps alerts from being sent, a sentence each, beginning with the field.

    Arguments:
        at: path of the section that has the alerts.
        alerts: the alerts.
    """
    found = []
    for index, alert in enumerate(alerts):
        field = f"{at}.alerts[{index}]"
        if "min_interval" in alert.model_fields_set:
            found.append(
                f"{field}.min_interval: has no effect on aws, where an alert is sent when it begins and when it ends, "
                "and never again in between; take it out"
            )
        if alert.webhook is None:
            continue
        kind = alert.webhook.partition(":")[0]
        if kind == "http":
            found.append(f"{field}.webhook: EventBridge calls https only; give the https address")
        elif kind != "https" and (refusal := secrets.problem(alert.webhook)) is not None:
            found.append(f"{field}.webhook: {refusal}")
    return found


def topic(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    alerts: Sequence[Alert],
    identity: Identity,
    *,
    component: str,
    called: Sequence[str] = (),
) -> aws.sns.Topic:
    """A topic whose messages the receivers of some alerts get.

    CloudWatch's alarms and EventBridge's rules of the account may publish; whoever else does needs `publish`. People
    confirm the subscription of their address once, by a link that SNS sends them.

    Arguments:
        account: where it is made.
        parent: component that it belongs to.
        name: name of that component; the topic is `NAME-alerts`.
        alerts: the receivers.
        identity: the model that the alerts are about.
        component: what the alerts are of (`monitor`, `retraining`, `deployment`): part of the name, and the tag.
        called: further parts of its name, where a model has several of them, such as the monitor's name.

    Raises:
        pulumi.RunError: a receiver can't be told from here.
    """
    if found := problems(name, alerts):
        raise pulumi.RunError(found[0])
    parts = (identity.name, component, *called)
    tags = account.tags(component, identity)
    arn = account.arn("sns", account.called(*parts, limit=_TOPIC_NAME))
    made = aws.sns.Topic(
        f"{name}-alerts",
        name=account.called(*parts, limit=_TOPIC_NAME),
        display_name=f"MLOps {identity.name}"[:100],
        kms_master_key_id=account.key_arn,
        policy=json.dumps(_topic_policy(account, arn)),
        tags=tags,
        opts=account.options(parent=parent),
    )
    for alert in alerts:
        digest = naming.digest(alert.receiver)
        if alert.email is not None:
            aws.sns.TopicSubscription(
                f"{name}-email-{digest}",
                topic=made.arn,
                protocol="email",
                endpoint=alert.email,
                opts=account.options(parent=parent),
            )
        elif alert.webhook is not None:
            hook = _Webhook(account, parent, f"{name}-webhook-{digest}", (*parts, digest), tags, identity)
            hook.build(made, alert.webhook, kind=component)
    return made


def publish(account: Account, published: aws.sns.Topic) -> list[Allow]:
    """Publish to a topic, as a role that is neither CloudWatch's nor EventBridge's."""
    return [Allow(["sns:Publish"], [published.arn]), *access.use_key(account)]


def message(title: str, text: str, state: str, reason: str) -> dict[str, str]:
    """A message in the form of those about alarms, for what is not one.

    Each value may hold placeholders of EventBridge (`<name>`) or of Step Functions.

    Arguments:
        title: name of what happened, the same each time.
        text: a line for people.
        state: `ALARM` where it begins, `OK` where it ends.
        reason: what exactly happened.
    """
    return {"AlarmName": title, "AlarmDescription": text, "NewStateValue": state, "NewStateReason": reason}


def _topic_policy(account: Account, arn: str) -> dict[str, Any]:
    def allow(service: str, condition: Mapping[str, Any]) -> dict[str, Any]:
        principal = {"Service": f"{service}.amazonaws.com"}
        return {
            "Effect": "Allow",
            "Principal": principal,
            "Action": "sns:Publish",
            "Resource": arn,
            "Condition": condition,
        }

    return {
        "Version": "2012-10-17",
        "Statement": [
            allow("cloudwatch", {"StringEquals": {"aws:SourceAccount": account.id}}),
            allow("events", {"ArnLike": {"aws:SourceArn": account.arn("events", "rule/*")}}),
            _only_tls("sns:Publish", arn),
        ],
    }


def _only_tls(action: str, arn: Any) -> dict[str, Any]:
    return {
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


class _Webhook:
    """What calls one webhook: a queue that takes a topic's messages, and a pipe from it to an API destination.

    A secret address is a secret in the stack's state, too; in EventBridge whoever may describe API destinations of the
    account can read it, as anywhere that a URL is the credential.
    """

    def __init__(
        self,
        account: Account,
        parent: pulumi.Resource,
        name: str,
        parts: Sequence[str],
        tags: Mapping[str, str],
        identity: Identity,
    ) -> None:
        self._account, self._name, self._parts, self._tags = account, name, parts, tags
        self._identity = identity
        self._parent = parent
        self._opts = account.options(parent=parent)

    def build(self, published: aws.sns.Topic, webhook: str, *, kind: str) -> None:
        queue = self._queue(published)
        destination = self._destination(webhook)
        account = self._account
        role = roles.role(
            account,
            self._name,
            "events",
            services=["pipes"],
            allow=[
                Allow(["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], [queue.arn]),
                Allow(["events:InvokeApiDestination"], [destination.arn]),
                Allow(["kms:Decrypt"], [account.key_arn]),
            ],
            parent=self._parent,
            called=(*self._parts, "pipe"),
            identity=self._identity,
        )
        aws.pipes.Pipe(
            self._name,
            name=account.called(*self._parts, limit=_NAME),
            description=f"Alerts of {self._identity.name} to a webhook",
            role_arn=role.arn,
            source=queue.arn,
            source_parameters={"sqs_queue_parameters": {"batch_size": 1}},
            target=destination.arn,
            target_parameters={"input_template": _body(self._identity, kind)},
            tags=self._tags,
            opts=account.options(parent=self._parent, needs=role.needs),
        )

    def _queue(self, published: aws.sns.Topic) -> aws.sqs.Queue:
        account = self._account
        undelivered = aws.sqs.Queue(
            f"{self._name}-undelivered",
            name=account.called(*self._parts, "undelivered", limit=_QUEUE_NAME),
            message_retention_seconds=_KEPT_SECONDS,
            tags=self._tags,
            kms_master_key_id=account.key_arn,
            opts=self._opts,
        )
        made = aws.sqs.Queue(
            self._name,
            name=account.called(*self._parts, limit=_QUEUE_NAME),
            message_retention_seconds=_KEPT_SECONDS,
            visibility_timeout_seconds=_VISIBILITY_SECONDS,
            redrive_policy=documents.dumps({"deadLetterTargetArn": undelivered.arn, "maxReceiveCount": _TRIES}),
            tags=self._tags,
            kms_master_key_id=account.key_arn,
            opts=self._opts,
        )
        send = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": made.arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": published.arn}},
        }
        document = {"Version": "2012-10-17", "Statement": [send, _only_tls("sqs:*", made.arn)]}
        allowed = aws.sqs.QueuePolicy(self._name, queue_url=made.url, policy=documents.dumps(document), opts=self._opts)
        aws.sns.TopicSubscription(
            self._name,
            topic=published.arn,
            protocol="sqs",
            endpoint=made.arn,
            raw_message_delivery=True,
            opts=account.options(parent=self._parent, needs=[allowed]),
        )
        return made

    def _destination(self, webhook: str) -> aws.cloudwatch.EventApiDestination:
        account = self._account
        called = account.called(*self._parts, limit=_NAME)
        connection = aws.cloudwatch.EventConnection(
            self._name,
            name=called,
            description=f"Alerts of {self._identity.name}",
            authorization_type="API_KEY",
            # A connection always sends a header; the credential is the address, and this only says who calls.
            kms_key_identifier=account.key_arn,
            auth_parameters={"api_key": {"key": "X-MLOps-Source", "value": f"{account.prefix}/{self._identity.name}"}},
            opts=self._opts,
        )
        return aws.cloudwatch.EventApiDestination(
            self._name,
            name=called,
            description=f"Alerts of {self._identity.name}",
            connection_arn=connection.arn,
            http_method="POST",
            invocation_endpoint=self._address(webhook),
            invocation_rate_limit_per_second=_CALLS_PER_SECOND,
            opts=self._opts,
        )

    def _address(self, webhook: str) -> pulumi.Input[str]:
        kind, _, rest = webhook.partition(":")
        if kind == "https":
            return webhook
        if kind == "pulumi":
            return pulumi.Config().require_secret(rest)
        secret, _, key = rest.partition("/")
        found = aws.secretsmanager.get_secret_version_output(
            secret_id=secret, opts=pulumi.InvokeOutputOptions(provider=self._account.provider, parent=self._parent)
        )
        return pulumi.Output.secret(found.secret_string.apply(lambda text: _value(text, secret, key)))


def _value(text: str, secret: str, key: str) -> str:
    try:
        found = json.loads(text)[key]
    except (ValueError, KeyError, TypeError):
        found = None
    if isinstance(found, str):
        return found
    problem = f"the secret {secret} of AWS Secrets Manager has no text at {key}; it must be a JSON object with that key"
    if not pulumi.runtime.is_dry_run():
        raise pulumi.RunError(problem)
    # Before it is made, the secret may not have been written yet; `mlops check` knows none at all.
    pulumi.warn(problem)
    return _NOWHERE


def _body(identity: Identity, component: str) -> str:
    """What a webhook gets: `text` for chat services, and the parts for programs."""
    return json.dumps(
        {
            "text": f"[mlops] {identity.name}: <$.body.AlarmDescription> (<$.body.NewStateValue>)",
            "model": identity.name,
            "component": component,
            "alert": "<$.body.AlarmName>",
            "state": "<$.body.NewStateValue>",
            "reason": "<$.body.NewStateReason>",
        }
    )
