"""A studio and notebooks that run over the weekend; one stops itself."""

import base64

import billed
import pulumi_aws as aws

PACKS = ["cost"]
EXPECTED = {
    ("idle-shutdown", "analyst"),
    ("idle-shutdown", "bare"),
    ("idle-shutdown", "packages"),
    ("idle-shutdown", "studio"),
}

ROLE = "arn:aws:iam::123456789012:role/desks"
IDLE = {"lifecycle_management": "ENABLED", "idle_timeout_in_minutes": 60}


def started(script: str) -> str:
    return base64.b64encode(f"#!/bin/bash\n{script}\n".encode()).decode()


billed.budget()

# Code Editor is left out.
aws.sagemaker.Domain(
    "studio",
    domain_name="studio",
    auth_mode="SSO",
    vpc_id="vpc-1",
    subnet_ids=["subnet-1"],
    default_user_settings={
        "execution_role": ROLE,
        "jupyter_lab_app_settings": {"app_lifecycle_management": {"idle_settings": IDLE}},
    },
    tags=billed.TAGS,
)
aws.sagemaker.UserProfile(
    "analyst",
    domain_id="d-1",
    user_profile_name="analyst",
    user_settings={
        "execution_role": ROLE,
        "jupyter_lab_app_settings": {
            "app_lifecycle_management": {"idle_settings": {"lifecycle_management": "DISABLED"}}
        },
    },
    tags=billed.TAGS,
)
packages = aws.sagemaker.NotebookInstanceLifecycleConfiguration(
    "packages-start", name="packages-start", on_start=started("pip install polars")
)
stop = aws.sagemaker.NotebookInstanceLifecycleConfiguration(
    "stop-idle",
    name="stop-idle",
    on_start=started("aws sagemaker stop-notebook-instance --notebook-instance-name $NAME"),
)
for name, script in (("bare", None), ("packages", packages.name), ("stopped", stop.name)):
    aws.sagemaker.NotebookInstance(
        name, role_arn=ROLE, instance_type="ml.t3.medium", lifecycle_config_name=script, tags=billed.TAGS
    )
