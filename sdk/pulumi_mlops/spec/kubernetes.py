"""Settings of the platform `kubernetes`: the cluster, what is there already, and what the stack may use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pulumi_mlops.spec.base import Cpu, Name, SecretRef, Section, Size, Url, repeated
from pulumi_mlops.spec.errors import Mistake
from pulumi_mlops.spec.mail import Smtp

Object = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253)]
"""Name of a Kubernetes object (DNS subdomain, RFC 1123)."""

Image = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9._:/-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$"),
]
"""A container image by tag, by digest, or both."""

LabelKey = Annotated[str, StringConstraints(pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$")]
LabelValue = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$", max_length=63)]

Operator = Literal["argo-workflows", "external-secrets", "feast", "kserve", "kuberay", "kueue", "prometheus"]
"""An operator that the stack builds on."""


class Images(Section):
    """Container images, built from `images/` (`mlops image`) or your own that hold the same packages."""

    job: Image
    """Runs the pipeline's steps: the packages of `pulumi-mlops[job]`, and those of `code.requirements`."""

    serving: Image
    """Serves ONNX models: the packages of `pulumi-mlops[serving]`."""

    serving_sklearn: Image | None = None
    """Serves versions that do not convert to ONNX. Default: none; such versions are not deployed."""

    mlflow: Image | None = None
    """MLflow's server, with a driver for PostgreSQL and boto3. Default: none; needed unless `tracking.uri` is set."""

    postgres: Image | None = None
    """PostgreSQL for development. Default: none; needed with `tracking.volume`."""

    pull_secrets: list[Object] = Field(default_factory=list)
    """Existing Secrets with the credentials of the registries (type kubernetes.io/dockerconfigjson); every service
    account has them. Default: none."""

    def mistakes(self) -> Iterator[Mistake]:
        """Secrets differ."""
        yield from repeated(self.pull_secrets, "pull_secrets")

    def by_tag(self) -> list[str]:
        """Fields whose image is not pinned by digest."""
        images = {name: getattr(self, name) for name in type(self).model_fields if name != "pull_secrets"}
        return [name for name, image in images.items() if image is not None and "@sha256:" not in image]


class BucketStore(Section):
    """Where artefacts are kept: a bucket of any service that speaks S3."""

    uri: Annotated[
        str, StringConstraints(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_./-]*[A-Za-z0-9_-])?$")
    ]
    """`s3://BUCKET/PREFIX`; the bucket exists, the prefix is the stack's own."""

    endpoint_url: Url | None = None
    """Address of the service. Default: AWS."""

    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$")] = "us-east-1"
    """Region that requests are signed for. Default: us-east-1."""

    secret_name: Object | None = None
    """An existing Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Default: none; the service accounts'
    own identity counts (see `service_account_annotations`)."""


class ClusterTracking(Section):
    """MLflow, which records runs and versions."""

    uri: Url | None = None
    """A server that runs already, as the cluster reaches it. Default: none; one is made."""

    database: SecretRef | None = None
    """Connection string of PostgreSQL for the server that is made (`postgresql://…`). Default: none."""

    volume: Size | None = None
    """Size of the volume of a PostgreSQL in the namespace, for development: one replica, no backups. Default: none."""

    def mistakes(self) -> Iterator[Mistake]:
        """The records live in one place."""
        given = [name for name in ("uri", "database", "volume") if getattr(self, name) is not None]
        if len(given) > 1:
            yield Mistake("MLOPS-S031", f"{given[1]} and {given[0]} exclude each other", at=(given[1],))
        if not given:
            hint = "Add `volume: 5Gi` for development, or `database: secret:NAME/KEY`."
            yield Mistake("MLOPS-S032", "give one of uri, database, volume", hint=hint)


class OnlineStore(Section):
    """Where Feast keeps the latest feature values, and the server that answers for them."""

    kind: Literal["redis", "postgres"]
    """The database."""

    connection: SecretRef
    """Its connection string in Feast's form: `host:port,password=…` (redis), `postgresql://…` (postgres)."""

    registry: SecretRef
    """SQLAlchemy URL of the database of Feast's registry (`postgresql+psycopg://…`)."""

    replicas: Annotated[int, Field(ge=1)] = 1
    """Feature servers; at least 2 in production. Default: 1."""


class Quota(Section):
    """The most that the namespace may hold; a stack that asks for more is refused."""

    cpu: Cpu = 32.0
    """CPU cores requested by all pods. Default: 32."""

    memory: Size = 128 * 2**30
    """Memory requested by all pods. Default: 128Gi."""

    gpu: Annotated[int, Field(ge=0)] = 0
    """GPUs. Default: 0."""

    pods: Annotated[int, Field(ge=1)] = 100
    """Pods. Default: 100."""

    storage: Size = 500 * 2**30
    """Volumes, all together. Default: 500Gi."""


class Flavour(Section):
    """A kind of nodes that training may use (Kueue ResourceFlavor)."""

    node_labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels of the nodes. Default: any node."""

    spot: bool = False
    """Whether the nodes may be taken away at any time; only jobs with `training.compute.spot` go there.
    Default: false."""

    cpu: Cpu
    """CPU cores that jobs may use at a time."""

    memory: Size
    """Memory that jobs may use at a time."""

    gpu: Annotated[int, Field(ge=0)] = 0
    """GPUs that jobs may use at a time. Default: 0."""


class Queue(Section):
    """Where jobs wait for resources (Kueue)."""

    cluster_queue: Object | None = None
    """A ClusterQueue that exists. Default: none; one is made of `flavours`."""

    flavours: dict[Name, Flavour] = Field(default_factory=dict)
    """Kinds of nodes of the ClusterQueue that is made, the preferred first. Default: none."""

    def mistakes(self) -> Iterator[Mistake]:
        """The queue is given, or made of something."""
        if self.cluster_queue is not None and self.flavours:
            message = "flavours have no effect: the ClusterQueue exists"
            yield Mistake("MLOPS-S033", message, at=("flavours",), hint="Take them out, or cluster_queue.")
        if self.cluster_queue is None and not self.flavours:
            yield Mistake("MLOPS-S032", "give cluster_queue, or flavours to make one of")


class Gateway(Section):
    """The Gateway that endpoints with a public host name are reached through; TLS ends there."""

    name: Object
    """Name of the Gateway, which exists."""

    namespace: Object
    """Its namespace."""

    proxy_namespace: Object | None = None
    """Namespace of the proxies that carry its traffic, whose requests are let in. Default: the Gateway's."""


class Argo(Section):
    """Argo's server, which takes the events that start runs."""

    url: Url
    """Its address as the cluster reaches it (`https://argo-server.argo.svc:2746`)."""

    certificate: SecretRef | None = None
    """Certificate of the authority that signed the server's (PEM). Default: those that Alertmanager trusts."""


class Monitoring(Section):
    """Prometheus, Alertmanager and Grafana, which exist."""

    url: Url
    """Address of Prometheus as the cluster reaches it; canaries are judged by it."""

    namespace: Object = "monitoring"
    """Namespace of Prometheus and Alertmanager, whose scrapes are let in. Default: monitoring."""

    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels by which Prometheus selects monitors and rules. Default: none."""

    dashboard_labels: dict[LabelKey, LabelValue] = Field(default_factory=lambda: {"grafana_dashboard": "1"})
    """Labels by which Grafana's sidecar finds dashboards. Default: grafana_dashboard: "1"."""

    smtp: Smtp | None = None
    """Server that sends alerts by e-mail. Default: Alertmanager's own."""


class SecretStore(Section):
    """The store that External Secrets reads: `secret:NAME/KEY` is then the property KEY of the entry NAME there."""

    name: Object
    """Name of the store, which exists."""

    kind: Literal["SecretStore", "ClusterSecretStore"] = "ClusterSecretStore"
    """Its kind. Default: ClusterSecretStore."""


class Spot(Section):
    """How nodes that may be taken away at any time are told from others."""

    label: LabelKey = "karpenter.sh/capacity-type"
    """Label, and key of the taint, of such nodes. Default: karpenter.sh/capacity-type."""

    value: LabelValue = "spot"
    """Its value. Default: spot."""


class Kubernetes(Section):
    """The platform `kubernetes`: Argo Workflows, KServe, Kueue, Ray, Feast, MLflow and Prometheus in a namespace."""

    context: Annotated[str, StringConstraints(min_length=1)] | None = None
    """Context of the kubeconfig. Default: the current one, or the provider that the component is given."""

    namespace: Name = "mlops"
    """The namespace. Default: mlops."""

    create_namespace: bool = True
    """Make the namespace; false adopts one that exists. Default: true."""

    production: bool = False
    """What production needs: images by digest only, two replicas or more spread over zones, disruption budgets, no
    scaling to zero, no database for development. Default: false."""

    images: Images
    """Container images."""

    store: BucketStore
    """Where artefacts are kept."""

    tracking: ClusterTracking
    """Records of runs and versions."""

    online_store: OnlineStore | None = None
    """Latest feature values. Default: none; needed by views that are online."""

    workspace: Size = 20 * 2**30
    """Disk of a pipeline step for its working copy of the store. Default: 20Gi."""

    storage_class: Object | None = None
    """Storage class of volumes. Default: the cluster's."""

    quota: Quota = Quota()
    """The most that the namespace may hold."""

    queue: Queue | None = None
    """Where jobs wait for resources. Default: none; jobs start at once."""

    spot: Spot = Spot()
    """How nodes that may be taken away are told from others."""

    deployment_mode: Literal["Standard", "Knative"] = "Standard"
    """How KServe runs endpoints: as Deployments with a HorizontalPodAutoscaler, or as Knative services, which scale to
    zero. Default: Standard."""

    mesh: Literal["none", "istio"] = "none"
    """The service mesh that endpoints are in: Istio makes mutual TLS strict for them and lets only known namespaces
    call; it must run with its CNI plugin, as its init containers need more than Pod Security allows. Default: none."""

    gateway: Gateway | None = None
    """The Gateway of endpoints with a public host name. Default: none."""

    ingress_namespace: Object = "istio-system"
    """Namespace of Knative's ingress, whose requests are let in where `deployment_mode` is Knative.
    Default: istio-system."""

    argo: Argo | None = None
    """Argo's server. Default: none; needed by `retraining.triggers.drift`."""

    monitoring: Monitoring | None = None
    """Prometheus and its companions. Default: none; needed by monitors, alerts and canaries with limits."""

    secret_store: SecretStore | None = None
    """Where External Secrets reads what `secret:NAME/KEY` refers to. Default: none; the Secrets exist."""

    service_account_annotations: dict[LabelKey, str] = Field(default_factory=dict)
    """Annotations of every service account that reads the store, such as the role of a cloud's workload identity.
    Default: none."""

    oidc_prefix: str = "oidc:"
    """What the API server puts in front of names from a CI's OIDC tokens, for `delivery`. Default: oidc:."""

    install_operators: list[Operator] = Field(default_factory=list)
    """Operators that are installed by their Helm charts, cluster-wide. Default: none; they exist."""

    def mistakes(self) -> Iterator[Mistake]:
        """What is made has its image, and production keeps its promises."""
        yield from repeated(self.install_operators, "install_operators")
        if self.tracking.uri is None and self.images.mlflow is None:
            yield Mistake("MLOPS-S032", "the MLflow server that is made needs an image", at=("images", "mlflow"))
        if self.tracking.uri is not None and self.images.mlflow is not None:
            message = "mlflow has no effect: the server at tracking.uri runs already"
            yield Mistake("MLOPS-S033", message, at=("images", "mlflow"), hint="Take it out.")
        if self.tracking.volume is not None and self.images.postgres is None:
            yield Mistake("MLOPS-S032", "the PostgreSQL that is made needs an image", at=("images", "postgres"))
        if self.tracking.volume is None and self.images.postgres is not None:
            message = "postgres has no effect: without tracking.volume none is made"
            yield Mistake("MLOPS-S033", message, at=("images", "postgres"), hint="Take it out.")
        if "ingress_namespace" in self.model_fields_set and self.deployment_mode != "Knative":
            message = "ingress_namespace has no effect: Knative does not run the endpoints"
            yield Mistake("MLOPS-S033", message, at=("ingress_namespace",), hint="Take it out.")
        if not self.production:
            return
        for name in self.images.by_tag():
            hint = "A tag can move: add @sha256:… as the registry shows it."
            yield Mistake("MLOPS-S060", "an image without digest in production", at=("images", name), hint=hint)
        if self.tracking.volume is not None:
            message = "a database for development in production"
            yield Mistake("MLOPS-S060", message, at=("tracking", "volume"), hint="Give `database:` instead.")
        if self.online_store is not None and self.online_store.replicas < 2:
            hint = "Set `replicas: 2` or more."
            yield Mistake("MLOPS-S060", "one replica in production", at=("online_store", "replicas"), hint=hint)
