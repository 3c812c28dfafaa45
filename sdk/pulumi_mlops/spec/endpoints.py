"""How predictions are given: by REST, in batches, or on an edge device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pulumi_mlops.spec.base import Column, Cpu, Cron, Duration, Name, SecretRef, Section, Size, off, repeated
from pulumi_mlops.spec.errors import Mistake
from pulumi_mlops.spec.platform import Port


class Capture(Section):
    """Record of requests and answers, which monitors read."""

    sample: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of requests recorded. Default: 0.1."""

    retention: Duration = Field(default="30d")  # type: ignore[assignment]
    """Age at which records are deleted. Default: 30d."""


class Scale(Section):
    """How many servers answer."""

    min: Annotated[int, Field(ge=0)] = 1
    """Fewest replicas; 0 lets the endpoint sleep while nobody asks. Default: 1; on Kubernetes 2 in production, and
    outside of it 0 where Knative serves."""

    max: Annotated[int, Field(ge=1)] = 1
    """Most replicas. Default: 1; on Kubernetes 2 in production."""

    metric: Literal["cpu", "concurrency", "rps"] = "cpu"
    """What is kept at `target`: CPU use in per cent of what a replica asks for, or requests at a time or per second of
    one replica. Default: cpu; concurrency where Knative serves."""

    target: Annotated[int, Field(ge=1)] = 70
    """The value at which replicas are added. Default: 70; 100 requests where Knative serves (its own default)."""

    def mistakes(self) -> Iterator[Mistake]:
        """Bounds in order, and a share of CPU that can be met."""
        if self.min > self.max:
            yield Mistake("MLOPS-S030", f"min ({self.min}) is larger than max ({self.max})", at=("min",))
        if self.metric == "cpu" and self.target > 100:
            yield Mistake("MLOPS-S014", "per cent of the CPU asked for", at=("target",), expected="100 at most")

    def in_cluster(self, *, knative: bool, production: bool) -> Scale:
        """The same, with the defaults of a cluster for what is not set.

        Arguments:
            knative: whether Knative serves.
            production: whether it is for production.
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        metric = given.setdefault("metric", "concurrency" if knative else "cpu")
        given.setdefault("target", 70 if metric == "cpu" else 100)
        least = 2 if production else int(not (knative and metric != "cpu"))
        given.setdefault("min", min(least, given.get("max", least)))
        given.setdefault("max", max(1, given["min"]))
        return self.model_copy(update=given)


class Rollout(Section):
    """How a new version takes over: by steps, watched, and taken back where a limit is exceeded."""

    steps: Annotated[list[Annotated[int, Field(ge=1, le=99)]], Field(min_length=1)] = Field(
        default_factory=lambda: [10, 50]
    )
    """Per cent of the traffic that the new version gets, rising; after the last step it gets all. AWS knows one step of
    at most 50 (`[20]`), or equal steps of 10 to 50 (`[25, 50, 75]`). Default: 10, 50; on AWS 10."""

    interval: Duration = Field(default="5m")  # type: ignore[assignment]
    """How long each step is watched. Default: 5m."""

    max_error_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of server errors above which the version is taken back. Default: not watched; on AWS half."""

    max_latency_p99: Duration | None = None
    """99th percentile of the answer time above which the version is taken back. Default: not watched."""

    min_requests: Annotated[int, Field(ge=1)] = 20
    """Requests to the new version below which a step is not judged, and goes on. Default: 20."""

    def mistakes(self) -> Iterator[Mistake]:
        """Steps rise, and requests are counted for a limit."""
        if any(later <= earlier for earlier, later in zip(self.steps, self.steps[1:], strict=False)):
            yield Mistake("MLOPS-S030", "steps do not rise", at=("steps",))
        if "min_requests" in self.model_fields_set and self.max_error_rate is None and self.max_latency_p99 is None:
            message = "min_requests has no effect: no limit is watched"
            yield Mistake("MLOPS-S033", message, at=("min_requests",), hint="Take it out, or add a limit.")


class Shadow(Section):
    """Trial of a new version on copies of the requests, before it takes over; clients get the answers of the version
    before. It is taken back where it answers more than half of the copies with server errors."""

    sample: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the requests that are copied. Default: 1."""

    duration: Duration = Field(default="1h")  # type: ignore[assignment]
    """How long the trial lasts. Default: 1h."""


class Serverless(Section):
    """Servers that are there only while requests are answered, and paid by the second."""

    memory: Size = 2 * 2**30
    """Memory of a server, 1 to 6 whole GiB; CPU grows with it. Default: 2Gi."""

    max_concurrency: Annotated[int, Field(ge=1, le=200)] = 10
    """Most requests that are answered at a time; more are refused. Default: 10."""

    def mistakes(self) -> Iterator[Mistake]:
        """Sizes are SageMaker's (`ProductionVariantServerlessConfig`)."""
        if self.memory not in [size * 2**30 for size in range(1, 7)]:
            yield Mistake("MLOPS-S014", "not a size of a serverless server", at=("memory",), expected="1Gi to 6Gi")


class Resources(Section):
    """What one server asks for."""

    cpu: Cpu = 1.0
    """CPU cores. Default: 1."""

    memory: Size = 2**30
    """Memory; a server that needs more is stopped. Default: 1Gi."""


class _Endpoint(Section):
    name: Name
    """Name of the endpoint, different from the others'."""


class RestEndpoint(_Endpoint):
    """Online predictions over the Open Inference Protocol, version 2 (REST)."""

    kind: Literal["rest"]
    """`rest`: online predictions over HTTP."""

    port: Port = 8080
    """TCP port. Default: 8080."""

    capture: Annotated[Capture | None, BeforeValidator(off, json_schema_input_type=Capture | Literal[False] | None)] = (
        Capture()
    )
    """Record of requests and answers; false to record none."""

    enrichment: bool = False
    """Whether requests carry entity keys and the server adds the features from the online store. Default: false,
    requests carry all inputs."""

    token: SecretRef | None = None
    """Bearer token that requests must carry. Default: none."""

    max_request_size: Size = 2**20
    """Largest request body; larger ones are answered 413. Default: 1Mi."""

    max_rows: Annotated[int, Field(ge=1)] = 10_000
    """Most rows in a request. Default: 10000."""

    warm_up_requests: Annotated[int, Field(ge=0)] = 10
    """Predictions made with a new version before it takes traffic. Default: 10."""

    drain: Duration = Field(default="10s")  # type: ignore[assignment]
    """Time that running requests are given when the server stops. Default: 10s."""

    resources: Resources = Resources()
    """What one server asks for; for clusters."""

    scale: Scale = Scale()
    """How many servers answer; for clusters. Default: one."""

    rollout: Rollout | None = None
    """How a new version takes over; for clusters. Default: at once, when it is ready."""

    shadow: Shadow | None = None
    """Trial of a new version on copies of the requests; for AWS. Default: none."""

    serverless: Serverless | None = None
    """Servers that are there only while requests are answered; for AWS. Default: none, servers run all the time."""

    host: Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$", max_length=253)] | None = None
    """Public host name; for clusters. Default: none; the endpoint is reached from within the cluster."""


class BatchEndpoint(_Endpoint):
    """Scoring of a whole table to Parquet."""

    kind: Literal["batch"]
    """`batch`: a table is scored on a schedule."""

    source: Name
    """The source whose newest snapshot is scored; feature views are joined as in training."""

    schedule: Cron | None = None
    """When it is scored. Default: once for each version that is deployed, and by hand."""

    keep_columns: list[Column] = Field(default_factory=list)
    """Columns of the source that go into the output beside the predictions. Default: the source's key."""

    chunk_rows: Annotated[int, Field(ge=1)] = 100_000
    """Rows scored at a time. Default: 100000."""

    shards: Annotated[int, Field(ge=1, le=1000)] = 1
    """Pods or instances that score the table side by side, each its share of the rows into a file of its own; for
    clusters and AWS. Default: 1."""

    def mistakes(self) -> Iterator[Mistake]:
        """Columns differ."""
        yield from repeated(self.keep_columns, "keep_columns")


class EdgeEndpoint(_Endpoint):
    """A folder with the ONNX model and a manifest, which needs only ONNX Runtime."""

    kind: Literal["edge"]
    """`edge`: an ONNX bundle for devices."""

    archive: Literal["none", "tar.gz", "zip"] = "none"
    """Pack the folder beside it. Default: none."""

    sample_rows: Annotated[int, Field(ge=1, le=1000)] = 10
    """Rows with expected predictions in the bundle, for a self-test on the device. Default: 10."""


Endpoint = Annotated[RestEndpoint | BatchEndpoint | EdgeEndpoint, Field(discriminator="kind")]
"""One way of giving predictions, told apart by `kind`."""
