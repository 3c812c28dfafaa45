"""`mlops-runtime serve [--config FILE]`, which is also `python -m mlops_runtime.serving`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mlops_runtime.serving import main as run


def main(arguments: Sequence[str], *, prog: str = "python -m mlops_runtime.serving") -> NoReturn:
    """Serve as the arguments say; ends the process with the server's exit code.

    Arguments:
        arguments: those of the command line.
        prog: the command, for its help.
    """
    parser = argparse.ArgumentParser(prog=prog, description="Serve one endpoint over Open Inference Protocol V2.")
    helped = "the endpoint's serving config (JSON). Default: that of SageMaker's container, from its environment"
    parser.add_argument("--config", type=Path, help=helped)
    sys.exit(run(parser.parse_args(arguments).config))


if __name__ == "__main__":
    main(sys.argv[1:])
