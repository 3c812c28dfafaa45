"""A state machine that starts a training job in no VPC, and makes its model with the network open."""

import json

import audited
import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("model-image-private-registry", "retrain"),
    ("model-in-vpc", "retrain"),
    ("model-network-isolation", "retrain"),
}

audited.trail()

ROLE = "arn:aws:iam::123456789012:role/ml"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/churn@sha256:{'5e' * 32}"

aws.sfn.StateMachine(
    "retrain",
    role_arn=ROLE,
    logging_configuration={
        "level": "ALL",
        "include_execution_data": False,
        "log_destination": "arn:aws:logs:us-east-1:123456789012:log-group:retrain:*",
    },
    definition=json.dumps(
        {
            "StartAt": "Train",
            "States": {
                "Train": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
                    "Parameters": {
                        "TrainingJobName.$": "$$.Execution.Name",
                        "RoleArn": ROLE,
                        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
                        "EnableNetworkIsolation": True,
                        "EnableInterContainerTrafficEncryption": True,
                        "ResourceConfig": {
                            "InstanceCount": 1,
                            "InstanceType": "ml.m5.xlarge",
                            "VolumeSizeInGB": 30,
                            "VolumeKmsKeyId": KEY,
                        },
                        "OutputDataConfig": {"S3OutputPath": "s3://churn-models", "KmsKeyId": KEY},
                    },
                    "Next": "Model",
                },
                "Model": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::sagemaker:createModel",
                    "Parameters": {
                        "ModelName.$": "$$.Execution.Name",
                        "ExecutionRoleArn": ROLE,
                        "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl.$": "$.ModelArtifacts.S3ModelArtifacts"},
                    },
                    "End": True,
                },
            },
        }
    ),
)
