"""The command `predict`: rows in, predictions of a running endpoint out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pulumi_mlops.cli.http import ask
from pulumi_mlops.cli.output import ExitCode, Failure, print_json, print_text, style
from pulumi_mlops.cli.stack import DEFAULT_SPEC, AsJson, Environment, SpecFile, Stack, on_a_stack
from pulumi_mlops.cli.tables import print_table
from pulumi_mlops.spec.endpoints import RestEndpoint

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec

_POLL_SECONDS: Final = 0.2
_SHOWN_INPUTS: Final = 5


@on_a_stack
def predict(
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", help="Rows as JSON, @FILE or - (standard input): an object, a list or columns."),
    ] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Predict the rows that the version carries.")] = False,
    endpoint: Annotated[str | None, typer.Option(help="REST endpoint. Default: the spec's first.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for a model to be served.")] = 0.0,
    spec: SpecFile = DEFAULT_SPEC,
    environment: Environment = None,
    as_json: AsJson = False,
) -> None:
    """Ask a running endpoint for predictions.

    Example: mlops predict --data '{"dep_hour": 17, "carrier": "UA"}'
    """
    if sample == (data is not None):
        raise Failure("give either --data or --sample", code=ExitCode.USAGE)
    stack = Stack.open(spec, environment)
    settings = endpoint_of(stack.spec, endpoint)
    metadata = _served(stack, settings, wait)
    if sample:
        number = int(metadata["versions"][0])
        columns = sample_of(stack.bundle_manifest(number), number)
    else:
        columns = columns_of(document_of(data or ""))
    request = request_of(columns, {item["name"]: item["datatype"] for item in metadata["inputs"]})
    status, answer = ask(
        settings.port, f"/v2/models/{stack.model}/infer", request, token=_token(stack, settings), timeout=60.0
    )
    if status != 200:
        told = answer.get("error", answer) if isinstance(answer, dict) else answer
        raise Failure(f"endpoint {settings.name} answered {status}: {told}", status=status)
    manifest = stack.bundle_manifest(int(answer["model_version"]))
    show_predictions(settings.name, columns, answer, manifest, as_json=as_json)


def show_predictions(
    endpoint: str,
    columns: dict[str, list[Any]],
    answer: dict[str, Any],
    manifest: dict[str, Any] | None,
    *,
    as_json: bool,
) -> None:
    """Show an endpoint's answer.

    Arguments:
        endpoint: name of the endpoint.
        columns: what was asked.
        answer: the answer (Open Inference Protocol, version 2).
        manifest: what the version's bundle says, for the names of classes.
        as_json: print JSON.
    """
    predictions = _predictions(answer, manifest)
    outcome = {
        "endpoint": endpoint,
        "model": answer["model_name"],
        "version": int(answer["model_version"]),
        "predictions": predictions,
    }
    if as_json:
        print_json(outcome)
        return
    shown = list(columns)[:_SHOWN_INPUTS]
    rows = [
        [*(columns[name][place] for name in shown), *prediction.values()]
        for place, prediction in enumerate(predictions)
    ]
    headings = [*shown, *(f"→ {name}" for name in predictions[0])] if predictions else shown
    print_table(headings, rows)
    print_text(style(f"{outcome['model']} version {outcome['version']}, endpoint {endpoint}", "dim"))


def request_of(columns: dict[str, list[Any]], datatypes: Mapping[str, str]) -> dict[str, Any]:
    """A request for predictions (Open Inference Protocol, version 2).

    Arguments:
        columns: values by input.
        datatypes: datatypes of the inputs, as far as they are known; of others they are told from the values.
    """
    return {"inputs": [_tensor(name, values, datatypes.get(name)) for name, values in columns.items()]}


def columns_of(document: Any) -> dict[str, list[Any]]:
    """Columns from a row, a list of rows, or columns.

    Raises:
        Failure: the document is none of them; the message says what is wrong with it.
    """
    if isinstance(document, dict) and document and all(isinstance(values, list) for values in document.values()):
        lengths = {name: len(values) for name, values in document.items()}
        if len(set(lengths.values())) > 1:
            raise Failure(f"the columns have different lengths: {lengths}", code=ExitCode.USAGE)
        return document
    rows = [document] if isinstance(document, dict) else document
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and row for row in rows):
        raise Failure(
            "the data is no row, list of rows or table of columns",
            hint='Such as {"x": 1}, [{"x": 1}, {"x": 2}] or {"x": [1, 2]}.',
            code=ExitCode.USAGE,
        )
    names = list(dict.fromkeys(name for row in rows for name in row))
    for place, row in enumerate(rows):
        if missing := [name for name in names if name not in row]:
            raise Failure(f"row {place} lacks {', '.join(missing)}", hint="Write null for a missing value.")
    return {name: [row[name] for row in rows] for name in names}


def document_of(data: str) -> Any:
    """What `--data` gives: JSON, a file's or standard input's.

    Raises:
        Failure: it is not JSON.
        OSError: the file can't be read.
    """
    if data == "-":
        text, where = sys.stdin.read(), "standard input"
    elif data.startswith("@"):
        text, where = Path(data[1:]).read_text(encoding="utf-8"), data[1:]
    else:
        text, where = data, "--data"
    try:
        return json.loads(text)
    except ValueError as error:
        raise Failure(f"{where} is not JSON: {error}", code=ExitCode.USAGE) from None


def endpoint_of(spec: Spec, name: str | None) -> RestEndpoint:
    """A REST endpoint of a spec, or its first.

    Raises:
        Failure: there is none, or none of this name.
    """
    known = [endpoint for endpoint in spec.endpoints if isinstance(endpoint, RestEndpoint)]
    for endpoint in known:
        if name in (None, endpoint.name):
            return endpoint
    if name is None:
        raise Failure("the spec has no rest endpoint", hint="Batch endpoints are scored by `mlops batch`.")
    names = ", ".join(endpoint.name for endpoint in known) or "none"
    raise Failure(f"{name} is no rest endpoint of the spec", hint=f"Rest endpoints: {names}.")


def _served(stack: Stack, endpoint: RestEndpoint, wait: float) -> dict[str, Any]:
    """What the server says of the model, once it serves one."""
    deadline = time.monotonic() + wait
    while True:
        try:
            status, answer = ask(endpoint.port, f"/v2/models/{stack.model}")
        except OSError:
            why, hint = f"nothing answers on port {endpoint.port}", "Is the stack up? `mlops status` tells."
        else:
            if status == 200 and isinstance(answer, dict) and answer.get("versions"):
                return answer
            told = answer.get("error", answer) if isinstance(answer, dict) else answer
            why, hint = (
                f"it answers {status}: {told}",
                "`mlops status` tells what the stack does; --wait waits for a model.",
            )
        if time.monotonic() >= deadline:
            raise Failure(f"endpoint {endpoint.name} can't predict: {why}", hint=hint)
        time.sleep(_POLL_SECONDS)


def sample_of(manifest: dict[str, Any] | None, version: int) -> dict[str, list[Any]]:
    """Rows that a version carries.

    Raises:
        Failure: it carries none.
    """
    inputs: dict[str, list[Any]] = (manifest or {}).get("sample", {}).get("inputs") or {}
    if not inputs:
        raise Failure(f"version {version} carries no sample", hint="Give rows with --data.")
    return inputs


def _tensor(name: str, values: list[Any], datatype: str | None) -> dict[str, Any]:
    if datatype is None:
        kinds = {type(value) for value in values if value is not None}
        datatype = (
            "BOOL" if kinds == {bool} else "INT64" if kinds == {int} else "FP64" if kinds <= {int, float} else "BYTES"
        )
    return {"name": name, "shape": [len(values), 1], "datatype": datatype, "data": values}


def _token(stack: Stack, endpoint: RestEndpoint) -> str | None:
    if endpoint.token is None:
        return None
    config = json.loads((stack.store.services / f"{endpoint.name}.json").read_bytes())
    return Path(config["auth_token_file"]).read_text().strip()


def _predictions(answer: dict[str, Any], manifest: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The answer's tensors by row: `prediction`, and `probability_<class>` where there are classes."""
    columns: dict[str, list[Any]] = {}
    for output in answer["outputs"]:
        rows, width = output["shape"][0], output["shape"][1] if len(output["shape"]) > 1 else 1
        if output["name"] == "probabilities":
            classes = (manifest or {}).get("classes") or [str(place) for place in range(width)]
            for place, name in enumerate(classes):
                columns[f"probability_{name}"] = output["data"][place::width]
        else:
            columns["prediction" if output["name"] == "label" else output["name"]] = output["data"][:rows]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
