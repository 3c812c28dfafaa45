"""Endpoints in use: watched, by something with a threshold, that tells a person; and how they go back."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, kubernetes, mlops, watching
from mlops_policies.kinds.labels import label
from mlops_policies.registry import pack
from mlops_policies.resources import Resource, Stack
from mlops_policies.values import NotApplicable, Undecided

rule = pack("ml-governance")

_ENDPOINTS = (mlops.ENDPOINT, *aws.ENDPOINT, *kubernetes.INFERENCE_SERVICE)
_DRIFT = ("signals.featureDrift", "signals.predictionDrift")


@rule(
    *_ENDPOINTS,
    graph=True,
    severity="critical",
    remediation="Add an entry to `monitors`; for a SageMaker endpoint declare a MonitoringSchedule or an alarm on its "
    "metrics, for an InferenceService a ServiceMonitor, PodMonitor or PrometheusRule.",
    references={
        "eu-ai-act": ["Art. 26(5)", "Art. 72(1)", "Art. 72(2)"],
        "nist-ai-rmf": ["MEASURE 2.4", "MANAGE 4.1"],
        "iso-42001": ["A.6.2.6"],
        "sr-26-2": ["V. Ongoing monitoring"],
        "gmlp": ["Principle 10"],
        "prowler": ["sagemaker_models_monitor_enabled", "AISF-ML-05"],
    },
)
def endpoint_has_monitor(endpoint: Resource, stack: Stack) -> Iterator[Finding]:
    """Every endpoint that answers requests is watched.

    Batch endpoints and bundles for devices answer none: their model is judged on new labels at each training.
    """
    if endpoint.type == mlops.ENDPOINT:
        mlops.answers(endpoint)
        if not mlops.monitors(stack, endpoint):
            yield endpoint.finding("nothing watches this endpoint", field="monitors")
    elif endpoint.type in aws.ENDPOINT:
        if not watching.schedules(stack, endpoint) and not watching.alarms(stack, endpoint, "EndpointName"):
            yield endpoint.finding("neither a monitoring schedule nor an alarm watches this endpoint")
    elif not watching.prometheus(stack, endpoint):
        yield endpoint.finding("nothing has Prometheus watch this service")


@rule(
    mlops.MONITOR,
    *aws.MONITORING_SCHEDULE,
    graph=True,
    severity="high",
    remediation="Set `signals.feature_drift` or `signals.prediction_drift` of a monitor; give the job definition of a "
    "schedule its constraints or its baselining job.",
    references={
        "eu-ai-act": ["Art. 15(1)", "Art. 72(3)"],
        "nist-ai-rmf": ["MEASURE 2.4"],
        "sr-26-2": ["V. Outcomes analysis"],
    },
)
def monitor_has_threshold(monitor: Resource, stack: Stack) -> Iterator[Finding]:
    """What watches an endpoint compares its data or predictions with a baseline, and knows how much is too much.

    The monitors of one endpoint count together: one may watch latency, if another watches drift.
    """
    if monitor.type == mlops.MONITOR:
        name = monitor.text("endpoint")
        others = [found for found in mlops.about(stack, monitor, mlops.MONITOR) if found.text("endpoint") == name]
        if not any(other.has(signal) and other.has("baseline") for other in others for signal in _DRIFT):
            field = f"monitors[{monitor.text('monitor')}].signals"
            yield monitor.finding("no monitor of the endpoint compares with a baseline", "signals", field=field)
        return
    found = list(watching.baselines(stack, monitor))
    if not found:
        at = "monitoringScheduleConfig.monitoringJobDefinitionName"
        raise Undecided(at, "names a job that the program does not declare", monitor.urn)
    for baseline in found:
        if not any(baseline.has(name) for name in ("constraintsResource", "baseliningJobName")):
            yield monitor.finding("the job compares with no baseline", baseline.path)


@rule(
    mlops.MONITOR,
    mlops.RETRAINING,
    *aws.MONITORING_SCHEDULE,
    *aws.ALARM,
    graph=True,
    severity="high",
    remediation="Add `alerts: [{email: ...}]` to the monitor or to `retraining`; give an alarm an SNS topic with a "
    "subscription, and a monitoring schedule an alarm on its metrics.",
    references={
        "eu-ai-act": ["Art. 26(5)", "Art. 72(2)"],
        "nist-ai-rmf": ["MANAGE 4.3"],
        "iso-42001": ["A.8.4"],
        "sr-26-2": ["V. Ongoing monitoring"],
        "soc2": ["CC7.3", "CC7.4"],
    },
)
def monitor_has_alert_route(monitor: Resource, stack: Stack) -> Iterator[Finding]:
    """What is noticed reaches a person who is named.

    Of our monitors, and of retraining that starts by itself, one alert goes to an e-mail address: whom a webhook
    reaches, the stack does not say. Of CloudWatch, alarms on SageMaker's metrics are judged.
    """
    if monitor.type in (mlops.MONITOR, mlops.RETRAINING):
        if monitor.type == mlops.RETRAINING and not any(t != "manual" for t in monitor.texts("triggers")):
            raise NotApplicable("training starts only when somebody asks for it")
        if not any(alert.text("kind") == "email" and alert.has("to") for alert in monitor.each("alerts")):
            section = "retraining" if monitor.type == mlops.RETRAINING else f"monitors[{monitor.text('monitor')}]"
            yield monitor.finding("its alerts reach nobody who is named", "alerts", field=f"{section}.alerts")
    elif monitor.type in aws.MONITORING_SCHEDULE:
        if not watching.alarms(stack, monitor, "MonitoringSchedule"):
            yield monitor.finding("no alarm tells of what this schedule finds")
    elif "sagemaker" not in (monitor.text("namespace") or "").casefold():
        raise NotApplicable("the alarm is on metrics of another service")
    else:
        yield from _alarm(monitor, stack)


def _alarm(alarm: Resource, stack: Stack) -> Iterator[Finding]:
    if not alarm.flag("actionsEnabled", default=True):
        yield alarm.finding("the alarm's actions are switched off", "actionsEnabled")
    elif not alarm.has("alarmActions"):
        yield alarm.finding("the alarm does nothing when it is raised", "alarmActions")
    for topic in stack.of(*aws.TOPIC):
        sends = any(stack.refers(part, "", topic) for part in alarm.each("alarmActions"))
        heard = topic.has("subscription") or stack.referring(topic, aws.SUBSCRIPTION, "topic")
        if sends and not (heard or stack.referring(topic, aws.SUBSCRIPTION, "topicArn")):
            yield alarm.finding(f"nobody has subscribed to the topic {topic.name}", "alarmActions")


@rule(
    *_ENDPOINTS,
    severity="high",
    remediation="Set `deploymentConfig.autoRollbackConfiguration.alarms` of a SageMaker endpoint; set "
    "`canaryTrafficPercent` of an InferenceService, or keep the rolling update of its Deployment.",
    references={
        "eu-ai-act": ["Art. 14(4)(e)", "Art. 15(4)"],
        "nist-ai-rmf": ["MANAGE 2.4"],
        "soc2": ["CC7.5"],
    },
)
def endpoint_has_rollback(endpoint: Resource) -> Iterator[Finding]:
    """An endpoint can be brought back to the version before.

    Our REST endpoints keep the version before the deployed one. SageMaker goes back by itself when an alarm is raised
    during a deployment. KServe keeps the last good revision where traffic is shifted by percentage (Knative mode), or
    as long as its Deployment is updated by rolling (Standard mode).
    """
    if endpoint.type == mlops.ENDPOINT:
        mlops.answers(endpoint)
        if not endpoint.has("rollback"):
            field = f"endpoints[{endpoint.text('endpoint')}]"
            yield endpoint.finding("there is no way back to the version before", "rollback", field=field)
    elif endpoint.type in aws.ENDPOINT:
        mlops.not_ours(endpoint)
        if not endpoint.has("deploymentConfig.autoRollbackConfiguration.alarms"):
            at = "deploymentConfig.autoRollbackConfiguration"
            yield endpoint.finding("no alarm brings the endpoint back when a deployment fails", at)
    else:
        standard = label(endpoint, "serving.kserve.io/deploymentMode") in ("Standard", "RawDeployment")
        if standard and endpoint.text("spec.predictor.deploymentStrategy.type") == "Recreate":
            at = "spec.predictor.deploymentStrategy.type"
            yield endpoint.finding("the running version is stopped before the next is ready", at)
        elif not standard and not endpoint.has("spec.predictor.canaryTrafficPercent"):
            at = "spec.predictor.canaryTrafficPercent"
            yield endpoint.finding("a new version takes all traffic at once, and there is no way back", at)
