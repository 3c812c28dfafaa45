"""The commands `rules` and `packs`: what the policies are, and their folders for the engine."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pulumi_mlops.cli.check import usable
from pulumi_mlops.cli.output import Failure, print_json, print_text, style
from pulumi_mlops.cli.spec import AsJson, write


def rules(
    name: Annotated[str | None, typer.Argument(metavar="[RULE]", help="Explain this rule. Default: list all.")] = None,
    pack: Annotated[str | None, typer.Option("--pack", "-p", help="List the rules of this pack.")] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of the policy configuration instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the rules of the policy packs, or explain one."""
    from mlops_policies import rules as registered
    from mlops_policies import selected
    from mlops_policies import settings as configuration
    from mlops_policies.reports.text import explained

    known = registered()
    if schema:
        print_json(configuration.schema())
        return
    if name is not None:
        if name not in known:
            raise Failure(f"there is no rule {name}", hint="`mlops rules` lists them.")
        print_text(json.dumps(known[name].as_json(), indent=2) if as_json else "\n".join(explained(known[name], style)))
        return
    listed = [rule for rule in usable(lambda: selected([pack] if pack else [])) if pack in (None, rule.pack)]
    if as_json:
        print_json([rule.as_json() for rule in listed])
        return
    width = max(len(rule.id) for rule in listed)
    for rule in listed:
        print_text(f"{style(rule.id.ljust(width), 'cyan')}  {rule.pack:<13} {rule.severity:<8}  {rule.title}")


def packs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write a folder for each pack.")],
    virtualenv: Annotated[
        str | None,
        typer.Option(
            help="Python environment that runs the packs, absolute or relative to a pack. Default: this one if it is "
            "below the working directory, else the one that Pulumi finds."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the policy packs as folders for `pulumi preview --policy-pack FOLDER/security`.

    What is there already is written anew; the rules themselves stay in the installed package.
    """
    from mlops_policies import PACKS
    from mlops_policies.folders import files

    own = Path(sys.prefix)
    shared = sys.prefix != sys.base_prefix and own.is_relative_to(Path.cwd())
    for name in PACKS:
        # Folders are shared with others: an environment outside of the working directory is nobody else's.
        environment = virtualenv or (os.path.relpath(own, (folder / name).absolute()) if shared else None)
        try:
            (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Failure(f"{folder / name} can't be made: {(error.strerror or str(error)).lower()}") from None
        for file, text in files(name, environment).items():
            write(folder / name / file, text)
    made = [str(folder / name) for name in PACKS]
    if as_json:
        print_json({"packs": made})
    else:
        print_text(f"Wrote {', '.join(made)}")
