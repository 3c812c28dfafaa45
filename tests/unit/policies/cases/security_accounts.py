"""Cases of the rules about buckets, repositories, keys, identities, secrets, logs and the local platform."""

from __future__ import annotations

import json
from typing import Any

from mlops_policies import Resource
from pulumi_mlops.testing.policy import UNKNOWN, Case, Secret, component, resource

BUCKET = "aws:s3/bucket:Bucket"
KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/1"
AWS_KEY = "arn:aws:kms:us-east-1:123456789012:alias/aws/s3"
ROLE_ARN = "arn:aws:iam::123456789012:role/serving"
ARN = "arn:aws:s3:::data"
BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
ALL_BLOCKED: dict[str, Any] = dict.fromkeys(BLOCKS, True)

bucket = resource(BUCKET, "data", bucket="data")
native = resource("aws-native:s3:Bucket", "data", bucketName="data")


def beside(kind: str, name: str = "beside", **props: Any) -> Resource:
    """A resource of the bucket's: an ACL, a policy."""
    props.setdefault("bucket", "data")
    return resource(f"aws:s3/{kind[:1].lower()}{kind[1:]}:{kind}", name, **props)


def document(*statements: dict[str, Any], spelled: Any = json.dumps) -> Any:
    return spelled({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, on: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": on, **more}


# Encryption of buckets


def encrypted(algorithm: Any = "aws:kms", key: Any = KEY_ARN) -> Resource:
    default = {"sseAlgorithm": algorithm, **({"kmsMasterKeyId": key} if key else {})}
    rules = [{"applyServerSideEncryptionByDefault": default}]
    return beside("BucketServerSideEncryptionConfiguration", rules=rules)


def inline(kind: str, default: dict[str, Any]) -> Resource:
    if kind == "aws-native:s3:Bucket":
        held: dict[str, Any] = {"serverSideEncryptionConfiguration": [{"serverSideEncryptionByDefault": default}]}
        return resource(kind, bucketEncryption=held)
    if kind == "aws:s3/bucketV2:BucketV2":
        listed = [{"rules": [{"applyServerSideEncryptionByDefaults": [default]}]}]
        return resource(kind, serverSideEncryptionConfigurations=listed)
    held = {"rule": {"applyServerSideEncryptionByDefault": default}}
    return resource(kind, serverSideEncryptionConfiguration=held)


OWN = {"sseAlgorithm": "aws:kms:dsse", "kmsMasterKeyId": KEY_ARN}
OLD = "aws:s3/bucketV2:BucketV2"
CONTROLLED = {
    "BucketEncryption": {
        "ServerSideEncryptionConfiguration": [
            {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY_ARN}}
        ]
    }
}


def controlled(name: str, state: Any) -> Resource:
    """A bucket of Cloud Control."""
    return resource("aws:cloudcontrol/resource:Resource", name, typeName="AWS::S3::Bucket", desiredState=state)


# Policies of buckets

TLS = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": [ARN, f"{ARN}/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
PUBLIC = allow("s3:GetObject", f"{ARN}/*", Principal="*")


def guarded(*statements: dict[str, Any], **more: Any) -> Resource:
    return beside("BucketPolicy", policy=document(*statements), **more)


def restricted(operator: str, key: str, value: Any) -> Resource:
    return guarded({**PUBLIC, "Condition": {operator: {key: value}}})


blocked = beside("BucketPublicAccessBlock", "block", **ALL_BLOCKED)


# Identities


def role(name: str = "serving", **props: Any) -> Resource:
    return resource("aws:iam/role:Role", name, **props)


def policy(*statements: dict[str, Any], kind: str = "aws:iam/policy:Policy") -> Resource:
    return resource(kind, policy=document(*statements))


def trust(**statement: Any) -> str:
    return json.dumps({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", **statement}})


def attachment(arn: Any, **refers: Resource) -> Resource:
    given: dict[str, Any] = {} if refers else {"policyArn": arn}
    return resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", refers=refers, role="serving", **given)


sagemaker = trust(Principal={"Service": "sagemaker.amazonaws.com"})
shared = role(arn=ROLE_ARN)
written = resource("aws:iam/policy:Policy", "written", policy=document(allow("s3:GetObject", f"{ARN}/*")))


def user(kind: str, name: str, *, path: str = "roleArn", made: Resource | None = None, **more: Any) -> Resource:
    """Something that assumes the shared role."""
    token = f"aws:sagemaker/{kind[:1].lower()}{kind[1:]}:{kind}"
    if made is not None:
        return resource(token, name, refers={path: made}, **more)
    return resource(token, name, **{path: ROLE_ARN, **more})


serving = user("Model", "a", path="executionRoleArn")
OTHERS = [
    user("NotebookInstance", "desk"),
    user("TrainingJob", "fit"),
    resource("aws-native:sagemaker:ProcessingJob", roleArn=ROLE_ARN),
    resource(
        "aws:sagemaker/hyperParameterTuningJob:HyperParameterTuningJob", trainingJobDefinition={"roleArn": ROLE_ARN}
    ),
    user("Pipeline", "train"),
    user("DataQualityJobDefinition", "quality"),
    resource(
        "aws-native:sagemaker:MonitoringSchedule",
        monitoringScheduleConfig={"monitoringJobDefinition": {"roleArn": ROLE_ARN}},
    ),
    user("FeatureGroup", "features"),
    resource("aws:sagemaker/userProfile:UserProfile", userSettings={"executionRole": ROLE_ARN}),
    user("FlowDefinition", "labels"),
    user("MlflowTrackingServer", "runs"),
    resource("aws:lambda/function:Function", role=ROLE_ARN),
    resource("aws:ecs/taskDefinition:TaskDefinition", taskRoleArn=ROLE_ARN),
    resource("aws:sfn/stateMachine:StateMachine", roleArn=ROLE_ARN),
    resource("aws:scheduler/schedule:Schedule", target={"roleArn": ROLE_ARN}),
    resource("aws:cloudwatch/eventTarget:EventTarget", roleArn=ROLE_ARN),
]
STARTING = resource("aws:ecs/taskDefinition:TaskDefinition", "starts", executionRoleArn=ROLE_ARN)
endpoints = [component("Endpoint", name, endpoint=name) for name in ("a", "b")]


# Variables

PASSWORD = {"DB_PASSWORD": "correct horse"}


def model(environment: Any) -> Resource:
    return resource("aws:sagemaker/model:Model", primaryContainer={"image": "i", "environment": environment})


def function(variables: Any) -> Resource:
    return resource("aws:lambda/function:Function", environment={"variables": variables})


def task(*variables: dict[str, Any]) -> Resource:
    containers = json.dumps([{"name": "it", "environment": list(variables)}])
    return resource("aws:ecs/taskDefinition:TaskDefinition", containerDefinitions=containers)


def pod(*variables: dict[str, Any], started: bool = False) -> Resource:
    where = "initContainers" if started else "containers"
    spec = {where: [{"name": "it", "env": list(variables)}]}
    return resource("kubernetes:apps/v1:Deployment", spec={"template": {"spec": spec}})


def pipeline(environment: dict[str, Any]) -> Resource:
    step = {"Name": "prepare", "Type": "Processing", "Arguments": {"Environment": environment}}
    definition = json.dumps({"Version": "2020-12-01", "Steps": [step]})
    return resource("aws:sagemaker/pipeline:Pipeline", pipelineDefinition=definition)


def quality_job(environment: dict[str, Any]) -> Resource:
    return resource(
        "aws:sagemaker/dataQualityJobDefinition:DataQualityJobDefinition",
        dataQualityAppSpecification={"imageUri": "i", "environment": environment},
    )


# Trails

ENDPOINT = resource("aws:sagemaker/endpoint:Endpoint", "live", endpointConfigName="live")


GOOD_TRAIL: dict[str, Any] = {"isMultiRegionTrail": True, "enableLogFileValidation": True, "kmsKeyId": KEY_ARN}


def trail(**changes: Any) -> Resource:
    return resource("aws:cloudtrail/trail:Trail", "trail", **{**GOOD_TRAIL, **changes})


def cluster(**props: Any) -> Resource:
    return resource("aws:eks/cluster:Cluster", "cluster", **props)


def service(*arguments: Any, config: Any = "{}") -> Resource:
    return resource("mlops-local:index:Service", arguments=list(arguments), config=config, port=8080)


def parameter(kind: str, value: Any) -> Resource:
    return Resource("aws:ssm/parameter:Parameter", "it", {"type": kind, "value": value})


def marked(kind: str, **props: Any) -> list[Resource]:
    """A resource without an unmarked secret, beside one with a marked one."""
    return [resource(kind, **props), resource("aws:rds/instance:Instance", "db", password=Secret("hunter2"))]


def machine(**logging: Any) -> Resource:
    return resource("aws:sfn/stateMachine:StateMachine", loggingConfiguration=logging)


CASES = {
    "encrypt-bucket-kms": Case(
        passing=[
            encrypted(),
            inline(BUCKET, OWN),
            inline(OLD, OWN),
            inline("aws-native:s3:Bucket", OWN),
            controlled("it", json.dumps(CONTROLLED)),
        ],
        failing=[
            encrypted("AES256", None),
            encrypted(key=None),
            encrypted(key=AWS_KEY),
            beside("BucketServerSideEncryptionConfiguration", rules=[{"bucketKeyEnabled": True}]),
            inline(BUCKET, {"sseAlgorithm": "AES256"}),
            inline(OLD, {"sseAlgorithm": "AES256"}),
            inline("aws-native:s3:Bucket", {"sseAlgorithm": "aws:kms"}),
            native,
            controlled("it", json.dumps({"BucketName": "data"})),
        ],
        undecided=[encrypted(UNKNOWN)],
        set_unknown=[encrypted(key=UNKNOWN)],
        not_applicable=[resource(BUCKET, "plain", forceDestroy=False)],
    ),
    "bucket-encryption-declared": Case(
        passing=[[bucket, encrypted()], inline(BUCKET, OWN), inline(OLD, OWN)],
        failing=[bucket, [bucket, beside("BucketServerSideEncryptionConfiguration", bucket="other")]],
        set_unknown=[
            [
                bucket,
                resource(
                    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
                    refers={"bucket": bucket},
                ),
            ]
        ],
    ),
    "bucket-no-public-access": Case(
        passing=[
            [bucket, blocked],
            [bucket, resource("aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock", **ALL_BLOCKED)],
            [bucket, blocked, beside("BucketAcl", acl="private")],
            [resource(BUCKET, bucket="data", grants=[{"id": "0f", "type": "CanonicalUser"}]), blocked],
            resource("aws-native:s3:Bucket", publicAccessBlockConfiguration=ALL_BLOCKED),
            [bucket, blocked, guarded(TLS, allow("s3:*", ARN, Principal={"AWS": ROLE_ARN}))],
            [bucket, blocked, restricted("StringEquals", "aws:PrincipalOrgID", "o-1")],
            [bucket, blocked, restricted("IpAddress", "aws:SourceIp", ["192.0.2.0/24"])],
        ],
        failing=[
            bucket,
            *([bucket, beside("BucketPublicAccessBlock", "block", **{**ALL_BLOCKED, name: False})] for name in BLOCKS),
            [bucket, beside("BucketPublicAccessBlock", "block", bucket="other", **ALL_BLOCKED)],
            [resource(BUCKET, bucket="data", acl="public-read"), blocked],
            [resource(BUCKET, bucket="data", acl="public-read-write"), blocked],
            [
                resource(BUCKET, bucket="data", grants=[{"uri": "http://acs.amazonaws.com/groups/global/AllUsers"}]),
                blocked,
            ],
            [bucket, blocked, beside("BucketAcl", acl="authenticated-read")],
            [
                bucket,
                blocked,
                beside(
                    "BucketAcl",
                    accessControlPolicy={
                        "grants": [{"grantee": {"uri": "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"}}]
                    },
                ),
            ],
            resource("aws-native:s3:Bucket", accessControl="PublicRead", publicAccessBlockConfiguration=ALL_BLOCKED),
            [resource(BUCKET, bucket="data", policy=document(PUBLIC)), blocked],
            [bucket, blocked, guarded(PUBLIC)],
            [bucket, blocked, guarded({**PUBLIC, "Principal": {"AWS": ["*"]}})],
            [
                bucket,
                blocked,
                guarded(
                    {key: value for key, value in PUBLIC.items() if key != "Principal"}
                    | {"NotPrincipal": {"AWS": ROLE_ARN}}
                ),
            ],
            [bucket, blocked, restricted("IpAddress", "aws:SourceIp", "0.0.0.0/0")],
            [bucket, blocked, restricted("StringNotEquals", "aws:PrincipalOrgID", "o-1")],
            [bucket, blocked, restricted("StringEqualsIfExists", "aws:SourceVpce", "vpce-1")],
            [bucket, blocked, restricted("StringEquals", "s3:prefix", "public")],
            # What is sure is told, though something else is not known yet.
            [
                bucket,
                guarded(PUBLIC),
                beside("BucketPublicAccessBlock", "block", **{**ALL_BLOCKED, "blockPublicAcls": UNKNOWN}),
            ],
        ],
        undecided=[
            [bucket, blocked, beside("BucketPolicy", policy=UNKNOWN)],
            [bucket, blocked, beside("BucketPolicy", policy="{")],
            [bucket, beside("BucketPublicAccessBlock", "block", **{**ALL_BLOCKED, "blockPublicAcls": UNKNOWN})],
        ],
        set_unknown=[
            [
                bucket,
                resource(
                    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", refers={"bucket": bucket}, **ALL_BLOCKED
                ),
            ]
        ],
    ),
    "bucket-tls-only": Case(
        passing=[
            [bucket, guarded(TLS)],
            resource(BUCKET, policy=document(TLS)),
            [bucket, guarded({**TLS, "Principal": {"AWS": "*"}, "Action": ["*"], "Resource": "*"})],
            [native, resource("aws-native:s3:BucketPolicy", bucket="data", policyDocument=document(TLS, spelled=dict))],
        ],
        failing=[
            bucket,
            [bucket, guarded(allow("s3:*", ARN, Principal={"AWS": ROLE_ARN}))],
            [bucket, guarded({**TLS, "Resource": f"{ARN}/*"})],
            [bucket, guarded({**TLS, "Resource": ARN})],
            [bucket, guarded({**TLS, "Action": "s3:GetObject"})],
            [bucket, guarded({**TLS, "Effect": "Allow"})],
            [bucket, guarded({**TLS, "Principal": {"AWS": ROLE_ARN}})],
            [bucket, guarded({**TLS, "Condition": {"Bool": {"aws:SecureTransport": "true"}}})],
            [
                bucket,
                guarded(
                    {
                        **TLS,
                        "Condition": {
                            "Bool": {"aws:SecureTransport": "false"},
                            "IpAddress": {"aws:SourceIp": "192.0.2.0/24"},
                        },
                    }
                ),
            ],
            [bucket, guarded(TLS, bucket="other")],
        ],
        undecided=[[bucket, beside("BucketPolicy", policy=UNKNOWN)]],
    ),
    "bucket-versioned": Case(
        passing=[
            [bucket, beside("BucketVersioning", versioningConfiguration={"status": "Enabled"})],
            resource(BUCKET, versioning={"enabled": True}),
            resource(OLD, versionings=[{"enabled": True}]),
            resource(BUCKET, objectLockEnabled=True),
            resource("aws-native:s3:Bucket", versioningConfiguration={"status": "Enabled"}),
        ],
        failing=[
            bucket,
            [bucket, beside("BucketVersioning", versioningConfiguration={"status": "Suspended"})],
            [bucket, beside("BucketVersioning", bucket="other", versioningConfiguration={"status": "Enabled"})],
            resource(BUCKET, versioning={"enabled": False}),
        ],
        undecided=[[bucket, beside("BucketVersioning", versioningConfiguration={"status": UNKNOWN})]],
    ),
    "ecr-scan-immutable": Case(
        passing=[
            resource(
                "aws:ecr/repository:Repository",
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
            )
        ],
        failing=[
            resource("aws:ecr/repository:Repository"),
            resource("aws:ecr/repository:Repository", imageTagMutability="IMMUTABLE"),
            resource("aws-native:ecr:Repository", imageScanningConfiguration={"scanOnPush": True}),
            resource(
                "aws:ecr/repository:Repository",
                imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
                imageScanningConfiguration={"scanOnPush": True},
            ),
            resource("aws:ecr/repository:Repository", imageScanningConfiguration=UNKNOWN),
        ],
        undecided=[
            resource(
                "aws:ecr/repository:Repository", imageTagMutability="IMMUTABLE", imageScanningConfiguration=UNKNOWN
            )
        ],
    ),
    "kms-rotation": Case(
        passing=[
            resource("aws:kms/key:Key", enableKeyRotation=True),
        ],
        failing=[
            resource("aws:kms/key:Key"),
            resource("aws:kms/key:Key", enableKeyRotation=False),
            resource("aws-native:kms:Key", keySpec="SYMMETRIC_DEFAULT"),
        ],
        undecided=[resource("aws:kms/key:Key", enableKeyRotation=UNKNOWN)],
        not_applicable=[
            resource("aws:kms/key:Key", customerMasterKeySpec="RSA_2048", keyUsage="SIGN_VERIFY"),
            resource("aws:kms/key:Key", keyUsage="GENERATE_VERIFY_MAC", customerMasterKeySpec="HMAC_256"),
            resource("aws:kms/key:Key", customKeyStoreId="cks-1"),
            resource("aws:kms/key:Key", xksKeyId="xks-1"),
            resource("aws-native:kms:Key", keySpec="RSA_2048"),
            resource("aws-native:kms:Key", origin="EXTERNAL"),
        ],
    ),
    "role-least-privilege": Case(
        passing=[
            role(assumeRolePolicy=sagemaker),
            policy(allow(["s3:GetObject", "s3:List*"], [ARN, f"{ARN}/*"])),
            policy(allow(["ecr:GetAuthorizationToken", "ec2:DescribeSubnets", "logs:CreateLogDelivery"])),
            policy(allow(["cloudwatch:PutMetricData", "kms:ListAliases", "xray:PutTraceSegments"])),
            policy(allow(["logs:DescribeLogGroups", "logs:PutResourcePolicy", "sagemaker:ListModels"])),
            policy(allow(["sts:GetCallerIdentity", "s3:ListAllMyBuckets", "ecr-public:GetAuthorizationToken"])),
            policy(allow("sagemaker:CreateModel", "*", Condition={"StringEquals": {"aws:RequestTag/team": "ml"}})),
            policy({"Effect": "Deny", "Action": "*", "Resource": "*"}),
            attachment("arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"),
            attachment("arn:aws:iam::123456789012:policy/OurFullAccess"),
            role(assumeRolePolicy=trust(Principal="*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}})),
        ],
        failing=[
            policy(allow("*")),
            policy(allow("s3:*", ARN)),
            policy(allow("s3:GetObject")),
            policy(allow("s3:GetObject", "arn:aws:s3:::*")),
            policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": ARN}),
            policy(allow("s3:*", ARN), kind="aws:iam/rolePolicy:RolePolicy"),
            role(inlinePolicies=[{"name": "all", "policy": document(allow("s3:*", ARN))}]),
            role(managedPolicyArns=["arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"]),
            role(assumeRolePolicy=trust(Principal="*")),
            role(assumeRolePolicy=trust(Principal={"AWS": "*"})),
            attachment("arn:aws:iam::aws:policy/AdministratorAccess"),
            attachment("arn:aws-us-gov:iam::aws:policy/AmazonS3FullAccess"),
            attachment("arn:aws:iam::aws:policy/PowerUserAccess"),
            resource(
                "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive",
                policyArns=["arn:aws:iam::aws:policy/AdministratorAccess"],
            ),
            [
                written,
                resource(
                    "aws:iam/role:Role",
                    refers={"managedPolicyArns": written},
                    managedPolicyArns=[UNKNOWN, "arn:aws:iam::aws:policy/AdministratorAccess"],
                ),
            ],
            resource("aws-native:iam:Role", assumeRolePolicyDocument=trust(Principal="*")),
            resource(
                "aws-native:iam:Role",
                policies=[{"policyName": "all", "policyDocument": document(allow("s3:*", ARN), spelled=dict)}],
            ),
            # As Cloud Control is told it, once its names are those of Pulumi.
            resource(
                "aws-native:iam:ManagedPolicy",
                policyDocument={"statement": [{"effect": "Allow", "action": ["s3:*"], "resource": ARN}]},
            ),
            role(assumeRolePolicy=UNKNOWN, inlinePolicies=[{"policy": document(allow("*"))}]),
        ],
        undecided=[
            resource("aws:iam/policy:Policy", policy=UNKNOWN),
            attachment(UNKNOWN),
            role(assumeRolePolicy=UNKNOWN),
        ],
        set_unknown=[
            [written, attachment(None, policyArn=written)],
            [
                written,
                resource(
                    "aws:iam/role:Role", refers={"managedPolicyArns": written}, managedPolicyArns=[UNKNOWN], path="/ml/"
                ),
            ],
        ],
    ),
    "role-per-component": Case(
        passing=[
            [shared, serving],
            [shared, serving, user("Model", "b", path="executionRoleArn")],
            [shared, serving, resource("aws:sagemaker/notebookInstance:NotebookInstance", roleArn="arn:of:another")],
            [
                shared,
                endpoints[0],
                user("Model", "m", path="executionRoleArn", parent=endpoints[0]),
                user("EndpointConfiguration", "c", path="executionRoleArn", parent=endpoints[0]),
            ],
        ],
        failing=[
            *([shared, serving, found] for found in OTHERS),
            [shared, *OTHERS[:2]],
            [shared, resource("aws:ecs/taskDefinition:TaskDefinition", taskRoleArn=ROLE_ARN), STARTING],
            [shared, resource("aws-native:sagemaker:InferenceExperiment", roleArn=ROLE_ARN), OTHERS[0]],
            [shared, user("Pipeline", "train"), resource("aws:sfn/stateMachine:StateMachine", roleArn=ROLE_ARN)],
            [shared, serving, resource("aws:sagemaker/domain:Domain", defaultUserSettings={"executionRole": ROLE_ARN})],
            [
                shared,
                *endpoints,
                *(user("Model", f"m{at.name}", path="executionRoleArn", parent=at) for at in endpoints),
            ],
            [role(), user("Model", "m", path="executionRoleArn", made=role()), user("Pipeline", "p", made=role())],
        ],
        set_unknown=[[role(), user("Model", "m", path="executionRoleArn", made=role())]],
        not_applicable=[
            [shared, resource("aws:sagemaker/notebookInstance:NotebookInstance", roleArn="arn:of:another")]
        ],
    ),
    "no-plaintext-secret-env": Case(
        passing=[
            model({"LOG_LEVEL": "info", "DB_PASSWORD": "arn:aws:secretsmanager:us-east-1:123456789012:secret:db"}),
            model({"DB_PASSWORD_FILE": "/run/secrets/db", "USE_TOKEN": "true", "API_KEY": "/var/run/secrets/api"}),
            function({"DB_SECRET": "{{resolve:secretsmanager:db}}"}),
            task({"name": "LOG_LEVEL", "value": "info"}),
            pod({"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}),
            pod({"name": "DB_PASSWORD", "value": "$(OTHER)"}),
            pipeline({"LOG_LEVEL": "info"}),
        ],
        failing=[
            model(PASSWORD),
            model({"HELPER": "AKIA" + "ABCDEFGHIJKLMNOP"}),
            model({"GREETING": Secret("hello")}),
            model(Secret({"GREETING": "hello"})),
            resource("aws:sagemaker/model:Model", containers=[{"image": "a"}, {"image": "b", "environment": PASSWORD}]),
            resource("aws:sagemaker/trainingJob:TrainingJob", environment=PASSWORD),
            function(PASSWORD),
            function({"OTHER": UNKNOWN, **PASSWORD}),
            task({"name": "DB_PASSWORD", "value": "correct horse"}),
            resource(
                "aws-native:ecs:TaskDefinition",
                containerDefinitions=[{"environment": [{"name": "DB_PASSWORD", "value": "correct horse"}]}],
            ),
            pod({"name": "DB_PASSWORD", "value": "correct horse"}),
            pod({"name": "DB_URL", "value": "postgres://it:horse@db/it"}, started=True),
            pipeline({"API_KEY": "correct horse"}),
            quality_job(PASSWORD),
        ],
        undecided=[model({"DB_PASSWORD": UNKNOWN}), model(UNKNOWN), function({"LOG_LEVEL": UNKNOWN})],
    ),
    "secret-inputs-marked": Case(
        passing=[
            resource("aws:rds/instance:Instance", password=Secret("hunter2")),
            resource("aws:rds/instance:Instance", password="arn:aws:secretsmanager:us-east-1:123456789012:secret:db"),
            resource("kubernetes:core/v1:Secret", stringData=Secret({"a": "b"})),
            resource("kubernetes:core/v1:Secret", data={"a": Secret("Yg==")}),
            resource("mlops-local:index:SecretFile", value=Secret("hunter2")),
            parameter("SecureString", Secret("hunter2")),
            [parameter("String", "plain"), parameter("SecureString", Secret("hunter2"))],
            marked(
                "kubernetes:external-secrets.io/v1:ExternalSecret",
                spec={"data": [{"secretKey": "password"}], "credentialsSecret": "name", "secret": "name"},
            ),
            marked("aws:efs/fileSystem:FileSystem", creationToken="a", clientToken="b", idempotencyToken="c"),
            marked("aws:budgets/budget:Budget", clientRequestToken="a"),
            marked("aws:lambda/function:Function", environment={"variables": {"DB_PASSWORD": "hunter2"}}),
        ],
        failing=[
            resource("aws:rds/instance:Instance", password="hunter2"),
            resource("aws:glue/connection:Connection", connectionProperties={"PASSWORD": "hunter2"}),
            resource("kubernetes:example.com/v1:Thing", spec={"users": [{"name": "a", "token": "hunter2"}]}),
            resource("aws:secretsmanager/secretVersion:SecretVersion", secretString="hunter2"),
            parameter("SecureString", "hunter2"),
            resource("kubernetes:core/v1:Secret", stringData={"a": "hunter2"}),
            resource("kubernetes:core/v1:Secret", data={"a": "aHVudGVyMg=="}),
            resource("aws:secretsmanager/secretVersion:SecretVersion", secretBinary="aHVudGVyMg=="),
            resource("aws-native:secretsmanager:Secret", secretString="hunter2"),
            resource("aws:kms/externalKey:ExternalKey", keyMaterialBase64="aHVudGVyMg=="),
            resource("aws:codebuild/project:Project", environment={"dockerPassword": "hunter2"}),
            resource("mlops-local:index:SecretFile", value="hunter2"),
            resource("aws:elasticache/user:User", passwords=["hunter2"]),
            resource("random:index:Thing", first={"apiKey": UNKNOWN}, second={"apiKey": "hunter2"}),
        ],
        undecided=[resource("aws:rds/instance:Instance", password=UNKNOWN)],
    ),
    "audit-trail-on": Case(
        passing=[
            [ENDPOINT, trail()],
            [ENDPOINT, trail(isMultiRegionTrail=False), trail()],
            [ENDPOINT, trail(eventSelectors=[{"readWriteType": "All"}])],
            [ENDPOINT, trail(eventSelectors=[{"includeManagementEvents": True}])],
            [
                ENDPOINT,
                trail(
                    advancedEventSelectors=[{"fieldSelectors": [{"field": "eventCategory", "equals": ["Management"]}]}]
                ),
            ],
            cluster(enabledClusterLogTypes=["api", "audit"]),
            resource("aws-native:eks:Cluster", logging={"clusterLogging": {"enabledTypes": [{"type": "audit"}]}}),
        ],
        failing=[
            ENDPOINT,
            resource("aws-native:sagemaker:Endpoint"),
            [ENDPOINT, trail(isMultiRegionTrail=False)],
            [ENDPOINT, trail(enableLogging=False)],
            [ENDPOINT, resource("aws-native:cloudtrail:Trail", isLogging=False, **GOOD_TRAIL)],
            [
                ENDPOINT,
                trail(
                    advancedEventSelectors=[
                        {
                            "fieldSelectors": [
                                {"field": "eventCategory", "equals": ["Management"]},
                                {"field": "readOnly", "equals": ["true"]},
                            ]
                        }
                    ]
                ),
            ],
            [ENDPOINT, trail(enableLogFileValidation=False)],
            [ENDPOINT, trail(kmsKeyId=None)],
            [ENDPOINT, trail(eventSelectors=[{"readWriteType": "WriteOnly"}])],
            [ENDPOINT, trail(eventSelectors=[{"includeManagementEvents": False}])],
            [
                ENDPOINT,
                trail(advancedEventSelectors=[{"fieldSelectors": [{"field": "eventCategory", "equals": ["Data"]}]}]),
            ],
            cluster(enabledClusterLogTypes=["api"]),
            [ENDPOINT, trail(isMultiRegionTrail=UNKNOWN), cluster()],
        ],
        undecided=[[ENDPOINT, trail(isMultiRegionTrail=UNKNOWN)]],
        set_unknown=[[ENDPOINT, trail(kmsKeyId=UNKNOWN)]],
    ),
    "workflow-logging": Case(
        passing=[
            machine(level="ERROR", logDestination="arn:aws:logs:us-east-1:123456789012:log-group:it:*"),
            resource(
                "aws-native:stepfunctions:StateMachine", loggingConfiguration={"level": "ALL", "destinations": [{}]}
            ),
            resource("aws:cloudwatch/eventBus:EventBus", logConfig={"level": "ERROR"}),
        ],
        failing=[
            resource("aws:sfn/stateMachine:StateMachine"),
            machine(level="OFF", logDestination="x"),
            machine(level="ERROR"),
            resource("aws:cloudwatch/eventBus:EventBus"),
        ],
        undecided=[machine(level=UNKNOWN, logDestination="x")],
        set_unknown=[machine(level="ERROR", logDestination=UNKNOWN)],
    ),
    "local-loopback-only": Case(
        passing=[
            service("-m", "mlops_runtime.serving", "{config}", config='{"port": 8080}'),
            service("-m", "mlflow", "server", "--host", "127.0.0.1"),
            service("--host=localhost", "--bind", "[::1]"),
            service(config='{"host": "127.0.0.2", "smtp": {"host": "mail.example.com"}}'),
            component("LocalPlatform", network={"bind": "127.0.0.1"}),
        ],
        failing=[
            service("-m", "mlflow", "server", "--host", "0.0.0.0"),
            service("--host=192.0.2.7"),
            service("--bind", "192.0.2.7", "--workers"),
            service(config='{"host": "::"}'),
            service("--host", "0.0.0.0", config=UNKNOWN),
            service(UNKNOWN, config='{"host": "0.0.0.0"}'),
            component("LocalPlatform", network={"bind": "0.0.0.0"}),
        ],
        undecided=[service(config=UNKNOWN)],
    ),
}
