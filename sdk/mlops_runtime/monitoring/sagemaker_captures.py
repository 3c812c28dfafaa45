"""Requests captured by SageMaker's data capture, as records in the form of our own.

SageMaker writes `<endpoint>/<variant>/<yyyy>/<mm>/<dd>/<hh>/*.jsonl` below the address it is given, one request a line:
`{"captureData": {"endpointInput": {"data", "encoding", …}, "endpointOutput": {…}}, "eventMetadata": {"inferenceTime",
…}}` (Amazon SageMaker AI Developer Guide, "Data capture"). The data are the bodies as the server took and gave them,
here of the Open Inference Protocol; they are decoded as the server decodes them, so that figures are the same wherever
a request was captured.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import orjson

from mlops_runtime.serving.bundle import Manifest
from mlops_runtime.serving.columns import Array
from mlops_runtime.serving.protocol import Decoder, RequestError

_NO_LIMIT: Final = 2**31


def is_native(document: dict[str, Any]) -> bool:
    """Whether a line was written by SageMaker."""
    return "captureData" in document


def record(document: dict[str, Any], decoder_of: Callable[[str], Decoder | None]) -> dict[str, Any] | None:
    """A line of SageMaker's as one of ours.

    Args:
        document: the line.
        decoder_of: gives the decoder of a version's requests; None where the version is not known, whose rows are then
            counted only.

    Returns:
        `ts`, `version`, `rows`, `inputs` and `outputs`, as in `mlops_runtime.serving.capture`; None for a request that
        was answered with an error.

    Raises:
        ValueError, LookupError, TypeError: the line has another form.
    """
    captured = document["captureData"]
    if "endpointOutput" not in captured:
        return None
    answer = orjson.loads(_data(captured["endpointOutput"]))
    if "outputs" not in answer:
        return None
    version = str(answer["model_version"])
    decoder = decoder_of(version)
    rows, inputs = _inputs(_data(captured["endpointInput"]), decoder)
    return {
        "ts": datetime.fromisoformat(document["eventMetadata"]["inferenceTime"]).timestamp(),
        "version": version,
        "rows": rows,
        "inputs": inputs,
        "outputs": {output["name"]: _by_row(output) for output in answer["outputs"]},
    }


def decoder(manifest: Manifest) -> Decoder:
    """The decoder of a version's requests, which takes whatever its server took.

    Args:
        manifest: the version's manifest.
    """
    return Decoder(manifest, max_rows=_NO_LIMIT, enrich=False)


def _data(message: dict[str, Any]) -> bytes:
    data = str(message["data"])
    return base64.b64decode(data, validate=True) if message.get("encoding") == "BASE64" else data.encode()


def _inputs(body: bytes, known: Decoder | None) -> tuple[int, dict[str, list[Any]]]:
    if known is None:
        return int(orjson.loads(body)["inputs"][0]["shape"][0]), {}
    try:
        request = known.decode(body)
    except RequestError as error:
        raise ValueError(error.message) from None
    # By way of JSON, as our own captures: numbers are those of the column's width, and a missing one is null.
    columns = {name: _flat(array) for name, array in request.columns.items()}
    return request.rows, dict(orjson.loads(orjson.dumps(columns, option=orjson.OPT_SERIALIZE_NUMPY)))


def _flat(array: Array) -> Any:
    values = array.ravel()
    return values.tolist() if values.dtype == object else values


def _by_row(output: dict[str, Any]) -> list[Any]:
    shape, data = output["shape"], output["data"]
    width = 1
    for size in shape[1:]:
        width *= size
    if width == 1:
        return list(data)
    return [data[start : start + width] for start in range(0, len(data), width)]
