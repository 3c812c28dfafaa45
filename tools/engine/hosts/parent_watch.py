"""Ending with the process that started this one.

An engine that is killed cannot tell its plugins to stop. Polling the parent's id works on every POSIX system (Linux's
parent-death signal does not exist on macOS) and costs nothing measurable.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

POLL_SECONDS = 0.25


def end_with_parent(before: Callable[[], None] | None = None) -> None:
    """Watches the parent from a thread; when it is gone, calls `before` and ends this process at once."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        try:
            if before is not None:
                before()
        finally:
            # Only this ends a process whose other threads are blocked in gRPC or in user code.
            os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
