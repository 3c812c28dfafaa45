"""The command `mlops-runtime`: each step of the lifecycle, the pipeline of them, and the processes that serve it.

Every command imports its own libraries when it runs, and no others: a server never loads what training needs.
"""

from __future__ import annotations

import getpass
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mlops_runtime.errors import BadInputError, StepError, disk_full

app = typer.Typer(
    name="mlops-runtime",
    help="Steps and services of an MLOps stack. Platforms run these commands; `mlops` is the command for people.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DefinitionFile = Annotated[Path, typer.Option("--definition", help="Pipeline definition (JSON).")]
ConfigFile = Annotated[Path, typer.Option("--config", help="The service's configuration (JSON).")]
Trigger = Annotated[str, typer.Option(help="What started the run.")]
RequestedBy = Annotated[str | None, typer.Option(help="Who asked for the run. Default: the user.")]
EndpointName = Annotated[str, typer.Option("--endpoint", help="Name of the endpoint.")]
VersionNumber = Annotated[int | None, typer.Option("--version", help="Version. Default: the endpoint's deployed one.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on the last line.")]
RunId = Annotated[str | None, typer.Option(help="Identifier of the run.")]


@app.command()
def pipeline(
    definition: DefinitionFile,
    trigger: Trigger = "manual",
    requested_by: RequestedBy = None,
    run_id: RunId = None,
    if_changed: Annotated[bool, typer.Option(help="Do nothing if definition, code and data are unchanged.")] = False,
    json: Json = False,
) -> None:
    """Run all steps, or go on with an unfinished run.

    Exit codes: 0 succeeded, waits for approval, or nothing changed; 1 failed; 2 bad input; 10 bad data; 11 rejected;
    12 limit reached; 75 another run is under way.
    """
    from mlops_runtime.pipeline import run_pipeline

    def interrupt(number: int, _: Any) -> None:
        raise _SignalledError(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupt)
    result = run_pipeline(
        definition,
        run_id,
        trigger=trigger,
        requested_by=requested_by or getpass.getuser(),
        if_changed=if_changed,
        progress=_say,
    )
    summary = {
        "succeeded": f"pipeline: version {result.version} is live" if result.endpoints else "pipeline: succeeded",
        "pending": f"pipeline: {result.message}",
        "unchanged": f"pipeline: {result.message}",
    }.get(result.status)
    if summary:
        _say(summary)
    else:
        typer.echo(f"{result.status}: {result.message}", err=True)
    if json:
        typer.echo(result.model_dump_json())
    raise typer.Exit(result.exit_code)


def _add_step(name: str, summary: str) -> None:
    @app.command(name, help=f"Run the step {name} by itself: {summary}")
    def step(
        definition: DefinitionFile,
        run_id: RunId = None,
        trigger: Trigger = "manual",
        requested_by: RequestedBy = None,
        json: Json = False,
    ) -> None:
        from mlops_runtime.pipeline import records
        from mlops_runtime.pipeline.supervisor import ENVIRONMENT, read_definition
        from mlops_runtime.pipeline.worker import commit_of, execute
        from mlops_runtime.steps.base import Run

        os.environ.update({**ENVIRONMENT, **os.environ})
        content = read_definition(definition)
        run = Run(
            id=records.check_id(run_id) if run_id else records.new_id(),
            definition=content,
            trigger=trigger,
            requested_by=requested_by or getpass.getuser(),
            progress=_say,
            git_commit=commit_of(content.code.directory),
        )
        if run_id is None and name != "ingest":
            raise BadInputError(f"{name} works on what earlier steps made: give their run with --run-id")
        run.store.create()
        try:
            outputs = execute(run, name)
        except FileNotFoundError as error:
            if Path(str(error.filename)).name != "step.json":
                raise
            missing = Path(str(error.filename)).parent.name
            raise BadInputError(f"run {run.id} has no outputs of {missing}; run that step first") from None
        _result(outputs, json)


for _name, _summary in (
    ("ingest", "read every source into a versioned snapshot."),
    ("verify", "check the snapshots against what the spec promises."),
    ("featurize", "build training and held-out rows."),
    ("train", "fit the model."),
    ("evaluate", "compute metrics on the held-out rows."),
    ("validate", "judge the model."),
    ("register", "register the model's version and write its bundle."),
    ("deploy", "switch the endpoints to the version."),
):
    _add_step(_name, _summary)


@app.command()
def fingerprint(
    definition: DefinitionFile,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a digest of each source's data, which changes only if the data does.

    The definition may hold no more than store, code and sources.
    """
    from json import dumps

    from mlops_runtime.definition import DataDefinition
    from mlops_runtime.pipeline.supervisor import read_part
    from mlops_runtime.stores import sources

    content = read_part(DataDefinition, definition)
    found = {name: sources.fingerprint(content, name) for name in content.sources}
    typer.echo(dumps(found) if json else "\n".join(f"{name} {digest}" for name, digest in found.items()))


@app.command()
def serve(config: ConfigFile) -> None:
    """Serve an endpoint over the Open Inference Protocol V2."""
    from mlops_runtime.serving import main as run

    raise typer.Exit(run(config))


@app.command()
def monitor(config: ConfigFile) -> None:
    """Watch an endpoint: traffic, errors, latency, drift."""
    from mlops_runtime.monitoring import main as run

    raise typer.Exit(run(config))


@app.command()
def scheduler(config: ConfigFile) -> None:
    """Start runs by schedule, drift, new data and by hand, one after the other."""
    from mlops_runtime.scheduling import main as run

    raise typer.Exit(run(config))


@app.command()
def batch(
    definition: DefinitionFile, endpoint: EndpointName, version: VersionNumber = None, json: Json = False
) -> None:
    """Score the table of a batch endpoint, once for each version and snapshot."""
    from mlops_runtime.pipeline.supervisor import read_definition
    from mlops_runtime.steps.batch import score

    _result(score(read_definition(definition), endpoint, version=version, progress=_say), json)


@app.command()
def export(
    definition: DefinitionFile, endpoint: EndpointName, version: VersionNumber = None, json: Json = False
) -> None:
    """Write the bundle of an edge endpoint."""
    from mlops_runtime.pipeline.supervisor import read_definition
    from mlops_runtime.steps.export import export as write

    _result(write(read_definition(definition), endpoint, version=version, progress=_say), json)


@app.command()
def materialize(definition: DefinitionFile, json: Json = False) -> None:
    """Bring the feature store up to date: offline, and the latest values online."""
    from mlops_runtime.pipeline.supervisor import read_definition
    from mlops_runtime.steps.materialize import materialize as write

    _result({"entities": write(read_definition(definition), _say)}, json)


def _result(result: Any, wanted: bool) -> None:
    if wanted:
        from pydantic import TypeAdapter

        typer.echo(TypeAdapter(Any).dump_json(result).decode())


class _SignalledError(Exception):
    """The command was told to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _say(text: str) -> None:
    typer.echo(text)
    sys.stdout.flush()


def main() -> None:
    """Run the command; errors of the user's are one line, and the exit code says what kind."""
    try:
        app()
    except StepError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except _SignalledError as error:
        typer.echo(
            f"interrupted by {signal.Signals(error.number).name}; the next run goes on where this one was", err=True
        )
        sys.exit(128 + error.number)
    except Exception as error:
        if (full := disk_full(error)) is None:
            raise
        typer.echo(f"error: {full}", err=True)
        sys.exit(full.exit_code)
