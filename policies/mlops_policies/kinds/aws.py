"""AWS: type tokens, and what several rules ask of its resources.

A kind is a tuple of tokens: pulumi-aws first, then aws-native, under which Cloud Control resources come as well.
"""

from __future__ import annotations

from typing import Final

from mlops_policies.resources import View


def _kind(module: str, name: str, native: str = "") -> tuple[str, ...]:
    classic = f"aws:{module}/{name[:1].lower()}{name[1:]}:{name}"
    return (classic, f"aws-native:{native}") if native else (classic,)


def _native(*names: str) -> tuple[str, ...]:
    return tuple(f"aws-native:{name}" for name in names)


# Amazon SageMaker
ENDPOINT: Final = _kind("sagemaker", "Endpoint", "sagemaker:Endpoint")
MODEL_PACKAGE: Final = _native("sagemaker:ModelPackage")
ENDPOINT_CONFIGURATION: Final = _kind("sagemaker", "EndpointConfiguration", "sagemaker:EndpointConfig")
MODEL: Final = _kind("sagemaker", "Model", "sagemaker:Model")
NOTEBOOK_INSTANCE: Final = _kind("sagemaker", "NotebookInstance", "sagemaker:NotebookInstance")
DOMAIN: Final = _kind("sagemaker", "Domain", "sagemaker:Domain")
FEATURE_GROUP: Final = _kind("sagemaker", "FeatureGroup", "sagemaker:FeatureGroup")
FLOW_DEFINITION: Final = _kind("sagemaker", "FlowDefinition")
INFERENCE_EXPERIMENT: Final = _native("sagemaker:InferenceExperiment")
MONITORING_SCHEDULE: Final = _kind("sagemaker", "MonitoringSchedule", "sagemaker:MonitoringSchedule")
DATA_QUALITY_JOB: Final = _kind("sagemaker", "DataQualityJobDefinition", "sagemaker:DataQualityJobDefinition")
MODEL_QUALITY_JOB: Final = _native("sagemaker:ModelQualityJobDefinition")
MODEL_BIAS_JOB: Final = _native("sagemaker:ModelBiasJobDefinition")
MODEL_EXPLAINABILITY_JOB: Final = _native("sagemaker:ModelExplainabilityJobDefinition")
TRAINING_JOB: Final = _kind("sagemaker", "TrainingJob")
TUNING_JOB: Final = _kind("sagemaker", "HyperParameterTuningJob")
PROCESSING_JOB: Final = _native("sagemaker:ProcessingJob")
PIPELINE: Final = _kind("sagemaker", "Pipeline", "sagemaker:Pipeline")
IMAGE_VERSION: Final = _kind("sagemaker", "ImageVersion", "sagemaker:ImageVersion")

# Other services
STATE_MACHINE: Final = _kind("sfn", "StateMachine", "stepfunctions:StateMachine")
LAMBDA_FUNCTION: Final = _kind("lambda", "Function", "lambda:Function")
TASK_DEFINITION: Final = _kind("ecs", "TaskDefinition", "ecs:TaskDefinition")
SCALING_TARGET: Final = _kind("appautoscaling", "Target", "applicationautoscaling:ScalableTarget")
LOG_GROUP: Final = _kind("cloudwatch", "LogGroup", "logs:LogGroup")
ALARM: Final = _kind("cloudwatch", "MetricAlarm", "cloudwatch:Alarm")
EVENT_TARGET: Final = _kind("cloudwatch", "EventTarget")
EVENT_RULE: Final = _kind("cloudwatch", "EventRule", "events:Rule")
SCHEDULE: Final = _kind("scheduler", "Schedule", "scheduler:Schedule")
TOPIC: Final = _kind("sns", "Topic", "sns:Topic")
SUBSCRIPTION: Final = _kind("sns", "TopicSubscription", "sns:Subscription")
TRAIL: Final = _kind("cloudtrail", "Trail", "cloudtrail:Trail")
BUCKET: Final = (*_kind("s3", "Bucket", "s3:Bucket"), *_kind("s3", "BucketV2"))
BUCKET_LIFECYCLE: Final = (
    *_kind("s3", "BucketLifecycleConfiguration"),
    *_kind("s3", "BucketLifecycleConfigurationV2"),
)
BUCKET_OBJECT_LOCK: Final = (
    *_kind("s3", "BucketObjectLockConfiguration"),
    *_kind("s3", "BucketObjectLockConfigurationV2"),
)
BUCKET_VERSIONING: Final = (*_kind("s3", "BucketVersioning"), *_kind("s3", "BucketVersioningV2"))
BUCKET_LOGGING: Final = (*_kind("s3", "BucketLogging"), *_kind("s3", "BucketLoggingV2"))

BUCKET_ENCRYPTION: Final = (
    *_kind("s3", "BucketServerSideEncryptionConfiguration"),
    *_kind("s3", "BucketServerSideEncryptionConfigurationV2"),
)
BUCKET_POLICY: Final = _kind("s3", "BucketPolicy", "s3:BucketPolicy")
BUCKET_ACL: Final = (*_kind("s3", "BucketAcl"), *_kind("s3", "BucketAclV2"))
BUCKET_ACCESS_BLOCK: Final = _kind("s3", "BucketPublicAccessBlock")
ACCOUNT_ACCESS_BLOCK: Final = _kind("s3", "AccountPublicAccessBlock")
REPOSITORY: Final = _kind("ecr", "Repository", "ecr:Repository")
REPOSITORY_LIFECYCLE: Final = _kind("ecr", "LifecyclePolicy")
KEY: Final = _kind("kms", "Key", "kms:Key")
EVENT_BUS: Final = _kind("cloudwatch", "EventBus", "events:EventBus")
CLUSTER: Final = _kind("eks", "Cluster", "eks:Cluster")
NODE_GROUP: Final = _kind("eks", "NodeGroup", "eks:Nodegroup")
INSTANCE: Final = _kind("ec2", "Instance", "ec2:Instance")
LAUNCH_TEMPLATE: Final = _kind("ec2", "LaunchTemplate", "ec2:LaunchTemplate")
SCALING_GROUP: Final = _kind("autoscaling", "Group", "autoscaling:AutoScalingGroup")
BATCH_COMPUTE: Final = _kind("batch", "ComputeEnvironment", "batch:ComputeEnvironment")
APP: Final = _kind("sagemaker", "App", "sagemaker:App")
USER_PROFILE: Final = _kind("sagemaker", "UserProfile", "sagemaker:UserProfile")
TRACKING_SERVER: Final = _kind("sagemaker", "MlflowTrackingServer", "sagemaker:MlflowTrackingServer")
NOTEBOOK_LIFECYCLE: Final = _kind(
    "sagemaker", "NotebookInstanceLifecycleConfiguration", "sagemaker:NotebookInstanceLifecycleConfig"
)
BUDGET: Final = _kind("budgets", "Budget", "budgets:Budget")
ML: Final = ("aws:sagemaker/*", "aws:bedrock/*", "aws-native:sagemaker:*", "aws-native:bedrock:*")
"""Everything of Amazon SageMaker and Amazon Bedrock."""

# Identities
ROLE: Final = _kind("iam", "Role", "iam:Role")
INLINE_POLICY: Final = (
    *_kind("iam", "RolePolicy", "iam:RolePolicy"),
    *_kind("iam", "UserPolicy", "iam:UserPolicy"),
    *_kind("iam", "GroupPolicy", "iam:GroupPolicy"),
    *_native("iam:Policy"),
)
MANAGED_POLICY: Final = _kind("iam", "Policy", "iam:ManagedPolicy")
POLICY_ATTACHMENT: Final = (
    *_kind("iam", "RolePolicyAttachment"),
    *_kind("iam", "UserPolicyAttachment"),
    *_kind("iam", "GroupPolicyAttachment"),
    *_kind("iam", "PolicyAttachment"),
    *_kind("iam", "RolePolicyAttachmentsExclusive"),
)

BILLED: Final = (
    *(ENDPOINT + ENDPOINT_CONFIGURATION + MODEL + NOTEBOOK_INSTANCE + DOMAIN + USER_PROFILE + APP + FEATURE_GROUP),
    *(TRAINING_JOB + TUNING_JOB + PIPELINE + DATA_QUALITY_JOB + MODEL_QUALITY_JOB + MODEL_BIAS_JOB),
    *(MODEL_EXPLAINABILITY_JOB + MONITORING_SCHEDULE + FLOW_DEFINITION + TRACKING_SERVER),
    *_kind("sagemaker", "AppImageConfig", "sagemaker:AppImageConfig"),
    *_kind("sagemaker", "Image", "sagemaker:Image"),
    *_kind("sagemaker", "ModelPackageGroup", "sagemaker:ModelPackageGroup"),
    *_kind("sagemaker", "Space", "sagemaker:Space"),
    *(BUCKET + REPOSITORY + KEY + LAMBDA_FUNCTION + STATE_MACHINE + LOG_GROUP + TOPIC + TRAIL + EVENT_BUS),
    *(INSTANCE + SCALING_GROUP + BATCH_COMPUTE + CLUSTER + NODE_GROUP),
    *_kind("ecs", "Cluster", "ecs:Cluster"),
    *_kind("ecs", "Service", "ecs:Service"),
    *_kind("sqs", "Queue", "sqs:Queue"),
    *_kind("secretsmanager", "Secret", "secretsmanager:Secret"),
    *_kind("dynamodb", "Table", "dynamodb:Table"),
    *_kind("efs", "FileSystem"),
    *_kind("rds", "Instance", "rds:DbInstance"),
    *_kind("rds", "Cluster", "rds:DbCluster"),
    *_kind("opensearch", "Domain", "opensearchservice:Domain"),
    *_kind("ec2", "NatGateway", "ec2:NatGateway"),
    *_kind("ec2", "VpcEndpoint", "ec2:VpcEndpoint"),
)
"""What an ML stack makes, takes tags, and stands on the invoice by itself or through what it starts."""

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_SERIES_WITH_DISKS: Final = frozenset(("dl", "i", "im", "is", "trn"))
_FAMILIES_WITH_DISKS: Final = frozenset(("g5", "g6", "g6e", "g7", "g7e", "gr6", "p5", "p5e", "p5en", "p6", "p6e"))


def has_own_key(view: View, *paths: str) -> bool:
    """Whether one of some properties names a KMS key of the customer's; one that is not known yet counts.

    A key under an alias `alias/aws/…` is AWS's: its policy can't be changed, and its use can't be withdrawn.
    """
    return any(view.has(path) and "alias/aws/" not in str(view.value(path)) for path in paths)


def has_local_storage(instance_type: str | None) -> bool:
    """Whether an instance type stores data on NVMe disks of its own, which its hardware encrypts.

    SageMaker takes no volume key for these (API reference, `ResourceConfig.VolumeKmsKeyId`): families with a `d` among
    the letters behind the generation (`m5d`, `g4dn`), and some without (guide to EC2's instance types).

    Arguments:
        instance_type: as in `ml.g5.xlarge`; None for none.
    """
    family = (instance_type or "").removeprefix("ml.").partition(".")[0].partition("-")[0]
    generation = family.lstrip(_LETTERS)
    series, attributes = family.removesuffix(generation), generation.lstrip("0123456789")
    return family in _FAMILIES_WITH_DISKS or series in _SERIES_WITH_DISKS or "d" in attributes
