"""Settings of the platform `aws`: the account, what is there already, and what the stack is made with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from pulumi_mlops.spec.base import Duration, Section, Size, repeated
from pulumi_mlops.spec.errors import Mistake

_PARTITION: Final = r"arn:aws(-cn|-us-gov)?"

AccountId = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
"""An AWS account."""

Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-[0-9]$")]
"""A region of AWS."""

RoleArn = Annotated[str, StringConstraints(pattern=rf"^{_PARTITION}:iam::[0-9]{{12}}:role/[A-Za-z0-9_+=,.@/-]+$")]
"""An IAM role."""

KeyArn = Annotated[str, StringConstraints(pattern=rf"^{_PARTITION}:kms:[a-z0-9-]+:[0-9]{{12}}:key/[a-f0-9-]+$")]
"""A KMS key."""

BucketName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
"""An S3 bucket."""

EcrImage = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9][a-z0-9._/-]*"
        r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$"
    ),
]
"""A container image in Amazon ECR, the only registry that SageMaker pulls from, by tag, by digest, or both."""

Instance = Annotated[str, StringConstraints(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]
"""A SageMaker instance type, such as ml.m5.xlarge."""

LOG_DAYS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""Days that CloudWatch Logs can keep logs for (`PutRetentionPolicy`)."""


class AwsImages(Section):
    """Container images in Amazon ECR, built from `images/` (`mlops image`) or your own that hold the same packages."""

    job: EcrImage
    """Runs the pipeline's steps: the packages of `pulumi-mlops[job]`, and those of `code.requirements`."""

    serving: EcrImage
    """Serves ONNX models: the packages of `pulumi-mlops[serving]`."""

    serving_sklearn: EcrImage | None = None
    """Serves versions that do not convert to ONNX. Default: none; such versions are not deployed."""

    def by_tag(self) -> list[str]:
        """Fields whose image is not pinned by digest."""
        images = {name: getattr(self, name) for name in type(self).model_fields}
        return [name for name, image in images.items() if image is not None and "@sha256:" not in image]


class AwsStore(Section):
    """Where artefacts are kept."""

    bucket: BucketName | None = None
    """A bucket that exists: its encryption, versions, access and deletion are yours.
    Default: none; one is made, encrypted, versioned, and closed to the public."""

    log_bucket: BucketName | None = None
    """A bucket that exists and takes the access logs of the one that is made. Default: none; one is made."""

    def mistakes(self) -> Iterator[Mistake]:
        """Access logs are those of the bucket that is made."""
        if self.bucket is not None and self.log_bucket is not None:
            message = "log_bucket has no effect: the bucket exists, with its own settings"
            yield Mistake("MLOPS-S033", message, at=("log_bucket",), hint="Take it out.")


class AwsNetwork(Section):
    """The private network of jobs and endpoints: one that exists, or one that is made without a way to the internet."""

    vpc_id: Annotated[str, StringConstraints(pattern=r"^vpc-[0-9a-f]{8,17}$")] | None = None
    """A VPC that exists. It must reach S3, SageMaker (its API, Feature Store and MLflow), CloudWatch, KMS, STS and
    Secrets Manager, by VPC endpoints or otherwise, and the databases of sources.
    Default: none; one is made, with those endpoints, that reaches nothing else."""

    subnet_ids: list[Annotated[str, StringConstraints(pattern=r"^subnet-[0-9a-f]{8,17}$")]] = Field(
        default_factory=list
    )
    """Its private subnets. Default: none; needed with `vpc_id`."""

    cidr: Annotated[str, StringConstraints(pattern=r"^([0-9]{1,3}\.){3}[0-9]{1,3}/(1[6-9]|2[0-4])$")] = "10.64.0.0/16"
    """Addresses of the VPC that is made, /16 to /24. Default: 10.64.0.0/16."""

    zones: Annotated[int, Field(ge=1, le=4)] = 2
    """Availability zones of the VPC that is made, a subnet in each. Default: 2."""

    def mistakes(self) -> Iterator[Mistake]:
        """A VPC is given with its subnets, or made."""
        yield from repeated(self.subnet_ids, "subnet_ids")
        if self.vpc_id is not None and not self.subnet_ids:
            yield Mistake("MLOPS-S032", "a VPC that exists is given with its subnets", at=("subnet_ids",))
        if self.vpc_id is None and self.subnet_ids:
            yield Mistake("MLOPS-S032", "subnets are given with their VPC", at=("vpc_id",))
        for name in ("cidr", "zones"):
            if self.vpc_id is not None and name in self.model_fields_set:
                message = f"{name} has no effect: the VPC exists"
                yield Mistake("MLOPS-S033", message, at=(name,), hint="Take it out, or vpc_id.")


class AwsTracking(Section):
    """MLflow, managed by SageMaker, which records runs and versions."""

    server_arn: (
        Annotated[
            str,
            StringConstraints(
                pattern=rf"^{_PARTITION}:sagemaker:[a-z0-9-]+:[0-9]{{12}}:mlflow-tracking-server/[A-Za-z0-9-]+$"
            ),
        ]
        | None
    ) = None
    """A tracking server that exists. Default: none; one is made."""

    size: Literal["Small", "Medium", "Large"] = "Small"
    """Size of the server that is made. Default: Small (some 25 people)."""

    def mistakes(self) -> Iterator[Mistake]:
        """The size is that of the server that is made."""
        if self.server_arn is not None and "size" in self.model_fields_set:
            message = "size has no effect: the server exists"
            yield Mistake("MLOPS-S033", message, at=("size",), hint="Take it out, or server_arn.")


class AwsInstances(Section):
    """Instance types, where the smallest that holds what the spec asks for is not the right one."""

    job: Instance | None = None
    """Of the steps that prepare data, evaluate, score tables and monitor.
    Default: the smallest with `training.compute.cpu` and `memory`."""

    training: Instance | None = None
    """Of the step that trains. Default: the smallest with `training.compute`, GPUs included."""

    endpoint: Instance | None = None
    """Of endpoints. Default: the smallest with the endpoint's `resources`."""


class AwsRoles(Section):
    """IAM roles that exist and are used in place of those that are made; their policies are yours, and docs/aws.md
    lists what each must allow."""

    pipeline: RoleArn | None = None
    """Of the pipeline and its jobs. Default: none; one is made for each model."""

    endpoint: RoleArn | None = None
    """Of endpoints. Default: none; one is made for each."""

    monitor: RoleArn | None = None
    """Of monitors. Default: none; one is made for each."""

    deployment: RoleArn | None = None
    """Of the state machine that deploys versions. Default: none; one is made for each endpoint."""

    events: RoleArn | None = None
    """Of the rules and schedules that start pipelines and deployments. Default: none; one is made for each model."""


class AwsThroughput(Section):
    """Provisioned reads and writes of the online store (units of 4 KB and 1 KB a second)."""

    read: Annotated[int, Field(ge=1, le=10_000)]
    """Read capacity units of each feature group."""

    write: Annotated[int, Field(ge=1, le=10_000)]
    """Write capacity units of each feature group."""


class AwsFeatureStore(Section):
    """SageMaker Feature Store, which holds the views that are online."""

    throughput: AwsThroughput | None = None
    """Capacity of the online store. Default: none; on demand."""

    storage: Literal["Standard", "InMemory"] = "Standard"
    """Storage of the online store; InMemory answers faster and costs more. Default: Standard."""

    offline: bool = False
    """Keep the history of the online values in the bucket too, as a table of Glue that Athena reads; training reads
    the pipeline's own snapshots either way. Default: false."""

    def mistakes(self) -> Iterator[Mistake]:
        """Memory is not provisioned."""
        if self.storage == "InMemory" and self.throughput is not None:
            yield Mistake("MLOPS-S031", "the storage InMemory takes no throughput", at=("throughput",))


class Aws(Section):
    """The platform `aws`: SageMaker, S3, KMS, EventBridge, Step Functions and CloudWatch in one account and region."""

    account: AccountId
    """The account; the stack is refused in any other."""

    region: Region
    """The region."""

    assume_role: RoleArn | None = None
    """Role that is assumed to change the account, where the caller's own account is another one.
    Default: none; the caller's own rights count."""

    prefix: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,18}[a-z0-9]$")] = "mlops"
    """Beginning of the names of all that is made; two stacks in an account differ in it. Default: mlops."""

    production: bool = False
    """What production needs: images by digest only, stores that are kept when the stack is destroyed, two instances
    or more in two zones. Default: false."""

    images: AwsImages
    """Container images."""

    store: AwsStore = AwsStore()
    """Where artefacts are kept."""

    key_arn: KeyArn | None = None
    """A KMS key that exists, whose policy lets the account use it. Default: none; one is made, which is rotated."""

    network: AwsNetwork = AwsNetwork()
    """The private network of jobs and endpoints."""

    tracking: AwsTracking = AwsTracking()
    """Records of runs and versions."""

    instances: AwsInstances = AwsInstances()
    """Instance types."""

    workspace: Size = 30 * 2**30
    """Disk of a job for its working copy of the store. Default: 30Gi."""

    feature_store: AwsFeatureStore = AwsFeatureStore()
    """Latest feature values."""

    roles: AwsRoles = AwsRoles()
    """Roles that exist."""

    permissions_boundary: (
        Annotated[str, StringConstraints(pattern=rf"^{_PARTITION}:iam::([0-9]{{12}}|aws):policy/[A-Za-z0-9_+=,.@/-]+$")]
        | None
    ) = None
    """Policy that bounds every role that is made. Default: none."""

    oidc_provider_arn: (
        Annotated[str, StringConstraints(pattern=rf"^{_PARTITION}:iam::[0-9]{{12}}:oidc-provider/[a-z0-9./-]+$")] | None
    ) = None
    """IAM's provider of the tokens of CI (section `delivery`), where the account has it already: it can have one for
    each of GitHub and GitLab. Default: none; one is made."""

    tags: Annotated[
        dict[
            Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.:/=+@-]*$", max_length=128)],
            Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 _.:/=+@-]*$", max_length=256)],
        ],
        Field(max_length=8),
    ] = Field(default_factory=dict)
    """Tags of everything that is made, such as the platform's owner and a cost centre, beside the platform's name
    (`mlops:platform`), Pulumi's stack (`mlops:environment`), and those of a model (`governance.tags`).
    Default: none."""

    restrict_region: bool = True
    """Refuse the roles that are made every request to another region (`aws:RequestedRegion`). Default: true."""

    log_retention: Duration = Field(default="90d")  # type: ignore[assignment]
    """Age at which logs of endpoints and deployments are deleted (those of jobs are in log groups that all jobs of the
    account share; `mlops preflight` looks at their retention): days that CloudWatch Logs knows (1, 3, 5, 7, 14, 30,
    60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653). Default: 90d."""

    def mistakes(self) -> Iterator[Mistake]:
        """Days are CloudWatch's, what exists is in the account, and production keeps its promises."""
        if self.log_retention not in [timedelta(days=days) for days in LOG_DAYS]:
            yield Mistake("MLOPS-S014", "not a retention of CloudWatch Logs", at=("log_retention",), expected=_DAYS)
        for name in ("key_arn",):
            if (arn := getattr(self, name)) is not None and arn.split(":")[3] != self.region:
                yield Mistake("MLOPS-S031", f"it is in {arn.split(':')[3]}, the stack in {self.region}", at=(name,))
        for name in self.tags:
            if name.startswith(("aws:", "mlops:")):
                hint = "Choose one that does not begin with aws: or mlops:."
                message = "this label is reserved for the system that keeps it"
                yield Mistake("MLOPS-S015", message, at=("tags", name), hint=hint, on_key=True)
        if not self.production:
            return
        for name in self.images.by_tag():
            hint = "A tag can move: add @sha256:… as the registry shows it."
            yield Mistake("MLOPS-S060", "an image without digest in production", at=("images", name), hint=hint)
        if self.network.vpc_id is None and self.network.zones < 2:
            yield Mistake("MLOPS-S060", "one zone in production", at=("network", "zones"), hint="Set `zones: 2`.")
        if len(self.network.subnet_ids) == 1:
            hint = "Add a subnet in another zone."
            yield Mistake("MLOPS-S060", "one subnet in production", at=("network", "subnet_ids"), hint=hint)


_DAYS: Final = "one of " + ", ".join(f"{days}d" for days in LOG_DAYS)
