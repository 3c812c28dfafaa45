"""Runs the pipeline: one run of a model at a time, steps in a child process that is watched and held to its limits."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from mlops_runtime.code import digest_of_code
from mlops_runtime.definition import DataDefinition, Definition
from mlops_runtime.errors import BadInputError, BusyError, LimitError, StepError
from mlops_runtime.pipeline import records
from mlops_runtime.pipeline.records import RunRecord, StepRecord
from mlops_runtime.steps.base import digest_of
from mlops_runtime.stores.layout import Store

_PartT = TypeVar("_PartT", bound=DataDefinition)

STEPS = ("ingest", "verify", "featurize", "train", "evaluate", "validate", "register", "deploy")
"""The steps, in order."""

ENVIRONMENT = {
    # Threads that wait for each other in a busy loop make a fit 10 times slower as soon as anything else runs here
    # (measured: 60,000 rows of boosting, 18.7 s spinning and 1.4 s sleeping, on 2 busy cores).
    "OMP_WAIT_POLICY": "PASSIVE",
    # User code that iterates over sets of strings does so in the same order each time.
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
}
"""Set for the process of the steps, unless the caller's environment says otherwise."""

_POLL_SECONDS = 0.2
_DISK_SECONDS = 1.0
_GRACE_SECONDS = 3.0


class PipelineResult(BaseModel):
    """How a run ended.

    Arguments:
        run_id: the run; for `unchanged`, the one that made what is there.
        model: name of the model.
        status: `succeeded`; `pending`, a version waits for approval; `rejected`, the model did not pass the gate;
            `failed`; `unchanged`, nothing was to be done.
        version: the registered version.
        endpoints: endpoints that were switched to it.
        message: why it failed or was rejected.
        exit_code: of the command.
        seconds: by step; steps that were already done take none.
        peak_memory: largest resident memory of the run's processes, bytes.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    model: str
    status: Literal["succeeded", "pending", "rejected", "failed", "unchanged"]
    version: int | None
    endpoints: list[str]
    message: str | None
    exit_code: int
    seconds: dict[str, float]
    peak_memory: int


def run_pipeline(
    definition_path: Path,
    run_id: str | None = None,
    *,
    trigger: str,
    requested_by: str,
    if_changed: bool = False,
    progress: Callable[[str], None] = print,
) -> PipelineResult:
    """Run the pipeline, or go on with an unfinished run of the same definition, code and data.

    Arguments:
        definition_path: pipeline definition.
        run_id: identifier of the run; None goes on with an unfinished run or makes one up.
        trigger: what started the run (`up`, `manual`, `schedule`, `drift:NAME`, `new-data:SOURCE`).
        requested_by: the person or service that asked for it.
        if_changed: do nothing if definition, code and data are those of the last finished run.
        progress: called with lines of text.

    Raises:
        BadInputError: the definition can't be read.
        BusyError: another run of the model is under way.
    """
    definition = read_definition(definition_path)
    if definition.bucket is not None:
        raise BadInputError(
            f"{definition_path} keeps its store in a bucket ({definition.bucket.uri}): its platform runs each step by "
            "itself (`mlops-runtime ingest` to `mlops-runtime deploy`)"
        )
    store = Store(definition.store)
    model = definition.identity.name
    if run_id is not None:
        records.check_id(run_id)
    try:
        store.create()
        store.runs(model).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"the data directory {store.root} can't be written: {error.strerror}") from None
    with _only_run(store, model) as lock:
        digest = digest_of([definition.decides_model(), digest_of_code(definition)])
        known = records.runs(store, model)
        return _Supervisor(definition, definition_path, digest, known, run_id, trigger, requested_by, progress).run(
            if_changed, lock
        )


def read_definition(path: Path) -> Definition:
    """Read a pipeline definition.

    Raises:
        BadInputError: it can't be read or is none.
    """
    return read_part(Definition, path)


def read_part(kind: type[_PartT], path: Path) -> _PartT:
    """Read a pipeline definition, or the part of one that a command needs.

    Raises:
        BadInputError: it can't be read or is none.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BadInputError(
            f"definition {path} is not there; if `pulumi up` has changed it meanwhile, the run that it started goes on"
        ) from None
    except OSError as error:
        raise BadInputError(f"definition {path} can't be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInputError(
            f"{path} is not a pipeline definition of this version: {where or 'document'}: {first['msg']}"
        ) from None


@contextlib.contextmanager
def _only_run(store: Store, model: str) -> Iterator[IO[str]]:
    path = store.runs(model) / ".lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            raise BusyError(
                f"another pipeline run of {model} is under way"
                + (f" ({holder})" if holder else "")
                + "; try again later"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}, since {records.now()}")
        file.flush()
        yield file


class _Supervisor:
    def __init__(
        self,
        definition: Definition,
        path: Path,
        digest: str,
        known: list[RunRecord],
        run_id: str | None,
        trigger: str,
        requested_by: str,
        progress: Callable[[str], None],
    ) -> None:
        self._definition = definition
        self._path = path
        self._digest = digest
        self._known = known
        self._progress = progress
        self._store = Store(definition.store)
        self._record: RunRecord | None = None
        self._result: dict[str, Any] | None = None
        self._unchanged: str | None = None
        self._step: str | None = None
        self._step_began = 0.0
        self._next_disk = 0.0
        self._peak = 0
        self._trigger, self._requested_by = trigger, requested_by
        self._wanted = run_id
        # What the child prints goes here until it knows its run, and to the run's own log then.
        self._log = self._store.runs(definition.identity.name) / "worker.log"

    def run(self, if_changed: bool, lock: IO[str]) -> PipelineResult:
        same = [record for record in self._known if record.definition == self._digest]
        last = next((record for record in self._known if record.finished), None)
        resume = self._known[0] if self._known and self._known[0] in same and not self._known[0].finished else None
        plan = {
            "definition": str(self._path.resolve()),
            "trigger": self._trigger,
            "requested_by": self._requested_by,
            "new_id": self._wanted or records.new_id(),
            "resume": {"id": resume.id, "data": resume.data} if resume and self._wanted is None else None,
            "last": {"id": last.id, "data": last.data} if if_changed and last is not None and last in same else None,
        }
        self._check_disk()
        reader, writer = os.pipe()
        log = self._log.open("w")
        child = subprocess.Popen(
            [sys.executable, "-m", "mlops_runtime.pipeline.worker", str(writer)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            # The lock is held by the child too: a new run can't start while steps of a dead supervisor still end.
            pass_fds=(writer, lock.fileno()),
            start_new_session=True,
            env={**ENVIRONMENT, **os.environ},
            text=True,
        )
        os.close(writer)
        log.close()
        try:
            assert child.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(json.dumps(plan))
                child.stdin.close()
            self._watch(child, reader)
        except StepError as error:
            self._stop(child, patient=False)
            self._result = {"status": "failed", "message": str(error), "exit_code": error.exit_code, "cut": True}
        except BaseException:
            self._stop(child, patient=True)
            self._finish({"status": "failed", "message": "interrupted", "exit_code": 130})
            raise
        finally:
            os.close(reader)
            self._stop(child, patient=True)
        return self._outcome(child)

    def _watch(self, child: subprocess.Popen[str], reader: int) -> None:
        """Follow the child until it closes its end, and hold it to its limits."""
        buffer = b""
        os.set_blocking(reader, False)
        with selectors.DefaultSelector() as selector:
            selector.register(reader, selectors.EVENT_READ)
            while True:
                if selector.select(_POLL_SECONDS):
                    part = os.read(reader, 1 << 16)
                    if not part:
                        child.wait()
                        return
                    *lines, buffer = (buffer + part).split(b"\n")
                    for line in lines:
                        self._event(json.loads(line))
                self._check_limits(child)

    def _event(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "progress":
                self._progress(event["text"])
            case "run":
                self._begin(event)
            case "unchanged":
                self._unchanged = event["id"]
            case "start":
                assert self._record is not None
                self._step, self._step_began = event["step"], time.monotonic()
                self._peak = 0
                self._record.steps[event["step"]] = StepRecord(status="running", started_at=records.now())
                records.write(self._store, self._record)
            case "done":
                assert self._record is not None
                step = self._record.steps[event["step"]]
                step.status, step.seconds, step.peak_memory = "done", event["seconds"], self._peak
                if event.get("data"):
                    self._record.data = event["data"]
                records.write(self._store, self._record)
                self._step = None
                if event["seconds"] >= 0.05:
                    self._progress(f"{event['step']}: done ({event['seconds']:.1f} s)")
            case "end":
                self._result = event

    def _begin(self, event: dict[str, Any]) -> None:
        before = records.read(self._store, self._definition.identity.name, event["id"])
        pid, created = records.this_process()
        self._record = RunRecord(
            id=event["id"],
            model=self._definition.identity.name,
            status="running",
            trigger=self._trigger,
            requested_by=self._requested_by,
            started_at=records.now(),
            definition=self._digest,
            data=before.data if before else None,
            commit=event["commit"],
            steps=before.steps if before else {},
            pid=pid,
            pid_created=created,
        )
        records.write(self._store, self._record)
        self._log = records.log_path(self._store, self._record.model, self._record.id)
        self._progress(f"pipeline: {'going on with' if event['resumed'] else 'run'} {event['id']}")

    def _check_limits(self, child: subprocess.Popen[str]) -> None:
        compute = self._definition.training.compute
        used = _resident(child.pid)
        self._peak = max(self._peak, used)
        where = self._step or "start"
        if used > compute.memory:
            raise LimitError(
                f"{where}: stopped at {_size(used)} of memory; the limit is {_size(compute.memory)}. "
                "Raise training.compute.memory, or use fewer rows or parallel trials"
            )
        took = time.monotonic() - self._step_began
        if self._step is not None and took > compute.time_limit:
            raise LimitError(
                f"{where}: stopped after {took:.0f} s; the limit is {compute.time_limit:g} s. "
                "Raise training.compute.time_limit, or use fewer rows or trials"
            )
        if time.monotonic() >= self._next_disk:
            self._next_disk = time.monotonic() + _DISK_SECONDS
            self._check_disk()

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self._store.root).free
        if free < self._definition.min_free_disk:
            raise LimitError(
                f"{self._step or 'start'}: only {_size(free)} are free in {self._store.root}; "
                f"{_size(self._definition.min_free_disk)} must stay free (platform.local.min_free_disk). "
                "Delete old runs, captures or snapshots, or move the data directory"
            )

    def _stop(self, child: subprocess.Popen[str], *, patient: bool) -> None:
        """End the child and everything that it started."""
        if patient and child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_GRACE_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def _outcome(self, child: subprocess.Popen[str]) -> PipelineResult:
        model = self._definition.identity.name
        if self._unchanged is not None:
            last = next(record for record in self._known if record.id == self._unchanged)
            return PipelineResult(
                run_id=last.id, model=model, status="unchanged", version=last.version, endpoints=[],
                message=f"nothing changed since run {last.id} ({last.status})", exit_code=0, seconds={}, peak_memory=0,
            )  # fmt: skip
        result = self._result
        if result is None:
            how = f"signal {-child.returncode}" if child.returncode < 0 else f"exit code {child.returncode}"
            hint = " (killed by the system, perhaps for lack of memory)" if child.returncode == -signal.SIGKILL else ""
            where = self._step or "start"
            result = {
                "status": "failed",
                "message": f"{where}: the process of the steps ended with {how}{hint}; details in {self._log}",
                "exit_code": 1,
                "cut": True,
            }
        record = self._finish(result)
        if record is not None and result.get("cut"):
            self._close_tracking(record)
        return PipelineResult(
            run_id=record.id if record else "",
            model=model,
            status=result["status"],
            version=result.get("version"),
            endpoints=result.get("endpoints", []),
            message=result.get("message"),
            exit_code=result["exit_code"],
            seconds={name: step.seconds for name, step in record.steps.items() if step.seconds is not None}
            if record
            else {},
            peak_memory=max((step.peak_memory for step in record.steps.values()), default=0) if record else 0,
        )

    def _close_tracking(self, record: RunRecord) -> None:
        """Let the tracking server know of a run whose process could not say so itself."""
        end = {
            "definition": str(self._path.resolve()),
            "id": record.id,
            "trigger": record.trigger,
            "requested_by": record.requested_by,
            "commit": record.commit,
            "message": record.message,
        }
        with self._log.open("a") as log:
            subprocess.run(
                [sys.executable, "-m", "mlops_runtime.pipeline.worker", "close"],
                input=json.dumps(end),
                stdout=log,
                stderr=log,
                text=True,
                check=False,
            )

    def _finish(self, result: dict[str, Any]) -> RunRecord | None:
        record = self._record
        if record is None:
            return None
        record.status, record.message, record.exit_code = result["status"], result.get("message"), result["exit_code"]
        record.version = result.get("version")
        record.finished_at = records.now()
        if self._step is not None:
            step = record.steps[self._step]
            step.status, step.seconds, step.peak_memory = (
                "failed", round(time.monotonic() - self._step_began, 3), self._peak,
            )  # fmt: skip
        records.write(self._store, record)
        return record


def _resident(pid: int) -> int:
    """Resident memory of a process and all its descendants, bytes."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += each.memory_info().rss
    return total


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
