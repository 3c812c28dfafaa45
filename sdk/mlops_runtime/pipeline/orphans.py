"""No process outlives the one that started it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

_POLL_SECONDS = 0.25


def end_with_parent(*, group: bool = False) -> None:
    """End this process when its parent is gone, however the parent ended (`kill -9` too).

    Arguments:
        group: end the whole process group with it; for the leader of one.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        if group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
