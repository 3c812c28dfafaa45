"""The command `mlops-runtime`: each step of the lifecycle, the pipeline of them, and the processes that serve it.

Every command imports its own libraries when it runs, and no others: a server never loads what training needs.
"""

from __future__ import annotations

import getpass
import os
import signal
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops_runtime.errors import BadInputError, SignalledError, StepError, disk_full

if TYPE_CHECKING:
    from mlops_runtime.steps.base import Run

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
ScoringPlan = Annotated[str, typer.Option("--scoring", metavar="JSON", help="What is scored, as batch-plan wrote it.")]
Shards = Annotated[int, typer.Option("--shards", min=1, help="How many shards there are.")]
RunId = Annotated[str | None, typer.Option(help="Identifier of the run.")]
GitCommit = Annotated[str | None, typer.Option(help="Commit of the user's code. Default: that of its repository.")]
OutputsFolder = Annotated[
    Path | None, typer.Option("--outputs", help="Folder for a file for each output that is a single value.")
]


class Status(Enum):
    """How Argo says that a workflow ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ERROR = "Error"


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

    _heed_signals()
    result = run_pipeline(
        definition,
        run_id,
        trigger=trigger,
        requested_by=requested_by or _user(),
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
        git_commit: GitCommit = None,
        outputs: OutputsFolder = None,
        json: Json = False,
    ) -> None:
        if run_id is None and name != "ingest":
            raise BadInputError(f"{name} works on what earlier steps made: give their run with --run-id")
        _step(_run(definition, run_id, trigger, requested_by, git_commit), name, outputs, json)


def _step(run: Run, name: str, outputs: Path | None, json: bool) -> None:
    from mlops_runtime.pipeline.single import run_step

    _heed_signals()
    _result(run_step(run, name, outputs), json)


for _name, _summary in (
    ("ingest", "read every source into a versioned snapshot."),
    ("verify", "check the snapshots against what the spec promises."),
    ("featurize", "build training and held-out rows."),
    ("evaluate", "compute metrics on the held-out rows."),
    ("validate", "judge the model."),
    ("register", "register the model's version and write its bundle."),
    ("deploy", "switch the endpoints to the version."),
):
    _add_step(_name, _summary)


@app.command()
def train(
    definition: DefinitionFile,
    run_id: Annotated[str, typer.Option(help="Identifier of the run.")],
    trigger: Trigger = "manual",
    requested_by: RequestedBy = None,
    git_commit: GitCommit = None,
    outputs: OutputsFolder = None,
    ray: Annotated[
        bool, typer.Option("--ray", help="Fit on the workers of the Ray cluster that this is part of.")
    ] = False,
    json: Json = False,
) -> None:
    """Run the step train by itself: fit the model."""
    content = _run(definition, run_id, trigger, requested_by, git_commit)
    if ray:
        from mlops_runtime.steps.distributed import connect

        connect(content.definition)
    _step(content, "train", outputs, json)


@app.command()
def admit(
    definition: DefinitionFile,
    outputs: OutputsFolder = None,
    trigger: Trigger = "manual",
    run_id: RunId = None,
    cooldown: Annotated[
        float | None, typer.Option(help="Seconds since the last run's start in which none is made, unless by hand.")
    ] = None,
    new_data: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Source that must have changed since it was read last; empty: none must."),
    ] = None,
) -> None:
    """Decide whether a triggered run is made: `go` (`true` or `false`) is written to the outputs."""
    from mlops_runtime.pipeline.admission import admit as decide
    from mlops_runtime.pipeline.single import write_outputs
    from mlops_runtime.pipeline.supervisor import read_definition

    content = read_definition(definition)
    answer = decide(content, trigger=trigger, run_id=run_id, cooldown=cooldown, new_data=new_data or None)
    _say(f"admit: {'run' if answer.go else 'no run'}: {answer.reason}")
    if outputs is not None:
        write_outputs(outputs, {"go": answer.go})


@app.command()
def finish(
    definition: DefinitionFile,
    run_id: Annotated[str, typer.Option(help="Identifier of the run.")],
    status: Annotated[Status, typer.Option(help="How the workflow ended.")],
    failures: Annotated[str, typer.Option(metavar="JSON", help="Argo's list of the nodes that failed.")] = "",
    trigger: Trigger = "manual",
    requested_by: RequestedBy = None,
    git_commit: GitCommit = None,
) -> None:
    """Record the end of a run whose steps were run by themselves."""
    from mlops_runtime.pipeline.ending import finish as end

    ending = end(_run(definition, run_id, trigger, requested_by, git_commit), status.value, failures)
    _say(": ".join(part for part in ("finish", ending.outcome, ending.message) if part))


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
def serve(
    config: Annotated[
        Path | None,
        typer.Option("--config", help="The endpoint's config (JSON). Default: that of SageMaker's container."),
    ] = None,
) -> None:
    """Serve an endpoint over the Open Inference Protocol V2."""
    from mlops_runtime.serving import main as run

    raise typer.Exit(run(config))


@app.command()
def monitor(
    config: ConfigFile,
    once: Annotated[bool, typer.Option("--once", help="Judge the windows that are over, and end.")] = False,
) -> None:
    """Watch an endpoint: traffic, errors, latency, drift."""
    from mlops_runtime.monitoring import main

    raise typer.Exit(main(config, once=once))


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
    from mlops_runtime.pipeline.single import run_command
    from mlops_runtime.pipeline.supervisor import read_definition
    from mlops_runtime.steps.batch import score

    content = read_definition(definition)

    def work() -> Any:
        return score(content, endpoint, version=version, progress=_say)

    _result(run_command(content, "batch", work, endpoint=endpoint, version=version), json)


@app.command()
def batch_plan(
    definition: DefinitionFile,
    endpoint: EndpointName,
    version: VersionNumber = None,
    outputs: OutputsFolder = None,
    json: Json = False,
) -> None:
    """Say what the shards of a batch endpoint have to score.

    Written to the outputs: `go` (`true` or `false`: it was scored already), and `scoring` for the other two commands.
    """
    from mlops_runtime.pipeline.single import run_command, write_outputs
    from mlops_runtime.pipeline.supervisor import read_definition
    from mlops_runtime.steps.batch_shards import plan

    content = read_definition(definition)

    def work() -> Any:
        return plan(content, endpoint, version=version, progress=_say)

    found = run_command(content, "batch-plan", work, endpoint=endpoint, version=version)
    if outputs is not None:
        write_outputs(outputs, {"go": found is not None, "scoring": found.model_dump_json() if found else ""})
    _result(found, json)


@app.command()
def batch_shard(
    definition: DefinitionFile,
    endpoint: EndpointName,
    scoring: ScoringPlan,
    shard: Annotated[int, typer.Option(min=0, help="Number of the shard, from 0.")],
    shards: Shards,
    json: Json = False,
) -> None:
    """Score one share of a batch endpoint's rows into a file of its own; what stands already is left alone."""
    from mlops_runtime.pipeline.single import run_command
    from mlops_runtime.pipeline.supervisor import read_definition
    from mlops_runtime.steps.batch_shards import score_shard
    from mlops_runtime.steps.batch_task import Scoring

    content, planned = read_definition(definition), Scoring.parse(scoring)

    def work() -> Any:
        return score_shard(content, endpoint, planned, shard, shards, progress=_say)

    about = {"endpoint": endpoint, "scoring": planned, "shards": shards, "shard": shard}
    _result(run_command(content, "batch-shard", work, **about), json)


@app.command()
def batch_gather(
    definition: DefinitionFile, endpoint: EndpointName, scoring: ScoringPlan, shards: Shards, json: Json = False
) -> None:
    """Complete what all shards of a batch endpoint have scored: write the manifest of the result."""
    from mlops_runtime.pipeline.single import run_command
    from mlops_runtime.pipeline.supervisor import read_definition
    from mlops_runtime.steps.batch_shards import gather
    from mlops_runtime.steps.batch_task import Scoring

    content, planned = read_definition(definition), Scoring.parse(scoring)

    def work() -> Any:
        return gather(content, endpoint, planned, shards, progress=_say)

    _result(run_command(content, "batch-gather", work, endpoint=endpoint, scoring=planned, shards=shards), json)


@app.command()
def rollback(
    definition: DefinitionFile,
    by: Annotated[str, typer.Option(help="Who asks for it, for the record.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    to: Annotated[int, typer.Option(min=0, help="Version to go to. Default: 0, the one deployed before.")] = 0,
    outputs: OutputsFolder = None,
    json: Json = False,
) -> None:
    """Go back to the version deployed before, or to another that was deployed, on every endpoint.

    Written to the outputs: `version`, and `endpoints` (JSON: what happened to each of them).
    """
    from json import dumps

    from mlops_runtime.pipeline.single import run_command, write_outputs
    from mlops_runtime.pipeline.supervisor import read_definition
    from mlops_runtime.release import roll_back

    content = read_definition(definition)
    _heed_signals()

    def work() -> Any:
        return roll_back(content, by=by, reason=reason, to=to or None, progress=_say)

    switches = run_command(content, "rollback", work, version=to or None)
    if outputs is not None:
        write_outputs(outputs, {"version": switches[0].version, "endpoints": dumps([vars(each) for each in switches])})
    _result(switches, json)


@app.command()
def export(
    definition: DefinitionFile, endpoint: EndpointName, version: VersionNumber = None, json: Json = False
) -> None:
    """Write the bundle of an edge endpoint."""
    from mlops_runtime.pipeline.single import run_command
    from mlops_runtime.pipeline.supervisor import read_definition
    from mlops_runtime.steps.export import export as write

    content = read_definition(definition)

    def work() -> Any:
        return write(content, endpoint, version=version, progress=_say)

    _result(run_command(content, "export", work, endpoint=endpoint, version=version), json)


@app.command()
def materialize(definition: DefinitionFile, json: Json = False) -> None:
    """Bring the feature store up to date: offline, and the latest values online."""
    from mlops_runtime.pipeline.single import run_command
    from mlops_runtime.pipeline.supervisor import read_definition
    from mlops_runtime.steps.materialize import materialize as write

    content = read_definition(definition)
    _result({"entities": run_command(content, "materialize", lambda: write(content, _say))}, json)


@app.command()
def job(
    steps: Annotated[list[str], typer.Argument(help="Steps of the run, in order; admit may be the first.")],
    run_id: Annotated[str, typer.Option(help="Identifier of the run.")],
    trigger: Trigger = "manual",
    requested_by: RequestedBy = None,
    git_commit: GitCommit = None,
    pipeline: Annotated[
        str | None, typer.Option(help="SageMaker pipeline whose earlier executions admit waits for.")
    ] = None,
    cooldown: Annotated[float, typer.Option(help="See admit; 0: none.")] = 0,
    new_data: Annotated[str, typer.Option(metavar="SOURCE", help="See admit; -: none.")] = "-",
    image: Annotated[
        list[str] | None, typer.Option(metavar="RUNTIME=IMAGE", help="Image that serves what runs on a runtime.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="SageMaker starts the job again if it interrupts it.")] = False,
    overdue: Annotated[
        str | None, typer.Option(metavar="SCHEDULE", help="Schedule that tells of overdue runs, to put off.")
    ] = None,
) -> None:
    """Run steps in a job of SageMaker, one after the other: inputs `definition` and `code`, output `outputs.json`."""
    from mlops_runtime.sagemaker.container import Container
    from mlops_runtime.sagemaker.job import Admit, Job

    _heed_signals()
    container = Container.here()
    Job(
        container=container,
        run=_run(container.definition, run_id, trigger, requested_by, git_commit),
        steps=steps,
        admit=None if pipeline is None else Admit(pipeline, cooldown or None, None if new_data == "-" else new_data),
        images=dict(each.partition("=")[::2] for each in image or []),
        again=again,
        overdue=overdue,
    ).work()


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def task(context: typer.Context, command: Annotated[str, typer.Argument(help="Another of these commands.")]) -> None:
    """Run another command in a job of SageMaker, with the inputs `definition` and `config` as its options."""
    from mlops_runtime.sagemaker.container import Container

    container = Container.here()
    files = {"--config": container.input("config")}
    if container.input("definition") is not None:
        files["--definition"] = container.definition
    given = [word for option, path in files.items() if path is not None for word in (option, str(path))]
    raise typer.Exit(app([command, *given, *context.args], standalone_mode=False) or 0)


@app.command()
def follow_up(
    definition: DefinitionFile,
    action: Annotated[str, typer.Option(help="deploy, rollback or refuse: what became of the version.")],
    by: Annotated[str, typer.Option(help="Who asked for it, for the record.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    endpoint: Annotated[str, typer.Option(help="Endpoint that was switched; -: the model has none that is.")] = "-",
    version: Annotated[str, typer.Option(help="The version; -: that of the package.")] = "-",
    package: Annotated[str, typer.Option(help="ARN of the version's model package; -: the version is given.")] = "-",
) -> None:
    """Do what follows a deployment that SageMaker has made: note it, export for devices, score tables."""
    from mlops_runtime.pipeline.single import run_command
    from mlops_runtime.pipeline.supervisor import read_definition
    from mlops_runtime.sagemaker import follow_up as following

    content = read_definition(definition)
    event = following.Event.parse(action, version, package, endpoint=endpoint, by=by, reason=reason)
    run_command(content, "follow-up", lambda: following.follow_up(content, event, _say), version=event.version)


@app.command()
def expire_captures(
    uri: Annotated[str, typer.Option(help="Captured requests of an endpoint: s3://BUCKET/PREFIX.")],
    days: Annotated[float, typer.Option(min=0, help="Age at which they are deleted.")],
) -> None:
    """Delete captured requests that have been kept for long enough, from a bucket."""
    from mlops_runtime.sagemaker.captures import expire

    _say(f"captures: {expire(uri, days)} objects older than {days:g} days deleted from {uri}")


@app.command()
def shards_plan(definition: DefinitionFile, endpoint: EndpointName) -> None:
    """Say in a job of SageMaker what its instances have to score: `go` and `scoring` in `outputs.json`."""
    from mlops_runtime.pipeline.supervisor import read_definition
    from mlops_runtime.sagemaker import shards

    shards.plan(read_definition(definition), endpoint, _say)


@app.command()
def shards_score(definition: DefinitionFile, endpoint: EndpointName, scoring: ScoringPlan) -> None:
    """Score the share of a table that is this instance's of a job of SageMaker."""
    from mlops_runtime.pipeline.supervisor import read_definition
    from mlops_runtime.sagemaker import shards

    shards.score(read_definition(definition), endpoint, scoring, _say)


def _result(result: Any, wanted: bool) -> None:
    if wanted:
        from pydantic import TypeAdapter

        typer.echo(TypeAdapter(Any).dump_json(result).decode())


def _run(definition: Path, run_id: str | None, trigger: str, requested_by: str | None, git_commit: str | None) -> Run:
    from mlops_runtime.pipeline import records
    from mlops_runtime.pipeline.supervisor import read_definition
    from mlops_runtime.pipeline.worker import commit_of
    from mlops_runtime.steps.base import Run

    content = read_definition(definition)
    return Run(
        id=records.check_id(run_id) if run_id else records.new_id(),
        definition=content,
        trigger=trigger,
        requested_by=requested_by or _user(),
        progress=_say,
        git_commit=git_commit or commit_of(content.code.directory),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"  # a container's user need not have a name


def _heed_signals() -> None:
    """Let a signal to stop be an error like others, so that what is half done is told and kept."""

    def interrupt(number: int, _: Any) -> None:
        raise SignalledError(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupt)


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
    except SignalledError as error:
        typer.echo(f"{error}; the next run goes on where this one was", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if (full := disk_full(error)) is None:
            raise
        typer.echo(f"error: {full}", err=True)
        sys.exit(full.exit_code)
