"""`mlops-runtime`, which is also `python -m mlops_runtime`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; ends the process with the command's exit code."""
    # A server's image lacks what the other commands need, Typer and pydantic first; and its start waits for nothing.
    if sys.argv[1:2] == ["serve"]:
        from mlops_runtime.serving.__main__ import main as serve

        serve(sys.argv[2:], prog="mlops-runtime serve")
    try:
        from mlops_runtime.cli import main as run
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        sys.exit("error: only `mlops-runtime serve` is installed here; other commands: pulumi-mlops[job]")
    run()


if __name__ == "__main__":
    main()
