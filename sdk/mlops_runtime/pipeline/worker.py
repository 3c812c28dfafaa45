"""The process that runs the steps; the supervisor gives it a plan on stdin and reads events from a pipe."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from mlops_runtime.definition import Definition
from mlops_runtime.errors import RejectedError, StepError, disk_full
from mlops_runtime.lifecycle import end_with_parent
from mlops_runtime.pipeline import records
from mlops_runtime.pipeline.supervisor import STEPS, read_definition
from mlops_runtime.steps.base import Outputs, Run, Step
from mlops_runtime.stores.layout import Store

_RECORDED_FROM = "train"
"""Step after which a run is recorded where MLflow has no server; neither its database nor its import is waited for
before that. A server is told of a run when it begins."""


class _Events:
    """The supervisor's end of the pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, event: str, **fields: Any) -> None:
        os.write(self._descriptor, (json.dumps({"event": event, **fields}) + "\n").encode())

    def progress(self, text: str) -> None:
        self.send("progress", text=text)


def main(descriptor: int) -> None:
    """Run the plan that comes in on stdin."""
    end_with_parent(group=True)
    # Only this process speaks to the supervisor: the end of the pipe is the end of this process.
    os.set_inheritable(descriptor, False)
    events = _Events(descriptor)
    plan = json.loads(sys.stdin.read())
    run: Run | None = None
    try:
        definition = read_definition(Path(plan["definition"]))
        data = fingerprints(definition) if plan["resume"] or plan["last"] else None
        if plan["last"] and plan["last"]["data"] == data:
            _converge(definition, plan["last"]["id"], events)
            events.send("unchanged", id=plan["last"]["id"])
            return
        resumed = bool(plan["resume"] and plan["resume"]["data"] in (None, data))
        run = Run(
            id=plan["resume"]["id"] if resumed else plan["new_id"],
            definition=definition,
            trigger=plan["trigger"],
            requested_by=plan["requested_by"],
            progress=events.progress,
            git_commit=commit_of(definition.code.directory),
        )
        events.send("run", id=run.id, commit=run.git_commit, resumed=resumed)
        _print_to(records.log_path(run.store, definition.identity.name, run.id))
        _prepare_tracking(run.store)
        events.send("end", **_run(run, events))
    except StepError as error:
        events.send("end", status=_status(error), message=str(error), exit_code=error.exit_code, **_ended(run, error))
    except Exception as error:  # reported in one line; the whole of it goes to the run's log
        with contextlib.suppress(OSError):
            traceback.print_exc()
        full = disk_full(error)
        details = f"; details in {records.log_path(run.store, run.definition.identity.name, run.id)}" if run else ""
        events.send(
            "end",
            status="failed",
            message=str(full) if full else f"unexpected {type(error).__name__}: {error}{details}",
            exit_code=full.exit_code if full else 1,
            **_ended(run, error),
        )


def close(end: dict[str, Any]) -> None:
    """Record the failure of a run whose process was killed."""
    definition = read_definition(Path(end["definition"]))
    run = Run(end["id"], definition, end["trigger"], end["requested_by"], git_commit=end["commit"])
    _record_end(run, "failed", end["message"] or "")


def load_step(name: str) -> Step[Any]:
    """A step by its name."""
    step: Step[Any] = importlib.import_module(f"mlops_runtime.steps.{name}").STEP
    return step


def execute(run: Run, name: str) -> Outputs:
    """Run one step and record it.

    Raises:
        StepError: the step can't go on.
    """
    if name == STEPS[0] and run.definition.tracking_uri is not None:
        from mlops_runtime.steps import recording
        from mlops_runtime.stores.tracking import Tracking

        recording.start(run, Tracking.of(run.definition))
    outputs: Outputs = load_step(name).execute(run)
    if STEPS.index(name) >= STEPS.index(_RECORDED_FROM):
        from mlops_runtime.steps import recording
        from mlops_runtime.stores.tracking import Tracking

        tracking = Tracking.of(run.definition)
        if name == _RECORDED_FROM:
            recording.record(run, tracking, "featurize", run.outputs("featurize", load_step("featurize").outputs))
        recording.record(run, tracking, name, outputs)
    return outputs


def fingerprints(definition: Definition) -> dict[str, str]:
    """Fingerprint of each source: what is read from it changes only if this does.

    Raises:
        StepError: a source can't be reached.
    """
    from mlops_runtime.stores import sources

    return {name: sources.fingerprint(definition, name) for name in definition.sources}


def commit_of(directory: Path) -> str | None:
    """Commit of a folder's repository, with `-dirty` where the folder has changes that are not committed."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(directory), *arguments], capture_output=True, text=True, timeout=20, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    return commit and commit + ("-dirty" if git("status", "--porcelain", "--", ".") else "")


def _converge(definition: Definition, run_id: str, events: _Events) -> None:
    """Put the live version on endpoints that were added or changed since it was deployed."""
    from mlops_runtime.release import PIPELINE, release
    from mlops_runtime.stores.tracking import Tracking

    champion = Tracking.of(definition).alias("champion")
    if champion is not None:
        release(definition, champion.number, by=PIPELINE, run_id=run_id, progress=events.progress)


def _run(run: Run, events: _Events) -> dict[str, Any]:
    registered: Any = None
    endpoints: list[str] = []
    for name in STEPS:
        events.send("start", step=name)
        began = time.monotonic()
        outputs: Any = execute(run, name)
        extra = {"data": _ingested(run.definition)} if name == "ingest" else {}
        if name == "register":
            registered = outputs
        if name == "deploy":
            endpoints = outputs.endpoints
        events.send("done", step=name, seconds=round(time.monotonic() - began, 3), **extra)
        if registered is not None and registered.status == "rejected":
            error = RejectedError("the model was rejected: " + "; ".join(registered.reasons))
            raise error
    status = "pending" if registered.status == "pending" else "succeeded"
    message = f"version {registered.version} waits for approval" if status == "pending" else None
    _record_end(run, status, message or "")
    return {
        "status": status,
        "message": message,
        "exit_code": 0,
        "version": registered.version,
        "endpoints": endpoints,
    }


def _ended(run: Run | None, error: Exception) -> dict[str, Any]:
    """Record the end of a run that did not succeed; what the record then says of the version."""
    if run is None:
        return {}
    try:
        _record_end(run, _status(error), str(error))
    except Exception:  # the failure that is reported is the first one
        with contextlib.suppress(OSError):
            traceback.print_exc()
    registered = run.directory / "register" / "step.json"
    return {"version": json.loads(registered.read_text())["outputs"]["version"]} if registered.exists() else {}


def _record_end(run: Run, outcome: Any, message: str) -> None:
    from mlops_runtime.steps import recording
    from mlops_runtime.stores.tracking import Tracking

    recording.finish(run, Tracking.of(run.definition), outcome, message)


def _status(error: Exception) -> str:
    return "rejected" if isinstance(error, RejectedError) else "failed"


def _ingested(definition: Definition) -> dict[str, str]:
    """Fingerprints that the sources had when they were ingested."""
    from mlops_runtime.stores import sources
    from mlops_runtime.stores.snapshots import Snapshots

    found = {}
    for name in definition.sources:
        latest = Snapshots(Store(definition.store), name).latest(settings=sources.settings_digest(definition, name))
        if latest is not None:
            found[name] = latest.fingerprint
    return found


def _print_to(log: Path) -> None:
    """Let what is printed from here on, by user code and native libraries too, go to the run's log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _prepare_tracking(store: Store) -> None:
    """Make the tracking database beside the first steps: it takes seconds, once in a store's life."""
    if not (store.root / "mlflow.db").exists():
        subprocess.Popen([sys.executable, "-m", "mlops_runtime.stores.mlflow_client", str(store.root)])


if __name__ == "__main__":
    # SIGTERM ends the process as an exception, so that files in the making are cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if sys.argv[1] == "close":
        close(json.load(sys.stdin))
    else:
        main(int(sys.argv[1]))
