"""The command `status`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pulumi_mlops.cli.output import ExitCode, print_json, print_text, style
from pulumi_mlops.cli.stack import DEFAULT_SPEC, AsJson, Environment, SpecFile, Stack, on_a_stack
from pulumi_mlops.cli.tables import STYLES, print_table


@on_a_stack
def status(
    scorecard: Annotated[bool, typer.Option("--scorecard", help="Show each line of the maturity scorecard.")] = False,
    spec: SpecFile = DEFAULT_SPEC,
    environment: Environment = None,
    as_json: AsJson = False,
) -> None:
    """Show every component of the stack, how it stands, and how mature the whole is.

    Exit codes: 0 healthy, 1 something does not work or raises an alert.
    """
    from pulumi_mlops.cli import scorecard as maturity
    from pulumi_mlops.cli.overview import overview

    stack = Stack.open(spec, environment)
    components = overview(stack)
    card = maturity.scorecard(stack, components)
    bad = [component for component in components if component.state == "bad"]
    if as_json:
        document: dict[str, Any] = {
            "model": stack.model,
            "data_dir": str(stack.store.root),
            "healthy": not bad,
            "components": [vars(component) for component in components],
            "scorecard": card.as_json(),
        }
        print_json(document)
        raise typer.Exit(ExitCode.PROBLEM if bad else ExitCode.OK)
    print_text(f"{style(stack.model, 'bold')} in {stack.store.root}")
    print_table(
        ("component", "name", "state", ""),
        [(item.kind, item.name, item.state, item.summary) for item in components],
        styles=[None if item.state == "ok" else STYLES[item.state] for item in components],
    )
    print_text("")
    shown = sum(practice.shown for practice in card.practices)
    print_text(
        f"Maturity: level {card.level} ({card.level_evidence}); ML Test Score at least {card.score} "
        f"({shown} of {len(card.practices)} tests shown): {card.meaning}"
    )
    if scorecard:
        print_table(
            ("section", "#", "test", "shown", "evidence, or what is missing"),
            [(p.section, p.number, p.title, p.shown, p.evidence) for p in card.practices],
            styles=["green" if p.shown else "dim" for p in card.practices],
        )
        print_text(style(f"Source: {maturity.SOURCE}", "dim"))
    else:
        print_text(style("mlops status --scorecard shows each with its evidence", "dim"))
    if bad:
        names = ", ".join(f"{item.kind} {item.name}" for item in bad)
        print_text(style(f"Degraded: {names}", "red"))
        raise typer.Exit(ExitCode.PROBLEM)
    print_text(style("Healthy", "green"))
