"""How predictions are given: by REST, in batches, or on an edge device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pulumi_mlops.spec.base import Column, Cron, Duration, Name, SecretRef, Section, Size, off, repeated
from pulumi_mlops.spec.errors import Mistake
from pulumi_mlops.spec.platform import Port


class Capture(Section):
    """Record of requests and answers, which monitors read."""

    sample: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of requests recorded. Default: 0.1."""

    retention: Duration = Field(default="30d")  # type: ignore[assignment]
    """Age at which records are deleted. Default: 30d."""


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
