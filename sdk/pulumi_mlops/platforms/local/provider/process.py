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
    """Run `mlops-runtime` with arguments and `--json`; it ends with this process, however that ends.

    What it prints goes to the user line by line; it is stopped where the user interrupts.

    Arguments:
        arguments: command and options.
        context: where progress goes; None keeps it quiet.

    Returns:
        Exit code, the JSON value on the last line (None where there is none), and the errors it printed.

    Raises:
        CancelledError: the user interrupted.
    """
    # The engine's environment holds its passphrase and access token; steps have no use for them.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
    child = subprocess.Popen(
        [sys.executable, "-m", "mlops_runtime.child", *arguments, "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    errors: list[str] = []
    ended = threading.Event()
    threads = [
        threading.Thread(target=_stop_when_cancelled, args=(child, context, ended), daemon=True),
        threading.Thread(target=lambda: errors.extend(child.stderr or ()), daemon=True),
    ]
    for thread in threads:
        thread.start()
    result: Any = None
    for line in child.stdout or ():
        try:
            result = json.loads(line)
        except json.JSONDecodeError:
            if context is not None and line.strip():
                context.say(line.rstrip())
    code = child.wait()
    ended.set()
    for thread in threads:
        thread.join()
    if context is not None and context.cancelled.is_set():
        raise CancelledError("interrupted; the next `pulumi up` goes on from the last finished step")
    return code, result, "".join(errors).strip()


def _stop_when_cancelled(child: subprocess.Popen[str], context: Context | None, ended: threading.Event) -> None:
    while context is not None and not ended.wait(0.2):
        if context.cancelled.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
            return
