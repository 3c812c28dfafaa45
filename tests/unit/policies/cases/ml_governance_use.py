"""Cases of the rules about endpoints in use, and about the records of what they did."""

from __future__ import annotations

from typing import Any

from mlops_policies import Resource
from pulumi_mlops.testing.policy import UNKNOWN, Case, Secret, component, resource
from tests.unit.policies.ml_governance_kit import (
    DAY,
    HIGH,
    batch,
    bucket,
    dataset,
    endpoint,
    governance,
    inference_service,
    model,
    monitor,
    registry,
    retraining,
    sagemaker,
    stack,
)

URI = "s3://records/live/"
CONFIG = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
HALF_YEAR, SIX_YEARS, TEN_YEARS = 183.0 * DAY, 2190.0 * DAY, 3650.0 * DAY
MAIL = {"kind": "email", "to": "ada@example.com"}
HOOK = {"kind": "webhook"}
KSERVE = "serving.kserve.io/inferenceservice"


def alarm(name: str = "errors", *, refers: Any = None, **props: Any) -> Resource:
    declared = {
        "namespace": "AWS/SageMaker",
        "dimensions": {"EndpointName": "live", "VariantName": "AllTraffic"},
        "threshold": 1.0,
        "alarmActions": ["arn:aws:sns:eu-west-1:123456789012:on-call"],
    }
    return resource("aws:cloudwatch/metricAlarm:MetricAlarm", name, refers=refers, **{**declared, **props})


def schedule(name: str = "data", **job: Any) -> Resource:
    inputs = {"endpointInput": {"endpointName": "live", "localPath": "/opt"}}
    config = {"monitoringType": "DataQuality", "monitoringJobDefinition": {"monitoringInputs": inputs, **job}}
    token = "aws:sagemaker/monitoringSchedule:MonitoringSchedule"
    return Resource(token, name, {"name": name, "monitoringScheduleConfig": config})


def job_definition(**props: Any) -> Resource:
    token = "aws:sagemaker/dataQualityJobDefinition:DataQualityJobDefinition"
    inputs = {"endpointInput": {"endpointName": "live", "localPath": "/opt"}}
    return Resource(token, "quality", {"name": "quality", "dataQualityJobInput": inputs, **props})


def named_schedule(job: str = "quality") -> Resource:
    config = {"monitoringType": "DataQuality", "monitoringJobDefinitionName": job}
    return resource("aws:sagemaker/monitoringSchedule:MonitoringSchedule", "data", monitoringScheduleConfig=config)


def scraper(selector: Any, kind: str = "ServiceMonitor", *, namespace: str = "ml", **spec: Any) -> Resource:
    token = f"kubernetes:monitoring.coreos.com/v1:{kind}"
    return resource(token, "delay", metadata={"namespace": namespace}, spec={"selector": selector, **spec})


def prometheus_rule(*rules: Any) -> Resource:
    token = "kubernetes:monitoring.coreos.com/v1:PrometheusRule"
    return resource(
        token, "delay", metadata={"namespace": "ml"}, spec={"groups": [{"name": "g", "rules": list(rules)}]}
    )


def topic() -> Resource:
    return Resource("aws:sns/topic:Topic", "on-call", {"name": "on-call"})


def heard(**props: Any) -> Resource:
    """A topic, which may list its subscriptions itself."""
    return resource("aws-native:sns:Topic", "heard", **props)


def subscription() -> Resource:
    props: dict[str, Any] = {"protocol": "email", "endpoint": "ada@example.com"}
    return resource("aws:sns/topicSubscription:TopicSubscription", "ada", refers={"topic": topic()}, **props)


def config(*, refers: Any = None, **capture: Any) -> Resource:
    declared = {"enableCapture": True, "initialSamplingPercentage": 10, "destinationS3Uri": URI}
    return resource(CONFIG, "live", refers=refers, dataCaptureConfig={**declared, **capture})


def log_group(days: Any, **tags: str) -> Resource:
    return resource("aws:cloudwatch/logGroup:LogGroup", "live", retentionInDays=days, tags=tags)


def lifecycle(days: Any, *, status: str = "Enabled") -> Resource:
    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    rules = [{"id": "old", "status": status, "expiration": {"days": days}}]
    return resource(token, "records", refers={"bucket": bucket()}, rules=rules)


def companion(kind: str, **props: Any) -> Resource:
    return resource(f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}", "records", refers={"bucket": bucket()}, **props)


def lock(**retention: Any) -> Resource:
    return companion("BucketObjectLockConfiguration", rule={"defaultRetention": {"mode": "COMPLIANCE", **retention}})


VERSIONING = companion("BucketVersioning", versioningConfiguration={"status": "Enabled"})
TRAIL = resource("aws:cloudtrail/trail:Trail", "audit", refers={"s3BucketName": bucket()})
ACCESS_LOGS = resource("aws:s3/bucketLogging:BucketLogging", "data", bucket="data", targetBucket="records")
LOADED = model(modelDataUrl="s3://records/delay/7/model.tar.gz")
TAGS = {"risk-tier": "high"}

OTHERS = component("MLStack", "other", model="other")

LIVE = endpoint()

CASES = {
    "endpoint-has-monitor": Case(
        passing=[
            [endpoint(), monitor()],
            [sagemaker(), schedule()],
            [sagemaker(), job_definition(), named_schedule()],
            [sagemaker(), alarm()],
            [sagemaker(), alarm(refers={"dimensions": sagemaker()}, dimensions={"EndpointName": UNKNOWN})],
            [sagemaker(), alarm(dimensions=None, metricQueries=[{"metric": {"dimensions": {"EndpointName": "live"}}}])],
            [
                sagemaker(),
                resource("aws-native:cloudwatch:Alarm", dimensions=[{"name": "EndpointName", "value": "live"}]),
            ],
            [
                sagemaker(),
                resource(
                    "aws-native:cloudwatch:Alarm",
                    metrics=[
                        {"metricStat": {"metric": {"dimensions": [{"name": "EndpointName", "value": "live"}]}}},
                    ],
                ),
            ],
            [inference_service(), scraper({"matchLabels": {KSERVE: "delay"}})],
            [inference_service(), scraper({"matchLabels": {"component": "predictor", "owner": "ada@example.com"}})],
            [inference_service(), scraper({"matchExpressions": [{"key": KSERVE, "operator": "Exists"}]})],
            [
                inference_service(),
                scraper({"matchExpressions": [{"key": KSERVE, "operator": "In", "values": ["delay"]}]}, "PodMonitor"),
            ],
            [inference_service(), scraper({}, namespace="monitoring", namespaceSelector={"any": True})],
            [inference_service(), scraper({}, namespace="monitoring", namespaceSelector={"matchNames": ["ml"]})],
            [inference_service(), prometheus_rule({"alert": "Slow", "expr": 'latency{model="delay"} > 1'})],
            [inference_service(), prometheus_rule({"alert": "Slow", "expr": "l > 1", "labels": {"model": "delay"}})],
        ],
        failing=[
            endpoint(),
            [endpoint(), monitor(endpoint="other")],
            [
                stack(),
                endpoint(),
                OTHERS,
                Resource("mlops:index:Monitor", "m", {"endpoint": "live"}, parent=OTHERS.urn),
            ],
            sagemaker(),
            [sagemaker("other"), schedule()],
            [sagemaker(), alarm(dimensions={"EndpointName": "other"})],
            [sagemaker(), alarm(dimensions=None)],
            [sagemaker(), named_schedule("elsewhere")],
            inference_service(),
            [inference_service(), scraper({"matchLabels": {KSERVE: "other"}})],
            [inference_service(), scraper({"matchLabels": {KSERVE: "delay"}}, namespace="other")],
            [inference_service(), scraper({}, namespaceSelector={"matchNames": ["other"]})],
            [inference_service(), scraper({"matchExpressions": [{"key": "app", "operator": "Exists"}]})],
            [
                inference_service(),
                scraper({"matchExpressions": [{"key": KSERVE, "operator": "In", "values": ["other"]}]}),
            ],
            [inference_service(), prometheus_rule({"record": "l", "expr": 'latency{model="delay"}'})],
        ],
        undecided=[
            [
                sagemaker(),
                resource("aws:sagemaker/monitoringSchedule:MonitoringSchedule", monitoringScheduleConfig=UNKNOWN),
            ],
            [inference_service(namespace=UNKNOWN), scraper({})],
        ],
        not_applicable=[
            batch(),
        ],
    ),
    "monitor-has-threshold": Case(
        passing=[
            monitor(),
            monitor(signals={"predictionDrift": {"threshold": 0.2}}),
            [monitor(), monitor(monitor="speed", signals={"latencyP99": 0.1}, baseline=None)],
            schedule(baseline={"constraintsResource": {"s3Uri": "s3://b/constraints.json"}}),
            schedule(baseline={"baseliningJobName": "baseline-1"}),
            [
                job_definition(dataQualityBaselineConfig={"constraintsResource": {"s3Uri": "s3://b/c.json"}}),
                named_schedule(),
            ],
        ],
        failing=[
            monitor(signals={"latencyP99": 0.1}, baseline=None),
            monitor(signals={"bias": {"threshold": 0.1}}, baseline=None),
            monitor(baseline=None),
            monitor(signals={"latencyP99": 0.1}),
            [
                monitor(signals={"latencyP99": 0.1}, baseline=None),
                component(
                    "Monitor", "other", endpoint="other", signals={"featureDrift": {"share": 0}}, baseline="training"
                ),
            ],
            schedule(),
            schedule(baseline={"statisticsResource": {"s3Uri": "s3://b/statistics.json"}}),
            [job_definition(), named_schedule()],
        ],
        undecided=[named_schedule("elsewhere"), monitor(endpoint=UNKNOWN)],
        set_unknown=[
            monitor(signals={"featureDrift": UNKNOWN}),
            [
                job_definition(dataQualityBaselineConfig={"constraintsResource": {"s3Uri": UNKNOWN}}),
                named_schedule(),
            ],
        ],
    ),
    "monitor-has-alert-route": Case(
        passing=[
            monitor(),
            monitor(alerts=[HOOK, MAIL]),
            retraining(),
            alarm(),
            [alarm(refers={"alarmActions": topic()}, alarmActions=[UNKNOWN]), topic(), subscription()],
            [alarm(), topic()],
            [
                alarm(refers={"alarmActions": heard()}, alarmActions=[UNKNOWN]),
                heard(subscription=[{"protocol": "email", "endpoint": "ada@example.com"}]),
            ],
            [
                alarm(refers={"alarmActions": heard()}, alarmActions=[UNKNOWN]),
                heard(),
                resource("aws-native:sns:Subscription", "ada", refers={"topicArn": heard()}, protocol="email"),
            ],
            [
                schedule(),
                alarm(dimensions={"MonitoringSchedule": "data"}, namespace="aws/sagemaker/Endpoints/data-metrics"),
            ],
        ],
        failing=[
            monitor(alerts=[]),
            monitor(alerts=[HOOK]),
            monitor(alerts=[{"kind": "email"}]),
            monitor(alerts=[{**HOOK, "to": "on-call"}]),
            retraining(alerts=[]),
            alarm(alarmActions=None),
            alarm(alarmActions=[]),
            alarm(actionsEnabled=False),
            [alarm(refers={"alarmActions": topic()}, alarmActions=[UNKNOWN]), topic()],
            schedule(),
            [schedule(), alarm(dimensions={"MonitoringSchedule": "other"})],
        ],
        undecided=[monitor(alerts=UNKNOWN), alarm(namespace=UNKNOWN)],
        set_unknown=[monitor(alerts=[{"kind": "email", "to": UNKNOWN}]), alarm(alarmActions=[UNKNOWN])],
        not_applicable=[
            retraining(triggers=["manual"], alerts=[]),
            alarm(namespace="AWS/EC2", alarmActions=None),
        ],
    ),
    "endpoint-has-rollback": Case(
        passing=[
            endpoint(),
            sagemaker(deploymentConfig={"autoRollbackConfiguration": {"alarms": [{"alarmName": "errors"}]}}),
            inference_service({"canaryTrafficPercent": 10, "deploymentStrategy": {"type": "Recreate"}}),
            inference_service({"model": {}}, annotations={"serving.kserve.io/deploymentMode": "Standard"}),
            inference_service(
                {"deploymentStrategy": {"type": "RollingUpdate"}},
                annotations={"serving.kserve.io/deploymentMode": "RawDeployment"},
            ),
        ],
        failing=[
            endpoint(rollback=None),
            sagemaker(),
            sagemaker(deploymentConfig={"autoRollbackConfiguration": {"alarms": []}}),
            inference_service(),
            inference_service({"model": {}}, annotations={"serving.kserve.io/deploymentMode": "Knative"}),
            inference_service(
                {"deploymentStrategy": {"type": "Recreate"}},
                annotations={"serving.kserve.io/deploymentMode": "Standard"},
            ),
        ],
        undecided=[inference_service(annotations=UNKNOWN), endpoint(kind=UNKNOWN)],
        set_unknown=[
            sagemaker(deploymentConfig=UNKNOWN),
            sagemaker(deploymentConfig={"autoRollbackConfiguration": {"alarms": UNKNOWN}}),
            inference_service({"canaryTrafficPercent": UNKNOWN}),
        ],
        not_applicable=[
            batch(),
        ],
    ),
    "inference-logging": Case(
        passing=[
            endpoint(),
            config(),
            config(initialSamplingPercentage=None),
            inference_service({"logger": {"mode": "all", "url": "http://sink"}}),
            resource(
                "kubernetes:serving.kserve.io/v1beta1:InferenceService",
                spec={"predictor": {}, "transformer": {"logger": {"mode": "all"}}},
            ),
            [
                LIVE,
                resource("kubernetes:serving.kserve.io/v1beta1:InferenceService", parent=LIVE, spec={"predictor": {}}),
            ],
        ],
        failing=[
            endpoint(capture=False),
            config(enableCapture=False),
            config(initialSamplingPercentage=0),
            resource(CONFIG, "live", productionVariants=[]),
            inference_service(),
        ],
        undecided=[
            config(enableCapture=UNKNOWN),
            config(initialSamplingPercentage=UNKNOWN),
            resource(CONFIG, dataCaptureConfig=UNKNOWN),
        ],
        set_unknown=[endpoint(capture=UNKNOWN), inference_service({"logger": UNKNOWN})],
        not_applicable=[
            batch(),
        ],
    ),
    "log-retention-min": Case(
        passing=[
            [registry(**HIGH), governance(retention={"logs": HALF_YEAR})],
            [endpoint(capture={"sample": 1.0, "retention": HALF_YEAR}), stack(**HIGH)],
            log_group(365, **TAGS),
            log_group(0, **TAGS),
            [bucket(tags=TAGS), config(), lifecycle(400)],
            [bucket(tags=TAGS), config(), lifecycle(30, status="Disabled")],
        ],
        failing=[
            registry(**HIGH),
            [registry(**HIGH), governance(retention={"logs": HALF_YEAR - 1})],
            [endpoint(capture={"sample": 1.0, "retention": 30.0 * DAY}), stack(**HIGH)],
            log_group(90, **TAGS),
            [log_group(90), stack(**HIGH)],
            [bucket(tags=TAGS), config(), lifecycle(30)],
            [bucket(tags=TAGS, lifecycleRules=[{"enabled": True, "expiration": {"days": 7}}]), config()],
            [
                resource(
                    "aws-native:s3:Bucket",
                    "records",
                    bucketName="records",
                    tags=[{"key": "risk-tier", "value": "high"}],
                    lifecycleConfiguration={"rules": [{"status": "Enabled", "expirationInDays": 7}]},
                ),
                config(),
            ],
            [
                bucket(tags=TAGS),
                config(refers={"dataCaptureConfig": bucket()}, destinationS3Uri=UNKNOWN),
                lifecycle(30),
            ],
        ],
        undecided=[
            log_group(UNKNOWN, **TAGS),
            [registry(**HIGH), governance(retention={"logs": UNKNOWN})],
            registry(riskTier=UNKNOWN),
        ],
        not_applicable=[
            [endpoint(capture=False), stack(**HIGH)],
            [batch(), stack(**HIGH)],
            registry(),
            [endpoint(), registry()],
            log_group(7),
            [log_group(30, **{"risk-tier": "limited"}), stack(**HIGH)],
            [bucket(tags=TAGS), lifecycle(30)],
        ],
    ),
    "log-retention-phi": Case(
        passing=[
            [
                registry(),
                dataset(patients={"classification": "health"}),
                governance(retention={"logs": SIX_YEARS}),
                endpoint(capture={"sample": 1.0, "retention": SIX_YEARS}),
                log_group(2192),
            ],
        ],
        failing=[
            [registry(), dataset(patients={"classification": "health"})],
            [endpoint(), dataset(patients={"classification": "health"})],
            [log_group(1827), dataset(patients={"classification": "health"})],
            [bucket(), config(), lifecycle(365), dataset(patients={"classification": "health"})],
        ],
        undecided=[
            [log_group(UNKNOWN), dataset(patients={"classification": "health"})],
            [registry(), dataset(patients={"classification": UNKNOWN})],
        ],
        not_applicable=[
            [registry(), dataset(flights={}), log_group(7)],
        ],
    ),
    "technical-file-retention": Case(
        passing=[
            [registry(**HIGH), governance(retention={"technicalFile": TEN_YEARS})],
            [bucket(tags=TAGS), LOADED, lock(years=10)],
            [bucket(tags=TAGS), LOADED, lock(days=3650)],
            [
                bucket(
                    tags=TAGS,
                    objectLockConfiguration={"rule": {"defaultRetention": {"mode": "GOVERNANCE", "years": 12}}},
                ),
                LOADED,
            ],
        ],
        failing=[
            registry(**HIGH),
            [registry(**HIGH), governance(retention={"technicalFile": TEN_YEARS - DAY, "logs": TEN_YEARS})],
            [bucket(tags=TAGS), LOADED],
            [bucket(tags=TAGS), LOADED, lock(years=5)],
            [bucket(), LOADED, stack(**HIGH)],
        ],
        undecided=[
            [registry(**HIGH), governance(retention={"technicalFile": UNKNOWN})],
            [bucket(tags=TAGS), LOADED, lock(years=UNKNOWN)],
        ],
        not_applicable=[
            registry(),
            [bucket(), LOADED],
            bucket(tags=TAGS),
        ],
    ),
    "log-tamper-protection": Case(
        passing=[
            [bucket(), config(), VERSIONING],
            [bucket(), TRAIL, lock(days=400)],
            [bucket(objectLockEnabled=True), ACCESS_LOGS],
            [bucket(versioning={"enabled": True}), config()],
            [
                resource(
                    "aws-native:s3:Bucket",
                    "records",
                    bucketName="records",
                    versioningConfiguration={"status": "Enabled"},
                ),
                config(),
            ],
        ],
        failing=[
            [bucket(), config()],
            [bucket(), TRAIL],
            [bucket(), ACCESS_LOGS],
            [bucket(forceDestroy=True), config(), VERSIONING],
            [bucket(), config(), companion("BucketVersioning", versioningConfiguration={"status": "Suspended"})],
        ],
        undecided=[
            [bucket(versioning={"enabled": UNKNOWN}), config()],
            [bucket(), config(), companion("BucketVersioning", versioningConfiguration={"status": Secret("Enabled")})],
        ],
        not_applicable=[
            [bucket("other"), config(), TRAIL],
        ],
    ),
}
