"""The command `mlops graph`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pulumi_mlops.cli.output import print_json
from pulumi_mlops.cli.spec import DEFAULT, AsJson, SpecFile, write


def graph(
    spec: SpecFile = DEFAULT,
    environment: Annotated[str | None, typer.Option("--environment", "-e", help="Apply this environment.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead of standard output.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw the stack that a spec declares, as a Mermaid flowchart for Markdown pages."""
    from pulumi_mlops.spec.loader import load
    from pulumi_mlops.spec.picture import mermaid

    drawn = mermaid(load(spec, environment))
    if output is not None:
        write(output, drawn)
    elif as_json:
        print_json({"mermaid": drawn})
    else:
        typer.echo(drawn, nl=False)
