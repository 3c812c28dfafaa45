"""Runs one Pulumi program for the language host, in the project's own interpreter.

Reads the request as JSON from standard input. Exits 0, or 32 when the engine has already shown why the program failed,
or 1.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import runpy
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from parent_watch import end_with_parent

ERROR_ALREADY_SHOWN = 32


def user_traceback(error: BaseException, directory: str) -> str:
    """The traceback from the first frame inside `directory` on: the frames before it are ours and the SDK's."""
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, frame in enumerate(frames) if frame.filename.startswith(directory + os.sep)), 0)
    return "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=first - len(frames)))


def run(request: dict[str, Any]) -> int:
    """Runs the program and waits until the engine has all of its resources."""
    import pulumi
    import pulumi.runtime

    pulumi.runtime.set_all_config(request["config"], request["secret_keys"])
    pulumi.runtime.configure(pulumi.runtime.Settings(**request["settings"]))
    program = request["program"]
    os.chdir(request["directory"])
    sys.argv = [program, *request["args"]]
    sys.path[0] = request["directory"]

    def execute() -> None:
        runpy.run_path(program, run_name="__main__")

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(max_workers=4 * max(request["settings"]["parallel"], 1))
    loop.set_default_executor(executor)
    # A failing program leaves futures unobserved, and asyncio would report each of them.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        if Path(program).is_dir() and not (Path(program) / "__main__.py").is_file():
            pulumi.log.error(f"no Python program: {program} has no __main__.py")
            return ERROR_ALREADY_SHOWN
        loop.run_until_complete(pulumi.runtime.run_in_stack(execute))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return ERROR_ALREADY_SHOWN
    except Exception as error:
        pulumi.log.error(f"Program failed with an unhandled exception:\n{user_traceback(error, request['directory'])}")
        return ERROR_ALREADY_SHOWN
    finally:
        executor.shutdown(wait=True)
        loop.close()
    return 0


if __name__ == "__main__":
    # Ctrl-C is the engine's to handle; a traceback from here would only add noise to its answer.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_with_parent()
    sys.exit(run(json.loads(sys.stdin.read())))
