"""Cases of the security pack's rules about SageMaker, images and availability."""

from __future__ import annotations

import json
from typing import Any

from mlops_policies import Resource, Settings
from mlops_policies.packs.security.availability import Availability
from mlops_policies.packs.security.images import Images
from mlops_policies.packs.security.notebooks import Platforms
from pulumi_mlops.testing.policy import UNKNOWN, Case, Secret, component, resource

ARN = "arn:aws:kms:us-east-1:123456789012:key/1"
AWS_KEY = "arn:aws:kms:us-east-1:123456789012:alias/aws/sagemaker"
PINNED = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/churn@sha256:{'0123456789abcdef' * 4}"
TAGGED = "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn:1.4"
VPC = {"subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}
KEY = resource("aws:kms/key:Key", "key")


def endpoint(*variants: dict[str, Any], **props: Any) -> Resource:
    served = list(variants) or [{"modelName": "churn", "instanceType": "ml.m5.large", "initialInstanceCount": 2}]
    token = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
    return resource(token, "live", **{"productionVariants": served, **props})


def native_endpoint(*variants: dict[str, Any], **props: Any) -> Resource:
    return resource("aws-native:sagemaker:EndpointConfig", "live", productionVariants=list(variants), **props)


def experiment(**props: Any) -> Resource:
    return resource("aws-native:sagemaker:InferenceExperiment", "shadow", **props)


def flow(**output: Any) -> Resource:
    return resource("aws:sagemaker/flowDefinition:FlowDefinition", "review", outputConfig=output)


def notebook(**props: Any) -> Resource:
    return resource("aws:sagemaker/notebookInstance:NotebookInstance", "desk", instanceType="ml.t3.medium", **props)


def domain(**props: Any) -> Resource:
    return resource("aws:sagemaker/domain:Domain", "studio", domainName="studio", **props)


def group(**props: Any) -> Resource:
    return resource("aws:sagemaker/featureGroup:FeatureGroup", "flights", featureGroupName="flights", **props)


def model(*containers: dict[str, Any], **props: Any) -> Resource:
    given = {"containers": list(containers)} if len(containers) > 1 else {"primaryContainer": (*containers, {})[0]}
    return resource("aws:sagemaker/model:Model", "churn", **{**given, **props})


def definition(kind: str = "dataQuality", *, instances: int = 1, network: Any = None, **keys: Any) -> Resource:
    """A definition of a monitoring job.

    Arguments:
        kind: what it monitors.
        instances: how many it runs on.
        network: its network configuration.
        keys: `volume` and `output`.
    """
    name = f"{kind[:1].upper()}{kind[1:]}JobDefinition"
    token = f"aws:sagemaker/{kind}JobDefinition:{name}" if kind == "dataQuality" else f"aws-native:sagemaker:{name}"
    cluster = {"instanceCount": instances, "instanceType": "ml.m5.large", "volumeSizeInGb": 20}
    if "volume" in keys:
        cluster["volumeKmsKeyId"] = keys["volume"]
    return resource(
        token,
        "watch",
        **{
            f"{kind}AppSpecification": {"imageUri": keys.get("image", PINNED)},
            f"{kind}JobOutputConfig": {"kmsKeyId": keys["output"]} if "output" in keys else {},
        },
        jobResources={"clusterConfig": cluster},
        networkConfig=network,
    )


def schedule(**job: Any) -> Resource:
    config = {"monitoringJobDefinition": job} if job else {"monitoringJobDefinitionName": "watch"}
    return resource("aws:sagemaker/monitoringSchedule:MonitoringSchedule", "hourly", monitoringScheduleConfig=config)


def training(**props: Any) -> Resource:
    return resource("aws:sagemaker/trainingJob:TrainingJob", "train", **props)


def tuning(*definitions: dict[str, Any]) -> Resource:
    token = "aws:sagemaker/hyperParameterTuningJob:HyperParameterTuningJob"
    if len(definitions) == 1:
        return resource(token, "tune", trainingJobDefinition=definitions[0])
    return resource(token, "tune", trainingJobDefinitions=list(definitions))


def step(kind: str, name: str = "train", /, **arguments: Any) -> dict[str, Any]:
    return {"Name": name, "Type": kind, "Arguments": arguments}


def pipeline(*steps: dict[str, Any], **parameters: Any) -> Resource:
    document = {
        "Version": "2020-12-01",
        "Parameters": [{"Name": name, "Type": "String", "DefaultValue": value} for name, value in parameters.items()],
        "Steps": list(steps),
    }
    return resource("aws:sagemaker/pipeline:Pipeline", "pipe", pipelineDefinition=json.dumps(document))


def machine(**states: dict[str, Any]) -> Resource:
    return resource("aws:sfn/stateMachine:StateMachine", "flow", definition=json.dumps({"States": states}))


def state(call: str, /, **parameters: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": f"arn:aws:states:::{call}", "Parameters": parameters}


def cloud_control(name: str, **state_: Any) -> Resource:
    document = json.dumps(state_)
    return resource("aws:cloudcontrol/resource:Resource", "made", typeName=name, desiredState=document)


def pods(kind: str = "Deployment", **spec: Any) -> Resource:
    return resource(f"kubernetes:apps/v1:{kind}", "web", spec={"template": {"spec": spec}})


def inference_service(**parts: Any) -> Resource:
    return resource("kubernetes:serving.kserve.io/v1beta1:InferenceService", "churn", spec=parts)


def production(*resources: Resource) -> list[Resource]:
    return [component("MLStack", "stack", model="churn", environment="prod"), *resources]


CAPTURE = {"enableCapture": True, "destinationS3Uri": "s3://b/captures"}
ISOLATED = {"enableNetworkIsolation": True}
ENCRYPTED = {"enableInterContainerTrafficEncryption": True}
KEYED = {"ResourceConfig": {"VolumeKmsKeyId": ARN}, "OutputDataConfig": {"KmsKeyId": ARN}}

# A family of each kind that has NVMe disks: by its letters, by its series, by itself.
WITH_DISKS = (
    *("m5d", "c6gd", "g4dn", "p4de", "m6id"),
    *("dl1", "i3en", "im4gn", "is4gen", "trn1n"),
    *("g5", "g6", "g6e", "g7", "g7e", "gr6", "p5", "p5e", "p5en", "p6-b200", "p6e-gb200"),
)

CASES = {
    "encrypt-endpoint-volume": Case(
        passing=[
            endpoint(kmsKeyArn=ARN),
            native_endpoint({"instanceType": "ml.m5.large"}, kmsKeyId=ARN),
        ],
        failing=[
            endpoint(),
            endpoint(kmsKeyArn=AWS_KEY),
            endpoint(kmsKeyArn=""),
            *(endpoint({"instanceType": f"ml.{family}.8xlarge"}) for family in ("g5g", "inf2", "p3", "r8g", "c6i")),
            endpoint({"instanceType": "ml.g5.xlarge"}, {"instanceType": "ml.m5.large"}),
            endpoint(
                {"serverlessConfig": {"maxConcurrency": 5}}, shadowProductionVariants=[{"instanceType": "ml.m5.large"}]
            ),
            cloud_control("AWS::SageMaker::EndpointConfig", ProductionVariants=[{"InstanceType": "ml.c6i.large"}]),
        ],
        undecided=[endpoint({"instanceType": UNKNOWN}), endpoint(productionVariants=UNKNOWN)],
        set_unknown=[
            [KEY, resource(endpoint().type, "live", refers={"kmsKeyArn": KEY}, productionVariants=[{}])],
            endpoint(kmsKeyArn=Secret(ARN)),
        ],
        not_applicable=[
            endpoint({"modelName": "churn", "serverlessConfig": {"maxConcurrency": 5, "memorySizeInMb": 2048}}),
            *(endpoint({"instanceType": f"ml.{family}.8xlarge"}) for family in WITH_DISKS),
            endpoint({"instanceType": "ml.g5.xlarge"}, {"instanceType": "ml.m5d.large"}),
        ],
    ),
    "encrypt-data-capture": Case(
        passing=[
            endpoint(dataCaptureConfig={**CAPTURE, "kmsKeyId": ARN}),
            endpoint(asyncInferenceConfig={"outputConfig": {"s3OutputPath": "s3://b/answers", "kmsKeyId": ARN}}),
            endpoint({"coreDumpConfig": {"destinationS3Uri": "s3://b/cores", "kmsKeyId": ARN}}),
            experiment(kmsKey=ARN, dataStorageConfig={"destination": "s3://b/shadow", "kmsKey": ARN}),
            experiment(kmsKey=ARN),
            flow(s3OutputPath="s3://b/reviews", kmsKeyId=ARN),
        ],
        failing=[
            endpoint(dataCaptureConfig=CAPTURE),
            native_endpoint(dataCaptureConfig={"destinationS3Uri": "s3://b/captures"}),
            endpoint(asyncInferenceConfig={"outputConfig": {"s3OutputPath": "s3://b/answers"}}),
            endpoint({"coreDumpConfig": {"destinationS3Uri": "s3://b/cores"}}),
            endpoint(shadowProductionVariants=[{"coreDumpConfig": {"destinationS3Uri": "s3://b/cores"}}]),
            experiment(dataStorageConfig={"destination": "s3://b/shadow", "kmsKey": ARN}),
            experiment(kmsKey=ARN, dataStorageConfig={"destination": "s3://b/shadow"}),
            cloud_control("AWS::SageMaker::InferenceExperiment", Name="shadow"),
            flow(s3OutputPath="s3://b/reviews"),
            flow(s3OutputPath="s3://b/reviews", kmsKeyId=AWS_KEY),
        ],
        undecided=[endpoint(dataCaptureConfig={**CAPTURE, "enableCapture": UNKNOWN})],
        set_unknown=[
            endpoint(dataCaptureConfig={**CAPTURE, "kmsKeyId": UNKNOWN}),
            endpoint(dataCaptureConfig={"enableCapture": UNKNOWN, "kmsKeyId": ARN}),
        ],
        not_applicable=[
            endpoint(dataCaptureConfig={"destinationS3Uri": "s3://b/captures"}),
            native_endpoint(dataCaptureConfig={"enableCapture": False}),
        ],
    ),
    "encrypt-notebook": Case(
        passing=[notebook(kmsKeyId=ARN)],
        failing=[notebook(), notebook(kmsKeyId="alias/aws/sagemaker")],
        set_unknown=[notebook(kmsKeyId=UNKNOWN)],
    ),
    "encrypt-domain": Case(
        passing=[domain(kmsKeyId=ARN)],
        failing=[domain(), domain(kmsKeyId="alias/aws/elasticfilesystem")],
        set_unknown=[domain(kmsKeyId=UNKNOWN)],
    ),
    "encrypt-feature-store": Case(
        passing=[
            group(
                offlineStoreConfig={"s3StorageConfig": {"s3Uri": "s3://b/offline", "kmsKeyId": ARN}},
                onlineStoreConfig={"enableOnlineStore": True, "securityConfig": {"kmsKeyId": ARN}},
            ),
        ],
        failing=[
            group(offlineStoreConfig={"s3StorageConfig": {"s3Uri": "s3://b/offline"}}),
            group(onlineStoreConfig={"enableOnlineStore": True}),
            group(onlineStoreConfig={"enableOnlineStore": True, "storageType": "Standard"}),
            cloud_control("AWS::SageMaker::FeatureGroup", OfflineStoreConfig={"S3StorageConfig": {"S3Uri": "s3://b"}}),
        ],
        undecided=[group(onlineStoreConfig={"enableOnlineStore": UNKNOWN})],
        set_unknown=[group(offlineStoreConfig=UNKNOWN), group(onlineStoreConfig=UNKNOWN)],
        not_applicable=[
            group(onlineStoreConfig={"enableOnlineStore": False}),
            group(onlineStoreConfig={"enableOnlineStore": True, "storageType": "InMemory"}),
        ],
    ),
    "encrypt-monitor-jobs": Case(
        passing=[
            definition(volume=ARN, output=ARN),
            definition("modelBias", volume=ARN, output=ARN),
            schedule(
                monitoringResources={"clusterConfig": {"volumeKmsKeyId": ARN}},
                monitoringOutputConfig={"kmsKeyId": ARN},
            ),
            training(resourceConfig={"volumeKmsKeyId": ARN}, outputDataConfig={"kmsKeyId": ARN}),
            training(resourceConfig={"instanceType": "ml.g4dn.xlarge"}, outputDataConfig={"kmsKeyId": ARN}),
            training(
                resourceConfig={
                    "instanceGroups": [{"instanceType": "ml.p4d.24xlarge"}, {"instanceType": "ml.g5.xlarge"}]
                },
                outputDataConfig={"kmsKeyId": ARN},
            ),
            tuning(
                {
                    "hyperParameterTuningResourceConfig": {"volumeKmsKeyId": ARN},
                    "outputDataConfig": {"kmsKeyId": ARN},
                }
            ),
            pipeline(step("Training", **KEYED), step("Condition", IfSteps=[step("Training", **KEYED)], ElseSteps=[])),
            pipeline(
                step("Training", **{**KEYED, "ResourceConfig": {"InstanceType": {"Get": "Parameters.Machine"}}}),
                Machine="ml.g5.xlarge",
            ),
            machine(Train=state("sagemaker:createTrainingJob.sync", **KEYED), Tell=state("sns:publish")),
            machine(Train={**state("sagemaker:createTrainingJob"), "Parameters": None, "Arguments": KEYED}),
            pipeline(
                step("Tuning", TrainingJobDefinitions=[KEYED, KEYED]),
                step(
                    "Processing",
                    ProcessingResources={"ClusterConfig": {"VolumeKmsKeyId": ARN}},
                    ProcessingOutputConfig={"KmsKeyId": ARN},
                ),
                step("Transform", TransformResources={"VolumeKmsKeyId": ARN}, TransformOutput={"KmsKeyId": ARN}),
            ),
        ],
        failing=[
            definition(output=ARN),
            definition(volume=ARN),
            definition(volume=AWS_KEY, output=ARN),
            *(definition(kind, output=ARN) for kind in ("modelQuality", "modelBias", "modelExplainability")),
            *(definition(kind, volume=ARN) for kind in ("modelQuality", "modelBias", "modelExplainability")),
            schedule(monitoringResources={"clusterConfig": {}}, monitoringOutputConfig={"kmsKeyId": ARN}),
            schedule(monitoringResources={"clusterConfig": {"volumeKmsKeyId": ARN}}, monitoringOutputConfig={}),
            training(resourceConfig={"instanceType": "ml.g4dn.xlarge"}),
            training(
                resourceConfig={
                    "instanceGroups": [{"instanceType": "ml.p4d.24xlarge"}, {"instanceType": "ml.m5.large"}]
                },
                outputDataConfig={"kmsKeyId": ARN},
            ),
            tuning({"resourceConfig": {"volumeKmsKeyId": ARN}, "outputDataConfig": {"kmsKeyId": ARN}}, {}),
            pipeline(step("Training", **{**KEYED, "OutputDataConfig": {}})),
            pipeline(step("Condition", IfSteps=[step("Transform")], ElseSteps=[])),
            pipeline(step("Condition", IfSteps=[], ElseSteps=[step("QualityCheck")])),
            pipeline(step("ClarifyCheck")),
            machine(Tune=state("sagemaker:createHyperParameterTuningJob.sync", TrainingJobDefinition={})),
            pipeline(step("Processing", ProcessingResources={"ClusterConfig": {"InstanceType": "ml.m5.large"}})),
            pipeline(step("Tuning", TrainingJobDefinition={**KEYED, "ResourceConfig": {}})),
            machine(Score=state("sagemaker:createTransformJob.sync")),
            machine(Both={"Type": "Parallel", "Branches": [{"States": {"A": state("sagemaker:createTrainingJob")}}]}),
            machine(All={"Type": "Map", "ItemProcessor": {"States": {"A": state("sagemaker:createProcessingJob")}}}),
            machine(All={"Type": "Map", "Iterator": {"States": {"A": state("aws-sdk:sagemaker:createTrainingJob")}}}),
            machine(Train={**state("sagemaker:createTrainingJob"), "Parameters": None, "Arguments": {"RoleArn": "r"}}),
            resource(
                "aws-native:sagemaker:Pipeline",
                "pipe",
                pipelineDefinition={"pipelineDefinitionBody": json.dumps({"Steps": [step("Training")]})},
            ),
            resource(
                "aws-native:stepfunctions:StateMachine",
                "flow",
                definitionString=json.dumps({"States": {"A": state("sagemaker:createTrainingJob")}}),
            ),
            resource(
                "aws-native:stepfunctions:StateMachine",
                "flow",
                definition={"States": {"A": state("sagemaker:createTrainingJob")}},
            ),
            cloud_control("AWS::SageMaker::ProcessingJob", ProcessingResources={"ClusterConfig": {}}),
        ],
        undecided=[
            resource("aws:sagemaker/pipeline:Pipeline", "pipe", pipelineDefinition=UNKNOWN),
            resource("aws:sagemaker/pipeline:Pipeline", "pipe", pipelineDefinitionS3Location={"bucket": "b"}),
            resource("aws:sfn/stateMachine:StateMachine", "flow", definition="{not json"),
            resource("aws-native:stepfunctions:StateMachine", "flow", definitionS3Location={"bucket": "b"}),
            pipeline(step("Training", **{**KEYED, "ResourceConfig": {"InstanceType": {"Get": "Parameters.Machine"}}})),
        ],
        set_unknown=[
            definition(volume=UNKNOWN, output=UNKNOWN),
            pipeline(
                step(
                    "Training",
                    ResourceConfig={"VolumeKmsKeyId": {"Get": "Parameters.Key"}},
                    OutputDataConfig={"KmsKeyId": {"Std:Join": {"On": "", "Values": []}}},
                )
            ),
            machine(
                Train=state(
                    "sagemaker:createTrainingJob",
                    ResourceConfig={"VolumeKmsKeyId.$": "$.key"},
                    OutputDataConfig={"KmsKeyId": "{% $key %}"},
                )
            ),
        ],
        not_applicable=[
            schedule(),
            pipeline(step("Lambda")),
        ],
    ),
    "monitor-job-traffic-encryption": Case(
        passing=[
            definition(network=ENCRYPTED),
            definition("modelExplainability", network=ENCRYPTED, instances=2),
            schedule(networkConfig=ENCRYPTED),
            training(**ENCRYPTED),
            pipeline(step("Training", EnableInterContainerTrafficEncryption=True), step("Processing")),
        ],
        failing=[
            definition(),
            definition(network={"enableInterContainerTrafficEncryption": False}),
            definition(network=ISOLATED),
            *(definition(kind) for kind in ("modelQuality", "modelBias", "modelExplainability")),
            schedule(networkConfig=ISOLATED),
            training(),
            tuning(ENCRYPTED, {}),
            pipeline(step("Training")),
            machine(Train=state("sagemaker:createTrainingJob", EnableNetworkIsolation=True)),
        ],
        undecided=[
            definition(network={"enableInterContainerTrafficEncryption": UNKNOWN}),
            pipeline(step("Training", EnableInterContainerTrafficEncryption={"Get": "Parameters.Encrypt"})),
        ],
        not_applicable=[
            schedule(),
        ],
    ),
    "model-network-isolation": Case(
        passing=[
            model(enableNetworkIsolation=True),
            training(**ISOLATED),
            pipeline(step("Training", EnableNetworkIsolation=True), step("Processing")),
            pipeline(step("Training", EnableNetworkIsolation={"Get": "Parameters.Isolated"}), Isolated="true"),
        ],
        failing=[
            model(),
            model(enableNetworkIsolation=False),
            resource("aws-native:sagemaker:Model", "churn"),
            training(),
            tuning(ISOLATED, {}),
            pipeline(step("Tuning", TrainingJobDefinitions=[{"EnableNetworkIsolation": True}, {}])),
            pipeline(step("Model", PrimaryContainer={"Image": PINNED})),
            pipeline(step("Training", EnableNetworkIsolation={"Get": "Parameters.Isolated"}), Isolated="false"),
            # What is not known of one step does not hide what is wrong with another.
            pipeline(
                step("Training", EnableNetworkIsolation={"Get": "Parameters.Isolated"}), step("Training", "again")
            ),
            machine(Create=state("sagemaker:createModel")),
        ],
        undecided=[
            model(enableNetworkIsolation=UNKNOWN),
            machine(Train=state("sagemaker:createTrainingJob", **{"EnableNetworkIsolation.$": "$.isolated"})),
            machine(Train=state("sagemaker:createTrainingJob", EnableNetworkIsolation="{% $isolated %}")),
            pipeline(step("Training", EnableNetworkIsolation={"Std:JsonGet": {"Path": "isolated"}})),
        ],
        not_applicable=[pipeline(step("Processing"))],
    ),
    "monitor-job-isolation": Case(
        passing=[
            definition(network=ISOLATED),
            definition("modelQuality", network=ISOLATED),
            schedule(networkConfig=ISOLATED),
        ],
        failing=[
            definition(),
            *(definition(kind, network=ENCRYPTED) for kind in ("modelQuality", "modelBias", "modelExplainability")),
            schedule(networkConfig=ENCRYPTED),
            cloud_control("AWS::SageMaker::ModelBiasJobDefinition", NetworkConfig={"EnableNetworkIsolation": False}),
        ],
        undecided=[definition(network=UNKNOWN)],
        not_applicable=[
            schedule(),
        ],
    ),
    "model-in-vpc": Case(
        passing=[
            model(vpcConfig=VPC),
            training(vpcConfig=VPC),
            pipeline(step("Training", VpcConfig={"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]})),
        ],
        failing=[
            model(),
            model(vpcConfig={"subnets": [], "securityGroupIds": []}),
            training(),
            tuning({"vpcConfig": VPC}, {}),
            pipeline(step("Model")),
            machine(Train=state("sagemaker:createTrainingJob")),
        ],
        undecided=[resource("aws:sagemaker/pipeline:Pipeline", "pipe", pipelineDefinition=Secret("{}"))],
        set_unknown=[model(vpcConfig=UNKNOWN), model(vpcConfig={**VPC, "subnets": UNKNOWN})],
        not_applicable=[pipeline(step("Processing")), machine(Wait={"Type": "Wait"})],
    ),
    "domain-vpc-only": Case(
        passing=[domain(appNetworkAccessType="VpcOnly")],
        failing=[domain(), domain(appNetworkAccessType="PublicInternetOnly")],
        undecided=[domain(appNetworkAccessType=UNKNOWN)],
    ),
    "domain-sso-auth": Case(
        passing=[domain(authMode="SSO")],
        failing=[domain(authMode="IAM"), domain()],
        undecided=[domain(authMode=UNKNOWN)],
    ),
    "notebook-no-direct-internet": Case(
        passing=[notebook(directInternetAccess="Disabled")],
        failing=[notebook(), notebook(directInternetAccess="Enabled")],
        undecided=[notebook(directInternetAccess=UNKNOWN)],
    ),
    "notebook-in-vpc": Case(
        passing=[notebook(subnetId="subnet-1")],
        failing=[notebook(), notebook(subnetId="")],
        set_unknown=[notebook(subnetId=UNKNOWN)],
    ),
    "notebook-no-root": Case(
        passing=[notebook(rootAccess="Disabled")],
        failing=[notebook(), notebook(rootAccess="Enabled")],
        undecided=[notebook(rootAccess=UNKNOWN)],
    ),
    "notebook-supported-platform": Case(
        passing=[notebook(), notebook(platformIdentifier="notebook-al2023-v1"), notebook(platformIdentifier="next")],
        failing=[notebook(platformIdentifier="notebook-al2-v3"), notebook(platformIdentifier="notebook-al1-v1")],
        undecided=[notebook(platformIdentifier=UNKNOWN)],
        settings=Settings(
            parameters={"notebook-supported-platform": Platforms(supported=(*Platforms().supported, "next"))}
        ),
    ),
    "notebook-imdsv2": Case(
        passing=[
            notebook(instanceMetadataServiceConfiguration={"minimumInstanceMetadataServiceVersion": "2"}),
            notebook(instanceMetadataServiceConfiguration={"minimumInstanceMetadataServiceVersion": 2}),
        ],
        failing=[
            notebook(),
            notebook(instanceMetadataServiceConfiguration={"minimumInstanceMetadataServiceVersion": "1"}),
        ],
        undecided=[notebook(instanceMetadataServiceConfiguration=UNKNOWN)],
    ),
    "model-image-private-registry": Case(
        passing=[
            model({"image": PINNED, "imageConfig": {"repositoryAccessMode": "Vpc"}}),
            pipeline(step("Model", PrimaryContainer={"Image": PINNED, "ImageConfig": {"RepositoryAccessMode": "Vpc"}})),
        ],
        failing=[
            model({"image": PINNED}),
            model({"image": PINNED, "imageConfig": {"repositoryAccessMode": "Platform"}}),
            model({"image": PINNED, "imageConfig": {"repositoryAccessMode": "Vpc"}}, {"image": PINNED}),
            model({"image": PINNED, "imageConfig": UNKNOWN}, {"image": PINNED}),
            model({"image": UNKNOWN}),
            pipeline(step("Model", Containers=[{"Image": PINNED}])),
        ],
        undecided=[model({"image": PINNED, "imageConfig": UNKNOWN})],
        not_applicable=[
            model({"modelPackageName": "arn:aws:sagemaker:us-east-1:123456789012:model-package/churn/1"}),
        ],
    ),
    "image-pinned-digest": Case(
        passing=[
            model({"image": PINNED}),
            model({"image": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"}),
            definition(image=PINNED),
            schedule(monitoringAppSpecification={"imageUri": PINNED}),
            training(algorithmSpecification={"trainingImage": PINNED}),
            pipeline(step("Training", AlgorithmSpecification={"TrainingImage": PINNED})),
            resource("aws:lambda/function:Function", "f", imageUri=PINNED),
            resource(
                "aws:ecs/taskDefinition:TaskDefinition", "t", containerDefinitions=json.dumps([{"image": PINNED}])
            ),
            resource("aws:sagemaker/imageVersion:ImageVersion", "i", baseImage=PINNED),
            pods(containers=[{"name": "web", "image": f"nginx:1.27@sha512:{'ab' * 64}"}]),
        ],
        failing=[
            model({"image": TAGGED}),
            model({"image": f"{TAGGED}@sha256:12345678"}),
            model({"image": f"{TAGGED}@sha256:{'zz' * 32}"}),
            model({"image": f"{TAGGED}@md5:{'ab' * 16}"}),
            model({"image": PINNED}, {"image": TAGGED}),
            model({"image": UNKNOWN}, {"image": TAGGED}),
            definition(image=TAGGED),
            *(definition(kind, image=TAGGED) for kind in ("modelQuality", "modelBias", "modelExplainability")),
            schedule(monitoringAppSpecification={"imageUri": TAGGED}),
            training(algorithmSpecification={"trainingImage": TAGGED}),
            tuning({"algorithmSpecification": {"trainingImage": TAGGED}}),
            pipeline(step("Processing", AppSpecification={"ImageUri": TAGGED})),
            machine(Train=state("sagemaker:createTrainingJob", AlgorithmSpecification={"TrainingImage": TAGGED})),
            cloud_control("AWS::SageMaker::ProcessingJob", AppSpecification={"ImageUri": TAGGED}),
            resource("aws:lambda/function:Function", "f", imageUri=TAGGED),
            resource("aws-native:lambda:Function", "f", code={"imageUri": TAGGED}),
            resource(
                "aws:ecs/taskDefinition:TaskDefinition", "t", containerDefinitions=json.dumps([{"image": TAGGED}])
            ),
            resource("aws-native:ecs:TaskDefinition", "t", containerDefinitions=[{"image": TAGGED}]),
            resource("aws:sagemaker/imageVersion:ImageVersion", "i", baseImage=TAGGED),
            pods(containers=[{"image": "nginx"}]),
            pods(containers=[{"image": UNKNOWN}, {"name": "web", "image": "nginx"}]),
            pods(containers=[{"image": PINNED}], initContainers=[{"name": "init", "image": "busybox:1"}]),
            inference_service(predictor={"model": {"image": TAGGED}}),
        ],
        undecided=[
            model({"image": UNKNOWN}),
            pods(containers=[{"image": "{{inputs.parameters.image}}"}]),
        ],
        not_applicable=[
            inference_service(predictor={"model": {"modelFormat": {"name": "onnx"}}}),
        ],
        settings=Settings(
            parameters={"image-pinned-digest": Images(trusted=("683313688378.dkr.ecr.*.amazonaws.com/*",))}
        ),
    ),
    "endpoint-ha": Case(
        passing=[
            production(endpoint()),
            production(endpoint({"serverlessConfig": {"maxConcurrency": 5}}, {"initialInstanceCount": 3})),
            production(endpoint(shadowProductionVariants=[{"initialInstanceCount": 1}])),
            production(
                resource(
                    "aws:appautoscaling/target:Target",
                    "scale",
                    scalableDimension="ecs:service:DesiredCount",
                    minCapacity=1,
                ),
                endpoint(),
            ),
            production(inference_service(predictor={"minReplicas": 2}, transformer={"minReplicas": 2})),
            [endpoint({"initialInstanceCount": 2}), component("MLStack", "stack", model="churn")],
        ],
        failing=[
            endpoint({"initialInstanceCount": 1}),
            production(endpoint({"variantName": "a", "initialInstanceCount": 1})),
            production(endpoint({"initialInstanceCount": 2}, {"initialInstanceCount": 1})),
            production(endpoint({"initialInstanceCount": UNKNOWN}, {"initialInstanceCount": 1})),
            production(endpoint({})),
            production(
                endpoint(
                    {"initialInstanceCount": 2, "managedInstanceScaling": {"status": "ENABLED", "minInstanceCount": 1}}
                )
            ),
            production(
                resource(
                    "aws:appautoscaling/target:Target",
                    "scale",
                    scalableDimension="sagemaker:variant:DesiredInstanceCount",
                    minCapacity=1,
                )
            ),
            production(inference_service(predictor={"model": {"modelFormat": {"name": "onnx"}}})),
            production(inference_service(predictor={"minReplicas": 2}, transformer={"minReplicas": 1})),
        ],
        undecided=[production(endpoint({"initialInstanceCount": UNKNOWN}))],
        not_applicable=[
            [component("MLStack", "stack", model="churn", environment="dev"), endpoint({"initialInstanceCount": 1})],
            production(endpoint({"serverlessConfig": {"maxConcurrency": 5}})),
            production(
                resource(
                    "aws:appautoscaling/target:Target",
                    "scale",
                    scalableDimension="ecs:service:DesiredCount",
                    minCapacity=1,
                )
            ),
        ],
        settings=Settings(parameters={"endpoint-ha": Availability(environments=("prod", "stack"))}),
    ),
}
