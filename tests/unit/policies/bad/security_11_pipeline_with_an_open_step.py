"""A SageMaker pipeline that trains as it should, and again, behind a condition, as it should not."""

import json

import audited
import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("encrypt-monitor-jobs", "pipe"),
    ("image-pinned-digest", "pipe"),
    ("model-in-vpc", "pipe"),
    ("model-network-isolation", "pipe"),
    ("monitor-job-traffic-encryption", "pipe"),
}

audited.trail()

ROLE = "arn:aws:iam::123456789012:role/ml"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/churn@sha256:{'5e' * 32}"

train = {
    "RoleArn": ROLE,
    "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
    "EnableNetworkIsolation": True,
    "EnableInterContainerTrafficEncryption": True,
    "VpcConfig": {"Subnets": ["subnet-0a1b2c3d"], "SecurityGroupIds": ["sg-0a1b2c3d"]},
    "ResourceConfig": {
        "InstanceCount": 1,
        "InstanceType": {"Get": "Parameters.TrainingInstance"},
        "VolumeSizeInGB": 30,
        "VolumeKmsKeyId": KEY,
    },
    "OutputDataConfig": {"S3OutputPath": "s3://churn-models", "KmsKeyId": KEY},
}
retrain = {
    "RoleArn": ROLE,
    "AlgorithmSpecification": {
        "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn:latest",
        "TrainingInputMode": "File",
    },
    "ResourceConfig": {"InstanceCount": 2, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30},
    "OutputDataConfig": {"S3OutputPath": "s3://churn-models"},
}

aws.sagemaker.Pipeline(
    "pipe",
    pipeline_name="churn",
    pipeline_display_name="churn",
    role_arn=ROLE,
    pipeline_definition=json.dumps(
        {
            "Version": "2020-12-01",
            "Parameters": [{"Name": "TrainingInstance", "Type": "String", "DefaultValue": "ml.m5.xlarge"}],
            "Steps": [
                {"Name": "train", "Type": "Training", "Arguments": train},
                {
                    "Name": "if-weak",
                    "Type": "Condition",
                    "Arguments": {
                        "Conditions": [],
                        "IfSteps": [{"Name": "retrain", "Type": "Training", "Arguments": retrain}],
                        "ElseSteps": [],
                    },
                },
            ],
        }
    ),
)
