"""`python -m mlops_runtime.serving --config FILE`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mlops_runtime.serving import main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m mlops_runtime.serving", description="Serve one endpoint over Open Inference Protocol V2."
    )
    parser.add_argument("--config", type=Path, required=True, help="the endpoint's serving config (JSON)")
    sys.exit(main(parser.parse_args().config))
