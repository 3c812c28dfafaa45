"""A watched endpoint of high risk: its schedule has no baseline, and its alarms reach a topic without subscribers."""

import pulumi_aws as aws

PACKS = ["ml-governance"]
EXPECTED = {
    ("bias-check-high-risk", "live"),
    ("explainability-high-risk", "live"),
    ("monitor-has-alert-route", "drift"),
    ("monitor-has-alert-route", "errors"),
    ("monitor-has-alert-route", "quality"),
    ("monitor-has-threshold", "drift"),
}
TAGS = {"owner": "ada@example.com", "risk-tier": "high"}

topic = aws.sns.Topic("on-call", name="on-call")
errors = aws.cloudwatch.MetricAlarm(
    "errors",
    name="errors",
    namespace="AWS/SageMaker",
    metric_name="Invocation5XXErrors",
    dimensions={"EndpointName": "live", "VariantName": "all"},
    comparison_operator="GreaterThanThreshold",
    evaluation_periods=1,
    period=300,
    statistic="Sum",
    threshold=5,
    alarm_actions=[topic.arn],
)
endpoint = aws.sagemaker.Endpoint(
    "live",
    name="live",
    endpoint_config_name="credit",
    deployment_config={
        "blue_green_update_policy": {
            "traffic_routing_configuration": {"type": "ALL_AT_ONCE", "wait_interval_in_seconds": 60}
        },
        "auto_rollback_configuration": {"alarms": [{"alarm_name": errors.name}]},
    },
    tags=TAGS,
)
job = aws.sagemaker.DataQualityJobDefinition(
    "drift",
    name="drift",
    role_arn="arn:aws:iam::123456789012:role/credit",
    data_quality_app_specification={"image_uri": f"monitor.example.com/analyzer@sha256:{'7c' * 32}"},
    data_quality_job_input={
        "endpoint_input": {"endpoint_name": endpoint.name, "local_path": "/opt/ml/processing/input"}
    },
    data_quality_job_output_config={
        "monitoring_outputs": {"s3_output": {"s3_uri": "s3://credit-reports/drift", "local_path": "/opt/ml/out"}}
    },
    job_resources={"cluster_config": {"instance_count": 1, "instance_type": "ml.m5.large", "volume_size_in_gb": 20}},
)
aws.sagemaker.MonitoringSchedule(
    "drift",
    name="drift",
    monitoring_schedule_config={
        "monitoring_job_definition_name": job.name,
        "monitoring_type": "DataQuality",
        "schedule_config": {"schedule_expression": "cron(0 * ? * * *)"},
    },
)
aws.cloudwatch.MetricAlarm(
    "quality",
    name="quality",
    namespace="aws/sagemaker/Endpoints/data-metrics",
    metric_name="feature_baseline_drift_income",
    dimensions={"Endpoint": "live"},
    comparison_operator="GreaterThanThreshold",
    evaluation_periods=1,
    period=3600,
    statistic="Maximum",
    threshold=0.2,
    actions_enabled=False,
    alarm_actions=[topic.arn],
)
