"""Doing queued work: one child process for each task at a time, its outcome kept."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

from mlops_runtime.errors import BusyError, RejectedError
from mlops_runtime.stores.control import LEASE_SECONDS, Control, Work

_log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "mlops_runtime.child")
"""The command `mlops-runtime`, as a child that ends with its scheduler."""

BUSY_SECONDS = 10.0
"""Pause before work that found another run under way is tried again."""

_POLL_SECONDS = 0.2
_TAIL_LINES = 20


@dataclass(frozen=True)
class Outcome:
    """What came of a piece of work.

    Attributes:
        work: the work.
        status: how it ended; `released`, it is in the queue again.
        message: why, in a line.
    """

    work: Work
    status: Literal["succeeded", "failed", "rejected", "released"]
    message: str | None


class Job:
    """A running piece of work.

    Args:
        control: the queue that the work was claimed from.
        work: the work.
        arguments: of the command `mlops-runtime`.
        stop_seconds: time that the process has to stop, before it is killed.
    """

    def __init__(self, control: Control, work: Work, arguments: list[str], stop_seconds: float) -> None:
        self._control = control
        self._work = work
        self._stop_seconds = stop_seconds
        self._stop_asked_at: float | None = None
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._renew_at = 0.0
        _log.info("%s %d (%s, asked for by %s) begins", work.task, work.id, work.trigger, work.requested_by)
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Ask the process to stop; its work will be handed back."""
        if self._stop_asked_at is None:
            self._stop_asked_at = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        elif time.monotonic() - self._stop_asked_at > self._stop_seconds:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def poll(self) -> Outcome | None:
        """What came of the work, once it has ended; renews the claim before that."""
        code = self._process.poll()
        if code is None:
            if time.monotonic() >= self._renew_at:
                self._renew_at = time.monotonic() + LEASE_SECONDS / 3
                self._control.renew(self._work.id)
            return None
        self._reader.join(_POLL_SECONDS)
        result = self._result()
        message = result.get("message") or (None if code == 0 else self._last_words(code))
        run_id = result.get("run_id") or None
        if code == BusyError.exit_code or (self._stop_asked_at is not None and code != 0):
            self._control.renew(self._work.id, run_id=run_id)
            self._control.release(self._work.id)
            return Outcome(self._work, "released", message)
        status: Literal["succeeded", "failed", "rejected"] = "failed"
        if code in (0, RejectedError.exit_code):
            status = "succeeded" if code == 0 else "rejected"
        self._control.finish(self._work.id, status, run_id=run_id, message=message)
        return Outcome(self._work, status, message)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.rstrip()
            if text:
                self._tail.append(text)
                if not text.startswith("{"):
                    _log.info("%s %d: %s", self._work.task, self._work.id, text)

    def _result(self) -> dict[str, Any]:
        """The JSON that the command prints on a line of its own."""
        for line in reversed(self._tail):
            if line.startswith("{"):
                with contextlib.suppress(ValueError):
                    found = json.loads(line)
                    return found if isinstance(found, dict) else {}
        return {}

    def _last_words(self, code: int) -> str:
        how = f"ended with signal {-code}" if code < 0 else f"ended with exit code {code}"
        return self._tail[-1].removeprefix("error: ") if self._tail else how
