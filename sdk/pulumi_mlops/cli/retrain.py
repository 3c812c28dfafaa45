"""The command `retrain`: ask for a pipeline run, wait for it, or run it here."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mlops_runtime.errors import RejectedError
from pulumi_mlops.cli.output import ExitCode, Failure, print_json, print_text, style
from pulumi_mlops.cli.stack import DEFAULT_SPEC, AsJson, Environment, SpecFile, Stack, on_a_stack

if TYPE_CHECKING:
    from mlops_runtime.stores.control import Work

_POLL_SECONDS: Final = 0.25


@on_a_stack
def retrain(
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the run, and show its steps.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Run in this process, without the scheduler.")] = False,
    by: Annotated[str | None, typer.Option("--by", help="Your name, for the record. Default: the user's.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that --wait waits.")] = 3600.0,
    spec: SpecFile = DEFAULT_SPEC,
    environment: Environment = None,
    as_json: AsJson = False,
) -> None:
    """Run the pipeline again: new data, same steps, same gate. A cooldown does not hold this back.

    Asked for twice while it waits or runs, it runs once. With --wait or --now the exit code says how it ended: 0 live
    or waiting for approval, 1 failed, 11 rejected.
    """
    stack = Stack.open(spec, environment)
    assert stack.definition  # what can't run is told before it is queued
    who = by or getpass.getuser()
    work, new = stack.control.enqueue(stack.model, "manual", who)
    tell: Callable[[str], None] = (lambda _: None) if as_json else print_text
    if now:
        finished = _run_here(stack, work, tell) or _follow(stack, work, tell, timeout)
    elif not wait:
        _print_queued(stack, work, new, as_json)
        return
    else:
        if not _scheduler_runs(stack):
            raise Failure(
                f"the run is queued (number {work.id}), but the scheduler does not run",
                hint="Start it with pulumi up, or run the pipeline here: mlops retrain --now.",
                work=work.id,
            )
        finished = _follow(stack, work, tell, timeout)
    if as_json:
        print_json(_facts(finished))
    elif finished.status == "succeeded":
        print_text(style(f"Run {finished.run_id} succeeded", "green") + _reason(finished))
    else:
        print_text(style(f"Run {finished.run_id} {finished.status}", "red") + _reason(finished))
    codes = {"succeeded": ExitCode.OK, "rejected": RejectedError.exit_code}
    raise typer.Exit(codes.get(finished.status, ExitCode.PROBLEM))


def _print_queued(stack: Stack, work: Work, new: bool, as_json: bool) -> None:
    runs = _scheduler_runs(stack)
    if as_json:
        print_json({**_facts(work), "new": new, "scheduler_runs": runs})
        return
    print_text(f"Queued as number {work.id}" if new else f"Number {work.id}, asked for before, is {work.status}")
    if not runs:
        print_text(
            style("The scheduler does not run", "yellow")
            + ": start it with pulumi up, or run the pipeline here with mlops retrain --now"
        )


def _scheduler_runs(stack: Stack) -> bool:
    state = (stack.services or {}).get(stack.scheduler)
    return state is not None and state.state in ("RUNNING", "STARTING")


def _run_here(stack: Stack, work: Work, tell: Callable[[str], None]) -> Work | None:
    """Run the work in this process; None where a running scheduler has already taken it."""
    from mlops_runtime.errors import StepError
    from mlops_runtime.pipeline import BusyError, run_pipeline

    control = stack.control
    claimed = control.claim(stack.model, id=work.id)
    if claimed is None:
        if _found(stack, work.id).status != "queued":
            tell(f"Number {work.id} was taken by the scheduler")
            return None
        raise Failure(
            f"a run of {stack.model} is under way already (number {work.id} waits for it)",
            hint="mlops retrain --wait follows it.",
        )
    try:
        result = run_pipeline(
            stack.definition_path,
            claimed.run_id,
            trigger="manual",
            requested_by=work.requested_by,
            progress=tell,
        )
    except BusyError as error:
        control.release(work.id)
        raise Failure(str(error), hint="mlops runs shows it.") from error
    except StepError as error:
        control.finish(work.id, "failed", message=str(error))
        raise
    except BaseException:
        control.release(work.id)
        raise
    status: Any = {"failed": "failed", "rejected": "rejected"}.get(result.status, "succeeded")
    control.finish(work.id, status, run_id=result.run_id, message=result.message)
    return _found(stack, work.id)


def _follow(stack: Stack, work: Work, tell: Callable[[str], None], timeout: float) -> Work:
    """Wait for the end of work, and tell of the run's steps meanwhile."""
    from mlops_runtime.pipeline import records

    deadline, told = time.monotonic() + timeout, set[tuple[str, str]]()
    while True:
        found = _found(stack, work.id)
        record = records.read(stack.store, stack.model, found.run_id) if found.run_id else None
        if record is None and found.status == "running":
            # The run's name is known to the queue at its end only.
            record = next(iter(records.runs(stack.store, stack.model)), None)
        if record is not None and found.started_at is not None and record.started_at >= found.started_at:
            for name, step in record.steps.items():
                if (name, step.status) not in told and step.status != "running":
                    told.add((name, step.status))
                    tell(f"{name}: {step.status}" + (f" in {step.seconds:.1f} s" if step.seconds else ""))
        if found.finished_at is not None:
            return found
        if time.monotonic() > deadline:
            raise Failure(f"number {work.id} is still {found.status} after {timeout:g} s", hint="mlops runs shows it.")
        time.sleep(_POLL_SECONDS)


def _found(stack: Stack, number: int) -> Work:
    for work in (*stack.control.pending(stack.model), *stack.control.history(stack.model, limit=1000)):
        if work.id == number:
            return work
    raise Failure(f"the queue has no work number {number}")


def _reason(work: Work) -> str:
    return f": {work.message}" if work.message else ""


def _facts(work: Work) -> dict[str, Any]:
    return {
        "work": work.id,
        "status": work.status,
        "trigger": work.trigger,
        "requested_by": work.requested_by,
        "run": work.run_id,
        "message": work.message,
    }
