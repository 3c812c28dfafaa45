"""The command `mlops-runtime`: each step of the lifecycle, the pipeline of them, and the processes that serve it.

Every command imports its own libraries when it runs, and no others: a server never loads what training needs.
"""

from __future__ import annotations

import getpass
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

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
RunId = Annotated[str | None, typer.Option(help="Identifier of the run.")]


@app.command()
def pipeline(
    definition: DefinitionFile,
    trigger: Trigger = "manual",
    requested_by: RequestedBy = None,
    run_id: RunId = None,
    if_changed: Annotated[bool, typer.Option(help="Do nothing if definition, code and data are unchanged.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on the last line.")] = False,
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
    ) -> None:
        from mlops_runtime.errors import BadInputError
        from mlops_runtime.pipeline import records
        from mlops_runtime.pipeline.supervisor import read_definition
        from mlops_runtime.pipeline.worker import commit_of, execute
        from mlops_runtime.steps.base import Run

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
        typer.echo(outputs.model_dump_json())


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
def serve(config: ConfigFile) -> None:
    """Serve an endpoint over the Open Inference Protocol V2."""
    from mlops_runtime.serving import main as run

    raise typer.Exit(run(config))


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
    # Imported here: `serve` must start without pydantic, on which the steps' errors do not depend.
    from mlops_runtime.errors import StepError

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
