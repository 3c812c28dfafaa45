"""Cases of the rules about tags, accelerators, bounds, budgets and idle resources."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from mlops_policies import Resource, Settings
from pulumi_mlops.testing.policy import UNKNOWN, Case, component, resource

TAGS = {"owner": "ml", "environment": "dev"}
REASON = {"mlops/gpu-justification": "trains a transformer"}
STUDIO = ("jupyterLabAppSettings", "codeEditorAppSettings")


def script(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def endpoint(**variant: Any) -> Resource:
    return resource("aws:sagemaker/endpointConfiguration:EndpointConfiguration", productionVariants=[variant])


def hosted(count: Any, instance: str = "ml.m5.large", region: str = "eu-west-1") -> Resource:
    """An endpoint's instances in a region whose prices are in the file of its name beside this one."""
    variant = {"instanceType": instance, "initialInstanceCount": count}
    return resource(
        "aws:sagemaker/endpointConfiguration:EndpointConfiguration",
        productionVariants=[variant],
        provider={"region": region},
    )


def pod(limits: Any, **metadata: Any) -> Resource:
    spec = {"containers": [{"name": "it", "resources": {"limits": limits}}]}
    return resource("kubernetes:apps/v1:Deployment", metadata=metadata, spec={"template": {"spec": spec}})


def inference(name: str = "it", **predictor: Any) -> Resource:
    return resource("kubernetes:serving.kserve.io/v1beta1:InferenceService", name, spec={"predictor": predictor})


def annotated(annotations: dict[str, str], **predictor: Any) -> Resource:
    return resource(
        "kubernetes:serving.kserve.io/v1beta1:InferenceService",
        metadata={"annotations": annotations},
        spec={"predictor": predictor},
    )


def pipeline(cluster: dict[str, Any]) -> Resource:
    step = {"Name": "train", "Type": "Training", "Arguments": {"ResourceConfig": cluster}}
    definition = json.dumps({"Version": "2020-12-01", "Steps": [step]})
    return resource("aws:sagemaker/pipeline:Pipeline", pipelineDefinition=definition)


def training(**cluster: Any) -> Resource:
    return resource("aws:sagemaker/trainingJob:TrainingJob", resourceConfig=cluster)


def domain(*apps: str, state: Any = "ENABLED") -> Resource:
    settings = {app: {"appLifecycleManagement": {"idleSettings": {"lifecycleManagement": state}}} for app in apps}
    return resource("aws:sagemaker/domain:Domain", defaultUserSettings=settings)


def profile(state: Any) -> Resource:
    idle = {"appLifecycleManagement": {"idleSettings": {"lifecycleManagement": state}}}
    return resource("aws:sagemaker/userProfile:UserProfile", userSettings={"jupyterLabAppSettings": idle})


def notebook(**props: Any) -> Resource:
    return resource("aws:sagemaker/notebookInstance:NotebookInstance", "desk", **props)


def lifecycle(text: str) -> Resource:
    return resource(
        "aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration",
        "stop",
        onStart=script(text),
    )


def started(text: str) -> list[Resource]:
    """A notebook instance with a start script."""
    made = lifecycle(text)
    desk = resource("aws:sagemaker/notebookInstance:NotebookInstance", "desk", refers={"lifecycleConfigName": made})
    return [made, desk]


def target(lower: Any, upper: Any) -> Resource:
    return resource("aws:appautoscaling/target:Target", minCapacity=lower, maxCapacity=upper)


def pods(lower: Any, upper: Any) -> Resource:
    spec = {"minReplicas": lower, "maxReplicas": upper}
    return resource("kubernetes:autoscaling/v2:HorizontalPodAutoscaler", spec=spec)


def budget(**notification: Any) -> Resource:
    return resource("aws:budgets/budget:Budget", "budget", notifications=[notification] if notification else None)


bucket = resource("aws:s3/bucket:Bucket", "data", bucket="data")
repository = resource("aws:ecr/repository:Repository", "images")
live = resource("aws:sagemaker/endpoint:Endpoint", "live")
production = component("MLStack", "it", model="it", environment="prod")
asynchronous = resource(
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration",
    asyncInferenceConfig={"outputConfig": {}},
    productionVariants=[{"instanceType": "ml.m5.large"}],
)


def lifecycle_rules(status: Any, **props: Any) -> Resource:
    rules = [{"id": "old", "status": status, "expiration": {"days": 90}}]
    kind = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    return resource(kind, "expire", **{"bucket": "data", "rules": rules, **props})


CASES = {
    "cost-tags-required": Case(
        passing=[
            resource("aws:s3/bucket:Bucket", tags=TAGS),
            resource("aws:s3/bucket:Bucket", tags={"team:Owner": "ml", "Environment": "dev"}),
            resource("aws:s3/bucket:Bucket", provider={"defaultTags": json.dumps({"tags": TAGS})}),
            resource("aws:s3/bucket:Bucket", tags={"owner": "ml"}, provider={"defaultTags": {"tags": TAGS}}),
            resource("aws-native:s3:Bucket", tags=[{"key": key, "value": value} for key, value in TAGS.items()]),
        ],
        failing=[
            resource("aws:s3/bucket:Bucket"),
            resource("aws:s3/bucket:Bucket", tags={"owner": "ml"}),
            resource("aws:s3/bucket:Bucket", tags={"owner": "", "environment": "dev"}),
            resource("aws-native:sagemaker:Endpoint", tags=[{"key": "owner", "value": "ml"}]),
        ],
        undecided=[resource("aws:s3/bucket:Bucket", tags=UNKNOWN)],
        set_unknown=[resource("aws:s3/bucket:Bucket", tags={"owner": UNKNOWN, "environment": "dev"})],
    ),
    "gpu-needs-justification": Case(
        passing=[
            resource("aws:ec2/instance:Instance", instanceType="g5.xlarge", tags=REASON),
            pod({"nvidia.com/gpu": 1}, annotations=REASON),
        ],
        failing=[
            endpoint(instanceType="ml.g5.xlarge"),
            resource(
                "aws:sagemaker/endpointConfiguration:EndpointConfiguration",
                shadowProductionVariants=[{"instanceType": "ml.inf2.xlarge"}],
            ),
            resource("aws:ec2/instance:Instance", instanceType="p5.48xlarge"),
            resource("aws:eks/nodeGroup:NodeGroup", instanceTypes=["m5.large", "g4dn.xlarge"]),
            resource("aws:batch/computeEnvironment:ComputeEnvironment", computeResources={"instanceType": ["p3"]}),
            resource(
                "aws:batch/computeEnvironment:ComputeEnvironment", computeResources={"instanceTypes": ["p3.2xlarge"]}
            ),
            resource("aws:sagemaker/app:App", resourceSpec={"instanceType": "ml.g5.xlarge"}),
            resource("aws-native:ec2:LaunchTemplate", launchTemplateData={"instanceType": "trn1.2xlarge"}),
            notebook(instanceType="ml.p3.2xlarge"),
            training(instanceType="ml.trn1.2xlarge"),
            training(instanceGroups=[{"instanceType": "ml.m5.large"}, {"instanceType": "ml.g6.xlarge"}]),
            pipeline({"InstanceType": "ml.g5.xlarge"}),
            pod({"nvidia.com/gpu": 1}),
            pod({"aws.amazon.com/neuron": 1}),
            resource("kubernetes:core/v1:Pod", spec={"containers": [{"resources": {"requests": {"amd.com/gpu": 1}}}]}),
        ],
        undecided=[endpoint(instanceType=UNKNOWN), pod(UNKNOWN)],
        set_unknown=[notebook(instanceType=UNKNOWN, tags=REASON)],
        not_applicable=[
            endpoint(instanceType="ml.m5.large"),
            pod({"cpu": "1", "memory": "1Gi"}),
            training(instanceType="ml.c7i.large"),
        ],
    ),
    "always-on-within-budget": Case(
        passing=[
            [hosted(2), component("Governance", budget={"monthlyUsd": 300, "contacts": ["ml@example.com"]})],
            [hosted(1), hosted(1), component("MLStack", governance={"budget": {"monthlyUsd": 300}})],
        ],
        failing=[
            # Three for 730 hours at 0.2 US dollars: 438.
            [hosted(3), component("Governance", budget={"monthlyUsd": 437})],
            [hosted(2), hosted(1), component("MLStack", governance={"budget": {"monthlyUsd": 437}})],
        ],
        undecided=[
            [hosted(UNKNOWN), component("Governance", budget={"monthlyUsd": 437})],
            [hosted(1), component("Governance", budget={"monthlyUsd": UNKNOWN})],
        ],
        not_applicable=[
            [hosted(2)],
            [endpoint(serverlessConfig={"memorySizeInMb": 1024}), component("Governance", budget={"monthlyUsd": 1})],
            [hosted(2, "ml.p5.48xlarge"), component("Governance", budget={"monthlyUsd": 1})],
            [hosted(2, region="eu-west-3"), component("Governance", budget={"monthlyUsd": 1})],
        ],
        settings=Settings.read({"always-on-within-budget": {"prices": str(Path(__file__).parent)}}),
    ),
    "budget-alarm": Case(
        passing=[
            [live, budget(subscriberEmailAddresses=["ml@example.com"])],
            [live, budget(subscriberSnsTopicArns=["arn:aws:sns:us-east-1:123456789012:spend"])],
            [
                live,
                resource(
                    "aws-native:budgets:Budget",
                    notificationsWithSubscribers=[{"subscribers": [{"address": "ml@example.com"}]}],
                ),
            ],
            [live, component("MLStack", governance={"budget": {"monthlyUsd": 100, "contacts": ["ml@example.com"]}})],
            [live, component("Governance", budget={"monthlyUsd": 100, "contacts": ["ml@example.com"]})],
        ],
        failing=[
            live,
            [live, budget()],
            [live, budget(threshold=80, thresholdType="PERCENTAGE")],
            [live, component("MLStack", governance={"budget": {"monthlyUsd": 100, "contacts": []}})],
        ],
        undecided=[[live, resource("aws:budgets/budget:Budget", notifications=UNKNOWN)]],
        set_unknown=[[live, budget(subscriberSnsTopicArns=UNKNOWN)]],
    ),
    "autoscaling-bounded": Case(
        passing=[
            target(1, 4),
            target(0, 20),
            pods(2, 8),
            resource("aws:autoscaling/group:Group", minSize=0, maxSize=2),
            resource("aws-native:autoscaling:AutoScalingGroup", minSize="0", maxSize="2"),
            resource("aws:eks/nodeGroup:NodeGroup", scalingConfig={"minSize": 1, "maxSize": 3}),
            endpoint(managedInstanceScaling={"minInstanceCount": 1, "maxInstanceCount": 3}),
            inference(minReplicas=1, maxReplicas=3),
            annotated({"serving.kserve.io/deploymentMode": "RawDeployment"}, minReplicas=2),
            pods(4, 4),
            annotated({"serving.kserve.io/deploymentMode": "Standard"}, minReplicas=2),
            resource("kubernetes:keda.sh/v1alpha1:ScaledObject", spec={"maxReplicaCount": 5}),
        ],
        failing=[
            target(1, 100),
            target(4, 2),
            pods(1, None),
            pods(1, 50),
            resource("aws:autoscaling/group:Group", minSize=0, maxSize=21),
            resource("aws:eks/nodeGroup:NodeGroup", scalingConfig={"minSize": 1, "maxSize": 99}),
            endpoint(managedInstanceScaling={"minInstanceCount": 1}),
            inference(minReplicas=1),
            inference(minReplicas=1, maxReplicas=0),
            inference(minReplicas=5, maxReplicas=3),
            endpoint(managedInstanceScaling={"minInstanceCount": 3, "maxInstanceCount": 2}),
            resource("aws:autoscaling/group:Group", minSize=3, maxSize=2),
            resource("aws:eks/nodeGroup:NodeGroup", scalingConfig={"minSize": 3, "maxSize": 2}),
            *(
                resource(
                    "kubernetes:serving.kserve.io/v1beta1:InferenceService",
                    spec={"predictor": {"maxReplicas": 1}, part: {"minReplicas": 1}},
                )
                for part in ("transformer", "explainer")
            ),
            resource("kubernetes:keda.sh/v1alpha1:ScaledObject", spec={"minReplicaCount": 1}),
            resource("kubernetes:keda.sh/v1alpha1:ScaledObject", spec={"minReplicaCount": 5, "maxReplicaCount": 4}),
            target(UNKNOWN, 100),
        ],
        undecided=[target(1, UNKNOWN), pods(UNKNOWN, 4)],
        not_applicable=[
            endpoint(instanceType="ml.m5.large", initialInstanceCount=1),
        ],
    ),
    "idle-shutdown": Case(
        passing=[
            domain(*STUDIO),
            profile("ENABLED"),
            notebook(lifecycleConfigName="elsewhere"),
            started("aws sagemaker stop-notebook-instance --notebook-instance-name desk"),
            started("crontab auto-stop.py"),
            [
                resource(
                    "aws-native:sagemaker:NotebookInstanceLifecycleConfig",
                    "stop",
                    notebookInstanceLifecycleConfigName="stop",
                    onStart=[{"content": script("./autostop.sh")}],
                ),
                notebook(lifecycleConfigName="stop"),
            ],
        ],
        failing=[
            domain(),
            domain(STUDIO[0]),
            domain(*STUDIO, state="DISABLED"),
            profile("DISABLED"),
            notebook(),
            started("pip install pandas"),
            [
                resource(
                    "aws-native:sagemaker:NotebookInstanceLifecycleConfig",
                    "start",
                    notebookInstanceLifecycleConfigName="start",
                    onStart=[{"content": "not base64"}],
                ),
                notebook(lifecycleConfigName="start"),
            ],
        ],
        undecided=[domain(*STUDIO, state=UNKNOWN)],
        set_unknown=[notebook(lifecycleConfigName=UNKNOWN)],
    ),
    "scale-to-zero-nonprod": Case(
        passing=[
            endpoint(serverlessConfig={"maxConcurrency": 5}),
            endpoint(managedInstanceScaling={"minInstanceCount": 0, "maxInstanceCount": 2}),
            inference(minReplicas=0, maxReplicas=2),
            [asynchronous, target(0, 2)],
        ],
        failing=[
            endpoint(instanceType="ml.m5.large"),
            endpoint(managedInstanceScaling={"minInstanceCount": 1, "maxInstanceCount": 2}),
            inference(minReplicas=1),
            inference(),
            [component("MLStack", model="it", environment="dev"), inference()],
            asynchronous,
            [asynchronous, target(1, 2)],
        ],
        undecided=[inference(minReplicas=UNKNOWN)],
        set_unknown=[endpoint(serverlessConfig=UNKNOWN)],
        not_applicable=[
            [production, endpoint(instanceType="ml.m5.large")],
        ],
    ),
    "storage-lifecycle": Case(
        passing=[
            [bucket, lifecycle_rules("Enabled")],
            resource("aws:s3/bucket:Bucket", lifecycleRules=[{"enabled": True, "expiration": {"days": 9}}]),
            resource("aws-native:s3:Bucket", lifecycleConfiguration={"rules": [{"status": "Enabled"}]}),
            [
                repository,
                resource("aws:ecr/lifecyclePolicy:LifecyclePolicy", refers={"repository": repository}, policy="{}"),
            ],
            resource("aws-native:ecr:Repository", lifecyclePolicy={"lifecyclePolicyText": "{}"}),
        ],
        failing=[
            bucket,
            repository,
            [bucket, lifecycle_rules("Disabled")],
            [bucket, lifecycle_rules("Enabled", bucket="other")],
            [repository, resource("aws:ecr/lifecyclePolicy:LifecyclePolicy", repository="other", policy="{}")],
            resource("aws:s3/bucket:Bucket", lifecycleRules=[{"enabled": False}]),
        ],
        undecided=[[bucket, lifecycle_rules(UNKNOWN)]],
        set_unknown=[resource("aws-native:ecr:Repository", lifecyclePolicy=UNKNOWN)],
    ),
}
