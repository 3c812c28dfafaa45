"""How the tools speak: plain lines, a progress line for long work, and one message for an error."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

LINE_EVERY_SECONDS = 15.0
REDRAW_EVERY_SECONDS = 1.0


class ToolError(Exception):
    """A user's mistake or a missing prerequisite: shown as one message, without a traceback."""


def say(message: str) -> None:
    """Tells the user, on standard error: standard output is for what a program may read."""
    print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress(what: str, expect: str = "") -> Iterator[None]:
    """Shows that `what` is going on and for how long: redrawn on a terminal, else a line now and then."""
    terminal = sys.stderr.isatty()
    started = time.monotonic()
    done = threading.Event()
    hint = f" ({expect})" if expect else ""

    def show() -> None:
        while not done.wait(REDRAW_EVERY_SECONDS if terminal else LINE_EVERY_SECONDS):
            elapsed = f"{what} … {time.monotonic() - started:.0f} s{hint}"
            if terminal:
                print(f"\r\033[K{elapsed}", end="", file=sys.stderr, flush=True)
            else:
                say(elapsed)

    say(f"{what} …{hint}")
    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        if terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
    say(f"{what}: done in {time.monotonic() - started:.0f} s")
