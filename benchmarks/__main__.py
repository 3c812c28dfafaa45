"""`python -m benchmarks [NAME …]`: run benchmarks, all of them by default."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from benchmarks.common import RESULTS, ROOT, BenchmarkError


def main() -> int:
    names = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names)}; all if none is given")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for figures and JSON")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(names))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(names)}")
    failed = False
    for name in arguments.names or names:
        print(f"== {name}", flush=True)
        try:
            ratios = importlib.import_module(f"benchmarks.{name}").run(arguments.out)
        except BenchmarkError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
            continue
        for ratio, value in ratios.items():
            print(f"ratio {ratio} {value:.2f}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
