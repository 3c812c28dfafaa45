"""Images named by tags, in a function, a task and a deployment; a digest that is cut short is none."""

import json

import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

PACKS = ["security"]
EXPECTED = {
    ("image-pinned-digest", "features"),
    ("image-pinned-digest", "loader"),
    ("image-pinned-digest", "web"),
}

IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/churn@sha256:{'5e' * 32}"

aws.lambda_.Function(
    "features",
    package_type="Image",
    image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/features:2.1",
    role="arn:aws:iam::123456789012:role/features",
)
aws.ecs.TaskDefinition(
    "loader",
    family="loader",
    container_definitions=json.dumps(
        [{"name": "loader", "image": IMAGE}, {"name": "proxy", "image": "envoyproxy/envoy:v1.31@sha256:5e5e5e5e"}]
    ),
)
kubernetes.apps.v1.Deployment(
    "web",
    spec={
        "selector": {"match_labels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "init_containers": [{"name": "wait", "image": IMAGE}],
                "containers": [{"name": "web", "image": "nginx"}],
            },
        },
    },
)
