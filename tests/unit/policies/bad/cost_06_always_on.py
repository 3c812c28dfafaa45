"""Endpoints of a development stack that wait all night for requests."""

import billed
import pulumi_aws as aws
import pulumi_kubernetes as k8s

PACKS = ["cost"]
EXPECTED = {
    ("scale-to-zero-nonprod", "churn"),
    ("scale-to-zero-nonprod", "fraud"),
}

billed.budget()

aws.sagemaker.EndpointConfiguration(
    "fraud",
    production_variants=[
        {"model_name": "fraud", "variant_name": "all", "instance_type": "ml.m6i.large", "initial_instance_count": 1}
    ],
    tags=billed.TAGS,
)
aws.sagemaker.EndpointConfiguration(
    "limits",
    production_variants=[
        {
            "model_name": "limits",
            "variant_name": "all",
            "serverless_config": {"max_concurrency": 5, "memory_size_in_mb": 2048},
        }
    ],
    tags=billed.TAGS,
)
for name, least in (("churn", 1), ("leads", 0)):
    k8s.apiextensions.CustomResource(
        name,
        api_version="serving.kserve.io/v1beta1",
        kind="InferenceService",
        metadata={"name": name, "namespace": "fraud"},
        spec={"predictor": {"minReplicas": least, "maxReplicas": 2, "model": {"modelFormat": {"name": "onnx"}}}},
    )
