"""Commands about the spec itself: validate, schema, init, migrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pulumi_mlops.cli.output import ExitCode, Failure, print_json, print_text, style

SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", help="The spec.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT = Path("mlops.yaml")


def validate(
    spec: SpecFile = DEFAULT,
    environment: Annotated[
        str | None,
        typer.Option(
            "--environment", "-e", help="Check the spec as it is in this environment. Default: in all of them."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a spec and show what it declares.

    Every problem is shown at once, with its code (docs/errors.md), line, field and remedy. Needs no engine, no data and
    no network.
    """
    from pulumi_mlops.spec.loader import load
    from pulumi_mlops.spec.summary import summary

    loaded = load(spec, environment)
    lines = summary(loaded)
    if as_json:
        declared = {"file": str(spec), "apiVersion": loaded.apiVersion, "environment": environment, "declares": lines}
        print_json({"valid": True, **declared})
        return
    suffix = f" in environment {environment}" if environment else ""
    print_text(style(f"{spec} is valid{suffix}", "green"))
    for name, line in lines.items():
        print_text(f"  {style(name.ljust(12), 'dim')} {line}")


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead of standard output.")
    ] = None,
) -> None:
    """Print the JSON Schema of specs, with which editors complete, explain and check as you type.

    In VS Code and others, put this into a spec's first line: # yaml-language-server: $schema=PATH
    """
    from pulumi_mlops.spec.schema import text

    if output is None:
        typer.echo(text(), nl=False)
    else:
        write(output, text())


def migrate(spec: SpecFile = DEFAULT, as_json: AsJson = False) -> None:
    """Lift a spec of an older version of the format to the current one.

    mlops/v1 is the first version, so there is nothing to lift yet: the command says so, and refuses unknown versions.
    """
    from pulumi_mlops.spec.migrate import version_of

    version = version_of(spec)
    if as_json:
        print_json({"file": str(spec), "apiVersion": version, "changed": False})
    else:
        print_text(f"{spec} is at {version}, the current version: nothing to do")


def init(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A CSV or Parquet file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The spec to write.")] = DEFAULT,
    label: Annotated[
        str | None, typer.Option(help="Column to predict. Default: guessed from the columns' names and values.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model. Default: from the file's name.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for the model. Default: the user's name.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the spec if it exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at a dataset and write a commented spec that fits it.

    Types, missing values and ranges become checks; the label, the task, the time column and the split are guessed, and
    each guess is explained in a comment.
    """
    try:
        from pulumi_mlops.cli import profile
    except ModuleNotFoundError as error:
        hint = 'Install them: pip install "pulumi-mlops[local]".'
        raise Failure(f"mlops init reads data with {error.name}, which is not installed", hint=hint) from None
    from pulumi_mlops.cli.scaffold import scaffold

    if output.exists() and not force:
        raise Failure(f"{output} exists", hint="Give another --output, or --force to replace it.", file=str(output))
    table = profile.profile(dataset, label=label)
    made = scaffold(table, dataset=dataset, output=output, name=name, owner=owner)
    write(output, made.text)
    if as_json:
        print_json({"file": str(output), **made.facts})
        return
    print_text(
        style(f"Wrote {output}", "green") + f" for {dataset} ({table.rows:,} rows, {len(table.columns)} columns)"
    )
    for fact, value in made.facts.items():
        print_text(f"  {style(fact.ljust(12), 'dim')} {value}")
    for note in made.notes:
        print_text(f"  {style('note'.ljust(12), 'yellow')} {note}")
    print_text(f"Next: read it, then `mlops validate {output}`.")


def write(path: Path, text: str) -> None:
    """Write a text file, or say why it can't be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Failure(f"{path} can't be written: {reason}", code=ExitCode.PROBLEM, file=str(path)) from None
