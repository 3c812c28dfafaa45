"""Commands of the runtime, run for the provider."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from pulumi_mlops.platforms.local.provider.handler import CancelledError, Context


def run(arguments: Sequence[str], context: Context | None = None) -> tuple[int, Any, str]:
    """Run `mlops-runtime` with arguments and `--json`.

    Progress (standard error) goes to the user line by line; the command is stopped where the user interrupts.

    Arguments:
        arguments: command and options.
        context: where progress goes; None keeps it quiet.

    Returns:
        Exit code, the JSON value on the last line of standard output (None where there is none), and the last lines
        of standard error.

    Raises:
        CancelledError: the user interrupted.
    """
    # The engine's environment holds its passphrase and credentials of other providers; steps have no use for them.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
    child = subprocess.Popen(
        [sys.executable, "-m", "mlops_runtime", *arguments, "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    last: list[str] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            if context is not None and context.cancelled.is_set():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGTERM)
                return

    def relay() -> None:
        for line in child.stderr or ():
            text = line.rstrip()
            if text:
                last[:] = [*last[-9:], text]
                if context is not None:
                    context.say(text)

    threads = [threading.Thread(target=work, daemon=True) for work in (watch, relay)]
    for thread in threads:
        thread.start()
    output = child.stdout.read()
    code = child.wait()
    stop.set()
    for thread in threads:
        thread.join()
    if context is not None and context.cancelled.is_set():
        raise CancelledError("interrupted; the next `pulumi up` goes on from the last finished step")
    lines = output.strip().splitlines()
    try:
        result = json.loads(lines[-1]) if lines else None
    except json.JSONDecodeError:
        result = None
    return code, result, "\n".join(last)
