"""Scaling that ends nowhere, too late, or before it begins."""

import billed
import pulumi_aws as aws
import pulumi_kubernetes as k8s

PACKS = ["cost"]
EXPECTED = {
    ("autoscaling-bounded", "endpoint"),
    ("autoscaling-bounded", "features"),
    ("autoscaling-bounded", "fraud"),
    ("autoscaling-bounded", "workers"),
}

billed.budget()

aws.appautoscaling.Target(
    "endpoint",
    service_namespace="sagemaker",
    scalable_dimension="sagemaker:variant:DesiredInstanceCount",
    resource_id="endpoint/fraud/variant/all",
    min_capacity=1,
    max_capacity=500,
)
aws.appautoscaling.Target(
    "small",
    service_namespace="sagemaker",
    scalable_dimension="sagemaker:variant:DesiredInstanceCount",
    resource_id="endpoint/churn/variant/all",
    min_capacity=1,
    max_capacity=4,
)
aws.eks.NodeGroup(
    "workers",
    cluster_name="ml",
    node_role_arn="arn:aws:iam::123456789012:role/nodes",
    subnet_ids=["subnet-1"],
    instance_types=["m6i.large"],
    scaling_config={"desired_size": 2, "min_size": 2, "max_size": 100},
    tags=billed.TAGS,
)
k8s.autoscaling.v2.HorizontalPodAutoscaler(
    "features",
    metadata={"name": "features", "namespace": "fraud"},
    spec={
        "min_replicas": 6,
        "max_replicas": 3,
        "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": "features"},
    },
)
for name, bound in (("fraud", {}), ("churn", {"maxReplicas": 4})):
    k8s.apiextensions.CustomResource(
        name,
        api_version="serving.kserve.io/v1beta1",
        kind="InferenceService",
        metadata={"name": name, "namespace": "fraud"},
        spec={"predictor": {"minReplicas": 0, **bound, "model": {"modelFormat": {"name": "onnx"}}}},
    )
