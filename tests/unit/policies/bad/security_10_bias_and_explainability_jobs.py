"""Clarify's monitoring jobs by Cloud Control: one with the network open, one without encryption between instances."""

import json

import audited
import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("monitor-job-isolation", "bias"),
    ("monitor-job-traffic-encryption", "explain"),
}

audited.trail()

ROLE = "arn:aws:iam::123456789012:role/ml"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/churn@sha256:{'5e' * 32}"


def job(name: str, kind: str, network: dict[str, bool]) -> None:
    aws.cloudcontrol.Resource(
        name,
        type_name=f"AWS::SageMaker::{kind}JobDefinition",
        desired_state=json.dumps(
            {
                "RoleArn": ROLE,
                f"{kind}AppSpecification": {"ImageUri": IMAGE, "ConfigUri": "s3://churn-reports/config.json"},
                f"{kind}JobInput": {"EndpointInput": {"EndpointName": "live", "LocalPath": "/opt/ml/processing/input"}},
                f"{kind}JobOutputConfig": {
                    "KmsKeyId": KEY,
                    "MonitoringOutputs": [{"S3Output": {"S3Uri": "s3://churn-reports", "LocalPath": "/opt/ml/out"}}],
                },
                "JobResources": {
                    "ClusterConfig": {
                        "InstanceCount": 2,
                        "InstanceType": "ml.m5.xlarge",
                        "VolumeSizeInGB": 20,
                        "VolumeKmsKeyId": KEY,
                    }
                },
                "NetworkConfig": network,
            }
        ),
    )


job("bias", "ModelBias", {"EnableInterContainerTrafficEncryption": True})
job("explain", "ModelExplainability", {"EnableNetworkIsolation": True})
