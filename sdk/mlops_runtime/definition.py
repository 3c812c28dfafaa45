"""The pipeline definition: what a platform hands to the runtime, normalised from the spec.

One JSON document holds all that the steps need. Durations are seconds, sizes bytes, CPU cores; paths are absolute.
Meaning and defaults of the fields are documented once, in the spec's sections of the same names; here they have no
defaults, so a platform that forgets one is told so.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Identity(_Part):
    """Who owns the model and what it is for."""

    name: str
    owner: str
    contact: str | None
    purpose: str
    risk_tier: str
    limitations: list[str]
    licence: str
    tags: dict[str, str]


class Code(_Part):
    """The user's code, as archived for the run."""

    directory: Path
    include: list[str]
    requirements: list[str]


class ColumnCheck(_Part):
    """What one column must look like."""

    dtype: Literal["string", "int", "float", "bool", "datetime"] | None
    nullable: bool
    max_null_fraction: float | None
    unique: bool
    min: float | None
    max: float | None
    allowed: list[str | int | float | bool] | None
    pattern: str | None


class DistributionCheck(_Part):
    """Comparison with the last accepted snapshot."""

    statistic: Literal["psi", "ks"]
    threshold: float
    columns: list[str] | None


class SourceChecks(_Part):
    """What a whole snapshot must look like."""

    min_rows: int
    max_rows: int | None
    freshness: float | None
    allow_future: bool
    distribution: DistributionCheck | None


class Source(_Part):
    """A table and its checks."""

    uri: str
    kind: Literal["file", "package", "s3", "sql", "python"]
    format: Literal["csv", "parquet"] | None
    query: str | None
    table: str | None
    password: str | None
    endpoint_url: str | None
    transform: str | None
    timestamp: str | None
    key: list[str]
    incremental: bool
    columns: dict[str, ColumnCheck]
    checks: SourceChecks
    classification: Literal["public", "internal", "confidential", "personal", "special-category", "health"]
    purpose: str | None
    justification: str | None
    retention: float | None


class FeatureView(_Part):
    """Features of an entity, from a source."""

    source: str
    keys: list[str]
    features: list[str]
    transform: str | None
    ttl: float | None
    online: bool


class Window(_Part):
    """The stretch of time that rows are taken from."""

    start: datetime | None
    end: datetime | None
    last: float | None


class Split(_Part):
    """Division into training and held-out rows."""

    strategy: Literal["time", "random"]
    holdout: float


class Preprocessing(_Part):
    """Treatment of columns in front of an estimator."""

    numeric: Literal["none", "standard"]
    impute: Literal["none", "median", "mean"]
    categorical: Literal["onehot", "ordinal"]
    min_frequency: int


class Parameter(_Part):
    """Range of one parameter."""

    type: Literal["float", "int", "categorical"]
    low: float | None
    high: float | None
    log: bool
    choices: list[str | int | float | bool | None] | None


class Tuning(_Part):
    """Search for parameters."""

    space: dict[str, Parameter]
    trials: int
    parallel: int
    timeout: float | None
    folds: int
    pruner: Literal["none", "median"]


class Compute(_Part):
    """What a run may use."""

    cpu: float
    memory: int
    time_limit: float


class Distribution(_Part):
    """Training and tuning on a Ray cluster; `max_workers` beside its head, each with `gpu` GPUs."""

    max_workers: int
    gpu: int


class Training(_Part):
    """How a model is made."""

    task: Literal["binary", "multiclass", "regression"]
    source: str
    label: str
    positive_class: str | int | bool | None
    inputs: list[str]
    views: list[str]
    window: Window
    split: Split
    estimator: str | None
    params: dict[str, Any]
    function: str | None
    preprocessing: Preprocessing | None
    seed: int
    tuning: Tuning | None
    compute: Compute
    distribution: Distribution | None


class Segment(_Part):
    """A column whose values are evaluated each by itself."""

    column: str
    min_rows: int
    floors: dict[str, float]


class Bootstrap(_Part):
    """Confidence intervals."""

    resamples: int
    confidence: float


class Champion(_Part):
    """Comparison with the version that serves."""

    margin: float
    significance: float


class Evaluation(_Part):
    """Metrics and the gate. `metrics` maps each metric to whether a larger value is better."""

    metrics: dict[str, bool]
    primary: str
    threshold: float
    floors: dict[str, float]
    segments: list[Segment]
    bootstrap: Bootstrap
    champion: Champion | None
    calibration_bins: int
    importance: Literal["none", "permutation"]


class Card(_Part):
    """Parts of the model card written by hand."""

    intended_users: str | None
    ethical_considerations: str | None
    caveats: str | None


class Onnx(_Part):
    """Export to ONNX."""

    mode: Literal["auto", "required", "off"]
    tolerance: float
    rows: int


class Registry(_Part):
    """Versions, approval, export."""

    approval: Literal["automatic", "manual"]
    approvers: list[str]
    card: Card
    onnx: Onnx
    keep_versions: int | None


class Oversight(_Part):
    """Who watches the system while it is used."""

    role: str
    contact: str


class Retention(_Part):
    """The least time for which evidence is kept."""

    technical_file: float | None


class Governance(_Part):
    """What the owner promises about the model, as far as runs have to do with it."""

    frameworks: list[str]
    oversight: Oversight | None
    review_by: date | None
    impact_assessment: str | None
    retention: Retention


class Rollout(_Part):
    """Steps of a canary: per cent of the traffic, each for `interval`; limits that take the version back."""

    steps: list[int]
    interval: float
    max_error_rate: float | None
    max_latency_p99: float | None
    min_requests: int


class InferenceService(_Part):
    """The KServe object that serves an endpoint. `runtimes` are the ServingRuntimes by the bundle's runtime (`onnx`,
    `sklearn`); `prometheus` is where queries are answered."""

    namespace: str
    name: str
    runtimes: dict[str, str]
    prometheus: str | None
    rollout: Rollout


class RestEndpoint(_Part):
    """An endpoint that the deploy step switches: a server that follows the store, or a KServe InferenceService."""

    name: str
    kind: Literal["rest"]
    enrichment: bool
    inference_service: InferenceService | None


class BatchEndpoint(_Part):
    """A table to score."""

    name: str
    kind: Literal["batch"]
    source: str
    schedule: str | None
    keep_columns: list[str]
    chunk_rows: int
    shards: int

    @property
    def follows_deployment(self) -> bool:
        """Whether the deployment of a version scores the table; shards, which are pods, are the orchestrator's."""
        return self.schedule is None and self.shards == 1


class EdgeEndpoint(_Part):
    """A bundle to export."""

    name: str
    kind: Literal["edge"]
    archive: Literal["none", "tar.gz", "zip"]
    sample_rows: int
    signing_key: str | None = None
    """KMS key that signs bundles; only AWS has one."""


class Bucket(_Part):
    """Where the store is kept (`s3://BUCKET/PREFIX`), of which `store` is then a working copy."""

    uri: str
    endpoint_url: str | None


class OnlineStore(_Part):
    """Feast's online store, where it is not SQLite in the store; `connection` and `registry` are references to secrets
    (`file:PATH`) with the connection string and the URL of Feast's registry (SQLAlchemy's) in them."""

    kind: Literal["redis", "postgres"]
    project: str
    connection: str
    registry: str


class FeatureGroups(_Part):
    """SageMaker Feature Store as the online store: `groups` are the feature groups by view."""

    kind: Literal["sagemaker"]
    groups: dict[str, str]


class DataDefinition(_Part):
    """All that reading the sources needs."""

    store: Path
    bucket: Bucket | None
    code: Code
    sources: dict[str, Source]


class Definition(DataDefinition):
    """All that the pipeline needs."""

    identity: Identity
    tracking_uri: str | None
    online_store: OnlineStore | FeatureGroups | None
    min_free_disk: int
    views: dict[str, FeatureView]
    training: Training
    evaluation: Evaluation
    registry: Registry
    governance: Governance
    endpoints: list[RestEndpoint | BatchEndpoint | EdgeEndpoint]

    def decides_model(self) -> dict[str, Any]:
        """The part that decides the model and its card: all but where runs happen, what they may use, where versions go
        and how long they stay."""
        return self.model_dump(
            mode="json",
            exclude={
                "store": True,
                "bucket": True,
                "tracking_uri": True,
                "online_store": True,
                "min_free_disk": True,
                "endpoints": True,
                "code": {"directory"},
                "training": {"compute", "distribution"},
                "registry": {"approval", "approvers", "keep_versions"},
                "governance": {"retention"},
            },
        )


def load(path: Path) -> Definition:
    """Read a pipeline definition.

    Raises:
        OSError: the file can't be read.
        pydantic.ValidationError: the document is not a pipeline definition.
    """
    return Definition.model_validate_json(path.read_bytes())
