"""Who is told of alerts: Alertmanager's routes and receivers, and the event that starts a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi

from pulumi_mlops.platforms.kubernetes import names, rules, secrets
from pulumi_mlops.platforms.kubernetes.access import Rule
from pulumi_mlops.platforms.kubernetes.cluster import Cluster, component
from pulumi_mlops.platforms.kubernetes.durations import duration
from pulumi_mlops.spec.kubernetes import Argo, Kubernetes
from pulumi_mlops.spec.mail import Smtp
from pulumi_mlops.spec.monitors import Alert
from pulumi_mlops.spec.retraining import Retraining

_API: Final = "monitoring.coreos.com"
_NOBODY: Final = "nobody"
_RETRAINING: Final = "retraining"
_DRIFT: Final = ("feature_drift", "prediction_drift")
_RETRY: Final = "1d"
"""Time after which a drift that no run has ended asks for another."""


def problems(at: str, alerts: Sequence[Alert], settings: Kubernetes) -> list[str]:
    """What keeps alerts from being sent, a sentence each, beginning with the field.

    Arguments:
        at: path of the section that has the alerts.
        alerts: the alerts.
        settings: the platform's.
    """
    if settings.monitoring is None:
        return [f"{at}: needs platform.kubernetes.monitoring, whose Prometheus and Alertmanager do the watching"]
    references = {
        f"{at}.alerts[{i}].webhook": alert.webhook
        for i, alert in enumerate(alerts)
        if alert.webhook is not None and not alert.webhook.startswith("http")
    }
    if (password := _password(settings.monitoring.smtp, alerts)) is not None:
        references["platform.kubernetes.monitoring.smtp.password"] = password
    return [
        f"{field}: {secrets.refusal(reference)}"
        for field, reference in references.items()
        if reference.partition(":")[0] not in ("secret", "pulumi")
    ]


def add_rules(
    cluster: Cluster,
    parent: pulumi.Resource,
    resource: str,
    name: str,
    groups: Sequence[rules.Group],
    labels: Mapping[str, str],
) -> None:
    """Make a PrometheusRule."""
    assert cluster.settings.monitoring is not None, "problems refuses that"
    cluster.objects.add(
        resource,
        {"apiVersion": f"{_API}/v1", "kind": "PrometheusRule", "spec": {"groups": list(groups)}},
        name=names.fit(name),
        parent=parent,
        labels={**labels, **cluster.settings.monitoring.labels},
    )


def add_routes(
    cluster: Cluster,
    parent: pulumi.Resource,
    resource: str,
    name: str,
    alerts: Sequence[Alert],
    matchers: Mapping[str, Sequence[str]],
    labels: Mapping[str, str],
    *,
    event: tuple[str, secrets.Key] | None = None,
) -> None:
    """Make an AlertmanagerConfig; nothing where nobody is to be told.

    The operator adds the namespace to its matchers, and lets the cluster's own routes go on after it.

    Arguments:
        cluster: where it is made.
        parent: component that it belongs to.
        resource: name of the Pulumi resource.
        name: name of the object.
        alerts: who is told, and how often.
        matchers: labels of the alerts that are meant, each with its values.
        labels: labels of the object.
        event: address that drift is posted to, and the token to do it with.
    """
    if not alerts and event is None:
        return
    monitoring = cluster.settings.monitoring
    assert monitoring is not None, "problems refuses that"
    receivers: list[dict[str, Any]] = [{"name": _NOBODY}]
    routes: list[dict[str, Any]] = []
    for number, alert in enumerate(alerts):
        receiver = f"alert-{number}"
        receivers.append({"name": receiver, **_receiver(cluster, alert, monitoring.smtp)})
        routes.append(
            {
                "receiver": receiver,
                "groupBy": ["alertname"],
                "repeatInterval": duration(alert.min_interval),
                "continue": True,
            }
        )
    if event is not None:
        receivers.append({"name": _RETRAINING, "webhookConfigs": [_event(cluster, *event)]})
        routes.append(
            {
                "receiver": _RETRAINING,
                # One run, however many of its inputs and predictions have drifted.
                "groupBy": ["monitor"],
                "matchers": [_matcher("signal", _DRIFT)],
                "repeatInterval": _RETRY,
            }
        )
    references = [alert.webhook for alert in alerts if alert.webhook is not None]
    if (password := _password(monitoring.smtp, alerts)) is not None:
        references.append(password)
    cluster.objects.add(
        resource,
        {
            "apiVersion": f"{_API}/v1alpha1",
            "kind": "AlertmanagerConfig",
            "spec": {
                "route": {
                    "receiver": _NOBODY,
                    "matchers": [_matcher(name, values) for name, values in sorted(matchers.items())],
                    "routes": routes,
                },
                "receivers": receivers,
            },
        },
        name=names.fit(name),
        parent=parent,
        labels={**labels, **monitoring.labels},
        needs=cluster.secrets.needs(each for each in references if not each.startswith("http")),
    )


def for_retraining(cluster: Cluster, parent: pulumi.Resource, name: str, settings: Retraining, model: str) -> None:
    """Make the rules and routes of continuous training; nothing where neither alerts nor `overdue` are declared.

    Arguments:
        cluster: where they are made.
        parent: component that they belong to.
        name: its name.
        settings: the spec's `retraining` section.
        model: the model.

    Raises:
        pulumi.RunError: alerts are declared, and there is no Prometheus.
    """
    if not settings.alerts and settings.overdue is None:
        return
    if found := problems("retraining", settings.alerts, cluster.settings):
        raise pulumi.RunError(found[0])
    labels = component("pipeline", model)
    object_name = f"{model}-training"
    groups = rules.retraining_groups(settings, cluster.namespace, model)
    add_rules(cluster, parent, f"{name}-rules", object_name, groups, labels)
    matchers = {"model": [model], "signal": ["run_failed", "run_overdue"]}
    add_routes(cluster, parent, f"{name}-routes", object_name, settings.alerts, matchers, labels)


def trigger_rules(model: str) -> list[Rule]:
    """What Argo's server needs of the account whose token comes with an event: to read the bindings and the model's
    template, and to create a workflow of it."""
    api = {"apiGroups": ["argoproj.io"]}
    return [
        {**api, "resources": ["workfloweventbindings"], "verbs": ["list"]},
        {**api, "resources": ["workflowtemplates"], "resourceNames": [model], "verbs": ["get"]},
        {**api, "resources": ["workflows"], "verbs": ["create"]},
    ]


def drift_event(
    cluster: Cluster, parent: pulumi.Resource, resource: str, monitor: str, model: str
) -> tuple[str, secrets.Key]:
    """The event by which drift starts a run: where it is posted, and the token that comes with it.

    Argo's server takes it as the discriminator `MONITOR`, with Alertmanager's message (`status`, `alerts`,
    `commonLabels`) as the payload. The token is of the account `MODEL-trigger`, which can do no more than start runs.

    Arguments:
        cluster: where the token is made.
        parent: component that it belongs to.
        resource: name of the Pulumi resource.
        monitor: name of the monitor.
        model: the model.
    """
    argo = cluster.settings.argo
    assert argo is not None, "monitor_problems refuses that"
    account, needs = cluster.accounts.account(names.fit(f"{model}-trigger"), rules=trigger_rules(model))
    name = names.fit(f"{monitor}-trigger-token")
    cluster.objects.add(
        resource,
        {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token"},
        name=name,
        parent=parent,
        annotations={"kubernetes.io/service-account.name": account},
        needs=needs,
    )
    return f"{argo.url}/api/v1/events/{cluster.namespace}/{monitor}", secrets.Key(name, "token")


def _matcher(name: str, values: Sequence[str]) -> dict[str, str]:
    return {"name": name, "value": "|".join(values), "matchType": "=" if len(values) == 1 else "=~"}


def _password(smtp: Smtp | None, alerts: Sequence[Alert]) -> str | None:
    mailed = any(alert.email is not None for alert in alerts)
    return smtp.password if smtp is not None and mailed else None


def _receiver(cluster: Cluster, alert: Alert, smtp: Smtp | None) -> dict[str, Any]:
    if alert.webhook is None:
        return {"emailConfigs": [{"to": alert.email, "sendResolved": True, **_mail(cluster, smtp)}]}
    if alert.webhook.startswith("http"):
        address: dict[str, Any] = {"url": alert.webhook}
    else:
        address = {"urlSecret": cluster.secrets.key(alert.webhook).selector}
    return {"webhookConfigs": [{**address, "sendResolved": True}]}


def _mail(cluster: Cluster, smtp: Smtp | None) -> dict[str, Any]:
    if smtp is None:
        return {}
    made: dict[str, Any] = {
        "from": smtp.sender,
        "smarthost": f"{smtp.host}:{smtp.port_number}",
        # Alertmanager's word for STARTTLS.
        "requireTLS": smtp.security == "starttls",
    }
    if smtp.security == "tls" and smtp.port_number != _IMPLICIT_TLS:
        made["forceImplicitTLS"] = True
    if smtp.username is not None and smtp.password is not None:
        made |= {"authUsername": smtp.username, "authPassword": cluster.secrets.key(smtp.password).selector}
    return made


_IMPLICIT_TLS: Final = 465
"""The port at which Alertmanager begins with TLS by itself (RFC 8314); for others it must be new enough to be told."""


def _event(cluster: Cluster, url: str, token: secrets.Key) -> dict[str, Any]:
    argo: Argo | None = cluster.settings.argo
    http: dict[str, Any] = {"authorization": {"type": "Bearer", "credentials": token.selector}}
    if argo is not None and argo.certificate is not None:
        http["tlsConfig"] = {"ca": {"secret": cluster.secrets.key(argo.certificate).selector}}
    return {"url": url, "sendResolved": False, "httpConfig": http}
