"""The command `cost`: what the stack of a spec costs in a month, before anything is created."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pulumi_mlops.cli.output import ExitCode, Failure, print_json, print_text, style
from pulumi_mlops.cli.spec import DEFAULT, AsJson, SpecFile
from pulumi_mlops.cli.tables import ago, print_table

if TYPE_CHECKING:
    from pulumi_mlops.platforms.aws.estimate import Estimate


def cost(
    spec: SpecFile = DEFAULT,
    environment: Annotated[
        str | None, typer.Option("--environment", "-e", help="Look at the spec as it is in this environment.")
    ] = None,
    maximum: Annotated[
        float | None, typer.Option("--max", min=0, help="US dollars a month that it may cost at most.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody; take the prices of the cache.")] = False,
    as_json: AsJson = False,
) -> None:
    """Estimate what the stack of a spec costs in a month on AWS, by AWS's Price List API.

    Prices are kept for a week in the user's cache; the day on which they were read is shown. The range is that of
    autoscaling, of jobs between a few minutes and their time limit, and of spot capacity. Exit code 0: done; 1: it may
    cost more than --max, or there are no prices.
    """
    from mlops_runtime.errors import StepError
    from pulumi_mlops.platforms.aws.clients import Clients
    from pulumi_mlops.platforms.aws.estimate import estimate
    from pulumi_mlops.platforms.aws.prices import PriceList
    from pulumi_mlops.spec.loader import load

    loaded = load(spec, environment)
    settings = loaded.platform.aws
    if settings is None:
        hint = "Only the platform aws bills by the hour; choose another environment with -e."
        raise Failure(f"the platform {loaded.platform.kind} has no price list", hint=hint, code=ExitCode.USAGE)
    try:
        found = estimate(loaded, settings, PriceList(settings.region, None if offline else Clients(settings)))
    except StepError as error:
        hint = "Run it once with credentials that may call pricing:GetProducts; the prices are kept then."
        raise Failure(f"no estimate: {error}", hint=hint) from error
    except LookupError as error:
        raise Failure(str(error), hint="`mlops preflight` names the field.") from error
    budget = loaded.governance.budget
    over = maximum is not None and found.high > maximum
    if as_json:
        document = {
            "region": found.region,
            "currency": "USD",
            "low": round(found.low, 2),
            "high": round(found.high, 2),
            "max": maximum,
            "budget": None if budget is None else budget.monthly_usd,
            "prices_read": found.oldest,
            "prices_unread": found.unread,
            "unpriced": found.unpriced,
            "assumptions": found.assumptions,
            "lines": [asdict(line) for line in found.lines],
        }
        print_json(document)
    else:
        _print(found, None if budget is None else budget.monthly_usd, maximum)
    if over:
        raise typer.Exit(ExitCode.PROBLEM)


def _print(found: Estimate, budget: float | None, maximum: float | None) -> None:
    rows = [(line.component, line.what, _usd(line.low), _usd(line.high), line.basis) for line in found.lines]
    print_table(
        ("component", "what", "from", "to", "basis"),
        [*rows, ("total", "", _usd(found.low), _usd(found.high), "")],
        styles=[*("yellow" if line.high is None else None for line in found.lines), "bold"],
    )
    print_text("")
    for each in found.assumptions:
        print_text(style(f"· {each}", "dim"))
    read = datetime.fromisoformat(found.oldest).astimezone(UTC)
    print_text(f"US dollars a month in {found.region}; prices of {read:%Y-%m-%d} ({ago(read)}) or later")
    if found.unread is not None:
        print_text(style(f"Prices could not be read again: {found.unread}", "yellow"))
    for each in found.unpriced:
        print_text(style(f"Not in the total, for AWS lists no price: {each}", "yellow"))
    if budget is not None and found.high > budget:
        print_text(style(f"It may cost more than governance.budget ({_usd(budget)})", "yellow"))
    if maximum is not None and found.high > maximum:
        print_text(style(f"It may cost {_usd(found.high)}, more than {_usd(maximum)}", "red"))


def _usd(amount: float | None) -> str | None:
    return None if amount is None else f"{amount:,.2f}"
