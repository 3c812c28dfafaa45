"""A shadow test and a human review loop that store what people asked without a key."""

import json

import audited
import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("encrypt-data-capture", "review"),
    ("encrypt-data-capture", "shadow"),
}

audited.trail()

ROLE = "arn:aws:iam::123456789012:role/ml"

aws.cloudcontrol.Resource(
    "shadow",
    type_name="AWS::SageMaker::InferenceExperiment",
    desired_state=json.dumps(
        {
            "Name": "shadow",
            "Type": "ShadowMode",
            "RoleArn": ROLE,
            "EndpointName": "live",
            "DataStorageConfig": {"Destination": "s3://churn-captures/shadow"},
            "ModelVariants": [],
        }
    ),
)
aws.sagemaker.FlowDefinition(
    "review",
    flow_definition_name="review",
    role_arn=ROLE,
    human_loop_config={
        "human_task_ui_arn": "arn:aws:sagemaker:us-east-1:123456789012:human-task-ui/review",
        "task_count": 1,
        "task_title": "Is the answer right?",
        "task_description": "Compare the answer with the customer's file.",
        "workteam_arn": "arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/review",
    },
    output_config={"s3_output_path": "s3://churn-captures/review"},
)
