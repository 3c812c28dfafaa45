"""The life of a service process: it ends when asked to, and when the process that started it is gone."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

POLL_SECONDS = 0.5
"""Time between looks at the parent process."""


def exit_with_parent() -> None:
    """Send SIGTERM to this process as soon as its parent is gone.

    A supervisor that is killed can't stop its services; without this they would go on as orphans and hold their ports.
    Linux could signal by itself (`PR_SET_PDEATHSIG`), macOS can't; looking twice a second does on both.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            pause.wait(POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    pause = threading.Event()
    threading.Thread(target=watch, name="exit-with-parent", daemon=True).start()


def stop_on_signal() -> threading.Event:
    """An event that SIGTERM or SIGINT sets, in place of ending the process; call it in the main thread."""
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop
