"""One command of the pipeline by itself, as an orchestrator runs it: in a process of its own, on any machine.

Where the store is kept in a bucket, the command works on its own copy of it: what it reads is pulled, then it runs,
then what it wrote is pushed. A step that fails leaves its report, its error and what it would go on from in the bucket.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadInputError, RejectedError, SignalledError, StepError, disk_full
from mlops_runtime.pipeline import transfers
from mlops_runtime.pipeline.supervisor import ENVIRONMENT
from mlops_runtime.pipeline.transfers import Job
from mlops_runtime.pipeline.worker import execute
from mlops_runtime.steps.base import Outputs, Run
from mlops_runtime.stores.layout import Store, write_atomically
from mlops_runtime.stores.working_copy import WorkingCopy

ERROR: Final = "error.json"
"""File in the folder of a run's step that says why its last attempt failed: `step`, `at`, `message`, `exit_code`."""


def run_step(run: Run, name: str, outputs: Path | None = None) -> Outputs:
    """Run one step of a run.

    Arguments:
        run: the run; earlier steps of it were run before.
        name: the step.
        outputs: folder in which each output that is a single value is written to a file of its name.

    Raises:
        BadInputError: a step before this one has not been run.
        RejectedError: the step is `register`, and the version is rejected; it is registered, with the reason.
        StepError: the step failed.
        OSError: a file can't be written.
    """
    os.environ.update({**ENVIRONMENT, **os.environ})
    copy = working_copy(run.definition)
    job = None if copy is None else Job(run.definition, copy, run)
    if copy is not None:
        run.publish = lambda folder: _publish(copy, folder)
    with _told(run, name, job):
        try:
            if job is not None:
                transfers.pull(job, name)
            done = execute(run, name)
        except FileNotFoundError as error:
            if Path(str(error.filename)).name != "step.json":
                raise
            missing = Path(str(error.filename)).parent.name
            raise BadInputError(f"run {run.id} has no outputs of {missing}; run that step first") from None
        if job is not None:
            transfers.push(job, name)
        if outputs is not None:
            write_outputs(outputs, done.model_dump(mode="json"))
        result: Any = done
        if name == "register" and result.status == "rejected":
            raise RejectedError("the model was rejected: " + "; ".join(result.reasons))
    return done


def run_command(
    definition: Definition,
    name: str,
    work: Callable[[], Any],
    **about: Any,
) -> Any:
    """Run a command that belongs to no run, and return what it returns.

    Arguments:
        definition: the pipeline definition.
        name: the command's, in the table of transfers.
        work: does it.
        about: what it is about; see `transfers.Job`.

    Raises:
        StepError: the command failed.
        OSError: a file can't be written.
    """
    copy = working_copy(definition)
    if copy is None:
        return work()
    job = Job(definition, copy, **about)
    transfers.pull(job, name)
    try:
        result = work()
    except BaseException:
        # What the command failed of is told; that what it left can't be kept as well would hide it.
        with suppress(StepError):
            transfers.keep(job, name)
        raise
    transfers.push(job, name)
    return result


def working_copy(definition: Definition) -> WorkingCopy | None:
    """The working copy that a command works on; None where the store itself is here. The store's folder is made.

    Raises:
        BadInputError: the folder can't be written.
        StepError: the bucket can't be used.
    """
    try:
        Store(definition.store).create()
    except OSError as error:
        raise BadInputError(f"the data directory {definition.store} can't be written: {error.strerror}") from None
    return None if definition.bucket is None else WorkingCopy.at(definition.store, definition.bucket)


def write_outputs(folder: Path, values: dict[str, Any]) -> None:
    """Write each single value to a file of its name: texts as they are, `true` or `false`, numbers, nothing for None.

    Raises:
        OSError: a file can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        if isinstance(value, bool):
            text = str(value).lower()
        elif isinstance(value, str | int | float):
            text = str(value)
        elif value is None:
            text = ""
        else:
            continue
        write_atomically(folder / name, text)


@contextmanager
def _told(run: Run, name: str, job: Job | None) -> Iterator[None]:
    """Leave the reason of a failure where `finish` finds it; it goes when the step succeeds."""
    error_file = run.directory / name / ERROR
    try:
        yield
    except RejectedError:
        raise  # the step has done its work
    except BaseException as error:
        write_atomically(error_file, json.dumps(_failure(name, error), indent=2))
        if job is not None:
            try:
                transfers.keep(job, name)
            except StepError as second:
                run.progress(f"{name}: what it left can't be kept: {second}")
        raise
    if error_file.exists():
        error_file.unlink()
        if job is not None:
            job.copy.delete(job.file(error_file))


def _failure(step: str, error: BaseException) -> dict[str, Any]:
    full = disk_full(error)
    known = error if isinstance(error, StepError | SignalledError) else full
    return {
        "step": step,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "message": str(known) if known is not None else f"unexpected {type(error).__name__}: {error}",
        "exit_code": known.exit_code if known is not None else 1,
    }


def _publish(copy: WorkingCopy, folder: Path) -> None:
    copy.push(f"{folder.relative_to(copy.root).as_posix()}/")
