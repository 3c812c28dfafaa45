"""Predictions of a SageMaker endpoint, with the input that every platform's `mlops predict` takes."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from botocore.exceptions import ClientError

from pulumi_mlops.cli.aws.remote import Remote
from pulumi_mlops.cli.output import ExitCode, Failure
from pulumi_mlops.cli.predict import columns_of, document_of, endpoint_of, request_of, sample_of, show_predictions
from pulumi_mlops.platforms.aws.clients import talking

_POLL_SECONDS: Final = 5.0
_NOT_YET: Final = 503


def predict(
    remote: Remote, *, data: str | None, sample: bool, endpoint: str | None, wait: float, as_json: bool, **_: Any
) -> None:
    """See `mlops predict`.

    Raises:
        Failure: there is no model yet, or the server refuses the rows.
        AwsError: AWS refuses, or the endpoint is not there.
    """
    if sample == (data is not None):
        raise Failure("give either --data or --sample", code=ExitCode.USAGE)
    settings = endpoint_of(remote.spec, endpoint)
    deadline = time.monotonic() + wait
    while (pointer := remote.deployed(settings.name)) is None:
        if time.monotonic() >= deadline:
            hint = "`mlops status` tells what the stack does; --wait waits for a model."
            raise Failure(f"endpoint {settings.name} can't predict: no version is deployed yet", hint=hint)
        time.sleep(_POLL_SECONDS)
    manifest = remote.manifest(pointer.version) or {}
    columns = sample_of(manifest, pointer.version) if sample else columns_of(document_of(data or ""))
    # What is asked of a server that enriches are keys, which no input of the model describes.
    datatypes = {item["name"]: item["datatype"] for item in manifest.get("inputs", []) if "datatype" in item}
    answer = _ask(remote, settings.name, request_of(columns, datatypes), deadline)
    show_predictions(settings.name, columns, answer, manifest, as_json=as_json)


def _ask(remote: Remote, endpoint: str, request: dict[str, Any], deadline: float) -> dict[str, Any]:
    name = remote.endpoint(endpoint)
    while True:
        try:
            with talking(f"endpoint {name}"):
                answer = _invoke(remote, name, request)
        except _RefusedError as error:
            if error.status != _NOT_YET or time.monotonic() >= deadline:
                raise Failure(f"endpoint {endpoint} answered {error.status}: {error}", status=error.status) from error
            time.sleep(_POLL_SECONDS)
            continue
        made: dict[str, Any] = json.loads(answer["Body"].read())
        return made


def _invoke(remote: Remote, name: str, request: dict[str, Any]) -> Any:
    try:
        return remote.clients("sagemaker-runtime").invoke_endpoint(
            EndpointName=name, ContentType="application/json", Accept="application/json", Body=json.dumps(request)
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ModelError":
            raise
        raise _RefusedError(error.response) from error


class _RefusedError(Exception):
    """The model's server has answered with an error."""

    def __init__(self, response: Any) -> None:
        text = response.get("OriginalMessage") or response["Error"]["Message"]
        try:
            text = json.loads(text)["error"]
        except (ValueError, KeyError, TypeError):
            text = " ".join(str(text).split())
        super().__init__(text)
        self.status = int(response.get("OriginalStatusCode") or 500)
