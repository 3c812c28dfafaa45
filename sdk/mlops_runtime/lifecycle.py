"""The life of a process: it ends when asked to, and when the process that started it is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

POLL_SECONDS = 0.25
"""Time between looks at the parent process."""


def exit_with_parent() -> None:
    """Send SIGTERM to this process as soon as its parent is gone, so that it ends in good order.

    A supervisor that is killed can't stop its services; without this they would go on as orphans and hold their ports.
    """
    _when_orphaned(lambda: os.kill(os.getpid(), signal.SIGTERM))


def end_with_parent(*, group: bool = False) -> None:
    """End this process at once when its parent is gone, however the parent ended (`kill -9` too).

    Arguments:
        group: end the whole process group with it; for the leader of one.
    """

    def end() -> None:
        if group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)

    _when_orphaned(end)


def _when_orphaned(act: Callable[[], None]) -> None:
    # Linux could signal by itself (`PR_SET_PDEATHSIG`), macOS can't; looking at the parent works on both.
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        act()

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


def stop_on_signal() -> threading.Event:
    """An event that SIGTERM or SIGINT sets, in place of ending the process; call it in the main thread."""
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop
