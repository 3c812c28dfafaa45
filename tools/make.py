"""The commands behind the Makefile: `tools/run COMMAND`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tools import engine, environment
from tools.console import ToolError, say
from tools.settings import Target, exports, test_environment
from tools.stack import Stack

ROOT = Path(__file__).resolve().parent.parent
_PYTHON = {"test": "pytest", "bench": "benchmarks"}
"""Commands that are a Python module in the environment for development."""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    parser = _parser()
    options, others = parser.parse_known_args(arguments)
    if others and options.command not in _PYTHON:
        parser.error(f"unknown arguments: {' '.join(others)}")
    try:
        return _run(options, others)
    except ToolError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/run", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    install = commands.add_parser("env", help="make .venv fit a use")
    install.add_argument("profile", choices=tuple(environment.PROFILES))
    commands.add_parser("engine", help="find, install or build the engine, and print where it is")
    for name, module in _PYTHON.items():
        commands.add_parser(name, help=f"run python -m {module} with the engine on PATH: other arguments are its own")
    for name, what in {
        "up": "bring the stack up",
        "preview": "show what `up` would do",
        "refresh": "bring the stack's state up to date with reality",
        "status": "show the stack's components",
        "down": "remove the stack",
        "shell": "print the exports that let plain `pulumi` work on the stack",
    }.items():
        command = commands.add_parser(name, help=what)
        command.add_argument("--dir", default="stacks/quickstart", help="the Pulumi project")
        command.add_argument("--stack", default="dev")
        if name == "down":
            command.add_argument("--purge", action="store_true", help="delete the data directory, too")
    return parser


def _run(options: argparse.Namespace, others: list[str]) -> int:
    match options.command:
        case "env":
            environment.ensure(ROOT, options.profile)
            return 0
        case "engine":
            print(engine.ensure().pulumi)
            return 0
        case "test" | "bench":
            python = environment.ensure(ROOT, "dev")
            variables = test_environment(ROOT, engine.ensure())
            # In place of this process, so that the module has the last word.
            os.chdir(ROOT)
            os.execve(python, [str(python), "-m", _PYTHON[options.command], *others], variables)
    target = Target.of(ROOT, options.dir, options.stack)
    environment.ensure(ROOT, "run")
    if options.command == "shell":
        print(exports(target, engine.ensure()))
        return 0
    stack = Stack(target, engine.ensure())
    if options.command == "down":
        stack.down(purge=options.purge)
    else:
        getattr(stack, options.command)()
    return 0


if __name__ == "__main__":
    sys.exit(main())
