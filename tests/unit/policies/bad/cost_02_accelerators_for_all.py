"""GPUs, Inferentia and Trainium everywhere, with a reason in one place only."""

import json

import billed
import pulumi_aws as aws
import pulumi_kubernetes as k8s

PACKS = ["cost"]
EXPECTED = {
    ("gpu-needs-justification", "batch"),
    ("gpu-needs-justification", "embed"),
    ("gpu-needs-justification", "nodes"),
    ("gpu-needs-justification", "train"),
}

billed.budget()

STEP = {
    "Name": "fit",
    "Type": "Training",
    "Arguments": {
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "ResourceConfig": {"InstanceType": "ml.p4d.24xlarge", "InstanceCount": 1, "VolumeSizeInGB": 100},
    },
}

aws.sagemaker.Pipeline(
    "train",
    pipeline_name="train",
    pipeline_display_name="train",
    role_arn="arn:aws:iam::123456789012:role/train",
    pipeline_definition=json.dumps({"Version": "2020-12-01", "Steps": [STEP]}),
    tags=billed.TAGS,
)
aws.sagemaker.EndpointConfiguration(
    "translate",
    production_variants=[
        {
            "variant_name": "all",
            "instance_type": "ml.g5.2xlarge",
            "managed_instance_scaling": {"status": "ENABLED", "min_instance_count": 0, "max_instance_count": 2},
        }
    ],
    tags={**billed.TAGS, "mlops/gpu-justification": "a translation model of 7 billion parameters"},
)
aws.eks.NodeGroup(
    "nodes",
    cluster_name="ml",
    node_role_arn="arn:aws:iam::123456789012:role/nodes",
    subnet_ids=["subnet-1"],
    instance_types=["m6i.large", "inf2.xlarge"],
    scaling_config={"desired_size": 1, "min_size": 0, "max_size": 3},
    tags=billed.TAGS,
)
aws.batch.ComputeEnvironment(
    "batch",
    type="MANAGED",
    compute_resources={
        "type": "EC2",
        "max_vcpus": 16,
        "instance_types": ["trn1.2xlarge"],
        "subnets": ["subnet-1"],
        "security_group_ids": ["sg-1"],
    },
    tags=billed.TAGS,
)
k8s.batch.v1.Job(
    "embed",
    metadata={"name": "embed", "namespace": "fraud"},
    spec={
        "template": {
            "spec": {
                "restart_policy": "Never",
                "containers": [
                    {
                        "name": "embed",
                        "image": "registry.example.com/embed:1",
                        "resources": {"limits": {"nvidia.com/gpu": "2"}},
                    }
                ],
            }
        }
    },
)
