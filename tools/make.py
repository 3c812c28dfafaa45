"""The commands behind the Makefile: `tools/run COMMAND`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools import engine, environment
from tools.console import ToolError, say

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tools/run", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("engine").set_defaults(do=lambda _: print(engine.ensure().pulumi))
    env = commands.add_parser("env"); env.add_argument("profile", choices=tuple(environment.PROFILES)); env.set_defaults(do=lambda a: environment.ensure(ROOT, a.profile))
    options = parser.parse_args(arguments)
    try:
        options.do(options)
    except ToolError as error:
        say(f"error: {error}"); return 1
    return 0

if __name__ == "__main__":
    sys.exit(main())
