"""The `mlops` command: which commands there are. Each is imported when it is used."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

from pulumi_mlops.cli.output import ExitCode, Failure, report
from pulumi_mlops.spec.errors import SpecError

COMMANDS: Final[dict[str, str]] = {
    "init": "spec:init",
    "validate": "spec:validate",
    "schema": "spec:schema",
    "migrate": "spec:migrate",
    "preflight": "preflight:preflight",
    "cost": "cost:cost",
    "check": "check:check",
    "compliance": "check:compliance",
    "rules": "policies:rules",
    "packs": "policies:packs",
    "graph": "graph:graph",
    "status": "status:status",
    "predict": "predict:predict",
    "runs": "history:runs",
    "models": "history:models",
    "lineage": "history:lineage",
    "retrain": "retrain:retrain",
    "approve": "operate:approve",
    "rollback": "operate:rollback",
    "batch": "operate:batch",
    "export": "operate:export",
    "image": "image:image",
    "logs": "logs:logs",
    "audit": "keep:audit",
    "backup": "keep:backup",
    "restore": "keep:restore",
}
"""Commands in the order of the help, each as `module:function` within this package. A function is a Typer command; what
it needs beyond the spec it imports itself, so that no other command waits for it. A `typer.Typer` in a function's place
is a group of commands."""

_EXTRAS: Final = {
    **dict.fromkeys(("kubernetes", "pulumi_kubernetes"), "kubernetes"),
    **dict.fromkeys(("boto3", "botocore", "pulumi_aws", "sagemaker_mlflow"), "aws"),
}
"""What to install where a package is missing."""


class _Commands(Mapping[str, Any]):
    """Typer's commands by name, made when they are asked for."""

    def __getitem__(self, name: str) -> Any:
        module, function = COMMANDS[name].split(":")
        found = getattr(import_module(f"pulumi_mlops.cli.{module}"), function)
        if isinstance(found, typer.Typer):
            group = typer.main.get_group(found)
            group.name = name
            return group
        single = typer.Typer(add_completion=False)
        single.command(name)(found)
        return typer.main.get_command(single)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Group(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands()  # type: ignore[assignment]  # only read, after this


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"mlops {version('pulumi-mlops')}")
        raise typer.Exit


app = typer.Typer(
    name="mlops",
    cls=_Group,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 something is wrong with what was looked at, 2 wrong usage.",
)


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Declare, run and watch a complete MLOps stack."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; ends the process with the command's exit code."""
    # The interpreter would look through all objects once more when it ends, and find nothing of use.
    atexit.register(gc.freeze)
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    try:
        app(arguments, prog_name="mlops")
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        typer.echo(f"mlops: this needs the package {error.name}; pip install 'pulumi-mlops[{extra}]'", err=True)
        sys.exit(2)
    except SpecError as error:
        report(error.as_json(), str(error), as_json=as_json)
        sys.exit(ExitCode.PROBLEM)
    except Failure as failure:
        report(failure.as_json(), str(failure), as_json=as_json)
        sys.exit(failure.code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
