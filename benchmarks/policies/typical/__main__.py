"""A stack of ordinary size: models of five teams on SageMaker, four services on Kubernetes, and the quickstart."""

import json
from pathlib import Path

import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

import pulumi_mlops as mlops

QUICKSTART = Path(__file__).parents[3] / "stacks" / "quickstart" / "mlops.yaml"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/serving@sha256:" + "0" * 64
SAGEMAKER = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}


def network() -> tuple[list[aws.ec2.Subnet], aws.ec2.SecurityGroup]:
    vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", enable_dns_hostnames=True)
    subnets = [
        aws.ec2.Subnet(f"private-{zone}", vpc_id=vpc.id, cidr_block=f"10.0.{at}.0/24", availability_zone=zone)
        for at, zone in enumerate(("eu-west-1a", "eu-west-1b", "eu-west-1c"))
    ]
    group = aws.ec2.SecurityGroup("inside", vpc_id=vpc.id, description="Within the network")
    aws.ec2.VpcEndpoint("s3", vpc_id=vpc.id, service_name="com.amazonaws.eu-west-1.s3")
    aws.ec2.FlowLog("flows", vpc_id=vpc.id, traffic_type="ALL", log_destination="arn:aws:s3:::flows")
    return subnets, group


def team(name: str, subnets: list[aws.ec2.Subnet], group: aws.ec2.SecurityGroup) -> None:
    tags = {"owner": name, "environment": "prod", "cost-center": "1000"}
    key = aws.kms.Key(f"{name}-key", enable_key_rotation=True, tags=tags)
    bucket = aws.s3.Bucket(f"{name}-models", tags=tags)
    aws.s3.BucketVersioning(f"{name}-models", bucket=bucket.id, versioning_configuration={"status": "Enabled"})
    aws.s3.BucketPublicAccessBlock(
        f"{name}-models",
        bucket=bucket.id,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        f"{name}-models",
        bucket=bucket.id,
        rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key.arn}}],
    )
    role = aws.iam.Role(
        f"{name}-role",
        assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [SAGEMAKER]}),
        tags=tags,
    )
    aws.iam.RolePolicy(
        f"{name}-read",
        role=role.id,
        policy=aws.iam.get_policy_document_output(
            statements=[{"actions": ["s3:GetObject"], "resources": [bucket.arn.apply(lambda arn: f"{arn}/*")]}]
        ).json,
    )
    aws.ecr.Repository(f"{name}-images", image_tag_mutability="IMMUTABLE", tags=tags)
    model = aws.sagemaker.Model(
        f"{name}-model",
        execution_role_arn=role.arn,
        enable_network_isolation=True,
        primary_container={"image": IMAGE, "model_data_url": bucket.bucket.apply(lambda it: f"s3://{it}/model.tar.gz")},
        vpc_config={"subnets": [subnet.id for subnet in subnets], "security_group_ids": [group.id]},
        tags=tags,
    )
    configuration = aws.sagemaker.EndpointConfiguration(
        f"{name}-configuration",
        kms_key_arn=key.arn,
        production_variants=[
            {
                "variant_name": "live",
                "model_name": model.name,
                "instance_type": "ml.m5.large",
                "initial_instance_count": 2,
            }
        ],
        data_capture_config={
            "enable_capture": True,
            "initial_sampling_percentage": 20,
            "destination_s3_uri": bucket.bucket.apply(lambda it: f"s3://{it}/captured"),
            "kms_key_id": key.arn,
            "capture_options": [{"capture_mode": "InputAndOutput"}],
        },
        tags=tags,
    )
    endpoint = aws.sagemaker.Endpoint(f"{name}-endpoint", endpoint_config_name=configuration.name, tags=tags)
    topic = aws.sns.Topic(f"{name}-alarms", kms_master_key_id=key.id, tags=tags)
    aws.sns.TopicSubscription(f"{name}-alarms", topic=topic.arn, protocol="email", endpoint=f"{name}@example.com")
    aws.cloudwatch.MetricAlarm(
        f"{name}-errors",
        comparison_operator="GreaterThanThreshold",
        evaluation_periods=1,
        namespace="AWS/SageMaker",
        metric_name="Invocation5XXErrors",
        dimensions={"EndpointName": endpoint.name},
        statistic="Sum",
        period=60,
        threshold=1,
        alarm_actions=[topic.arn],
    )
    aws.cloudwatch.LogGroup(f"{name}-logs", retention_in_days=365, kms_key_id=key.arn, tags=tags)


def service(name: str) -> None:
    space = kubernetes.core.v1.Namespace(
        name, metadata={"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    )
    labels, metadata = {"app": name}, {"name": name, "namespace": space.metadata["name"]}
    account = kubernetes.core.v1.ServiceAccount(name, metadata=metadata, automount_service_account_token=False)
    kubernetes.apps.v1.Deployment(
        name,
        metadata=metadata,
        spec={
            "replicas": 2,
            "selector": {"match_labels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "service_account_name": account.metadata["name"],
                    "automount_service_account_token": False,
                    "security_context": {"run_as_non_root": True, "seccomp_profile": {"type": "RuntimeDefault"}},
                    "containers": [
                        {
                            "name": "serve",
                            "image": IMAGE,
                            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
                            "security_context": {
                                "allow_privilege_escalation": False,
                                "read_only_root_filesystem": True,
                                "capabilities": {"drop": ["ALL"]},
                            },
                        }
                    ],
                },
            },
        },
    )
    kubernetes.core.v1.Service(name, metadata=metadata, spec={"selector": labels, "ports": [{"port": 80}]})
    kubernetes.networking.v1.NetworkPolicy(
        name, metadata=metadata, spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]}
    )


subnets, group = network()
for name in ("fraud", "churn", "pricing", "search", "support"):
    team(name, subnets, group)
for name in ("gateway", "features", "tracking", "notebooks"):
    service(name)
mlops.MLStack("flights", mlops.load(str(QUICKSTART)))
