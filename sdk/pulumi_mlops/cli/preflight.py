"""The command `preflight`: whether the place that a spec names can take its stack, before anything is created."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pulumi_mlops.cli.output import ExitCode, colourful, console, print_json, print_text, style
from pulumi_mlops.cli.spec import DEFAULT, AsJson, SpecFile
from pulumi_mlops.cli.tables import STYLES, print_table
from pulumi_mlops.platforms.checks import Check, Status

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec

_STYLES: Final = {"ok": STYLES["ok"], "warn": STYLES["attention"], "fail": STYLES["bad"]}


def preflight(
    spec: SpecFile = DEFAULT,
    environment: Annotated[
        str | None, typer.Option("--environment", "-e", help="Look at the spec as it is in this environment.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether this machine, the cluster or the AWS account can take the stack of a spec; nothing is changed.

    On a cluster: its version, operators and their custom resources, namespace, permissions, storage class, Secrets
    (never their values), GPUs, Gateway; what fails is shown with the command that mends it. The kubeconfig's current
    context counts, or the spec's. In an AWS account: identity, region, quotas and zones of every instance type,
    permissions by IAM's simulation, names that are taken, key, network, images, secrets (never their values). Exit
    code 0: it can; 1: it can't.
    """
    from pulumi_mlops.spec.loader import load

    loaded = load(spec, environment)
    found: list[Check] = []
    with _progress(quiet=as_json) as tell:
        for check in _checks(loaded):
            tell(check.name)
            found.append(check)
    failed = [check for check in found if check.status == "fail"]
    if as_json:
        rows = [{"check": c.name, "status": c.status, "message": c.message, "remedies": c.remedies} for c in found]
        print_json({"file": str(spec), "platform": loaded.platform.kind, "ready": not failed, "checks": rows})
    else:
        _print(found)
        print_text(_verdict(found))
    if failed:
        raise typer.Exit(ExitCode.PROBLEM)


def _checks(spec: Spec) -> Iterator[Check]:
    problems, asked = _PLATFORMS[spec.platform.kind](spec)
    for problem in problems:
        field, _, message = problem.partition(": ")
        yield Check(field, Status.FAIL, message)
    if not problems:
        yield Check("spec", Status.OK, f"asks for nothing that the platform {spec.platform.kind} does not have")
    yield from asked


def _on_this_machine(spec: Spec) -> tuple[list[str], Iterator[Check]]:
    from pulumi_mlops.platforms.local.preflight import problems

    return problems(spec), iter(())


def _in_a_cluster(spec: Spec) -> tuple[list[str], Iterator[Check]]:
    from pulumi_mlops.platforms.kubernetes.checks import checks
    from pulumi_mlops.platforms.kubernetes.preflight import problems
    from pulumi_mlops.platforms.kubernetes.questions import Server, UnreachableError

    def asked() -> Iterator[Check]:
        settings = spec.platform.kubernetes
        assert settings is not None, "the spec's platform is kubernetes"
        try:
            yield from checks(spec, settings, Server(settings.context))
        except UnreachableError as error:
            hint = "Set KUBECONFIG, or platform.kubernetes.context, to a cluster that answers."
            yield Check("API server", Status.FAIL, str(error), (hint,))

    return problems(spec), asked()


def _in_an_account(spec: Spec) -> tuple[list[str], Iterator[Check]]:
    from pulumi_mlops.platforms.aws.checks import checks
    from pulumi_mlops.platforms.aws.clients import Clients
    from pulumi_mlops.platforms.aws.preflight import problems

    settings = spec.platform.aws
    assert settings is not None, "the spec's platform is aws"
    return problems(spec), checks(spec, settings, Clients(settings))


_PLATFORMS: Final[dict[str, Callable[[Spec], tuple[list[str], Iterator[Check]]]]] = {
    "local": _on_this_machine,
    "kubernetes": _in_a_cluster,
    "aws": _in_an_account,
}
"""By platform: what is wrong with a spec by itself, and what the place says to it."""


def _print(found: list[Check]) -> None:
    rows: list[tuple[Any, ...]] = []
    styles: list[str | None] = []
    for check in found:
        rows.append((check.status.value, check.name, check.message))
        styles.append(_STYLES[check.status])
        for remedy in check.remedies:
            rows.append((" ", " ", remedy))
            styles.append("dim")
    print_table(("", "check", "found"), rows, styles=styles)


def _verdict(found: list[Check]) -> str:
    counts = {status: sum(check.status == status for check in found) for status in ("fail", "warn")}
    if counts["fail"]:
        return style(f"{counts['fail']} of {len(found)} checks failed: pulumi up would not end well", "red")
    warned = f", {counts['warn']} with a warning" if counts["warn"] else ""
    return style(f"{len(found)} checks passed{warned}: ready for pulumi up", "green")


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Any]:
    """Shows on a terminal what was looked at last, while the rest is."""
    if quiet or not colourful(sys.stdout):
        yield lambda _: None
        return
    with console().status("Looking …") as status:
        yield lambda name: status.update(f"Looked at {name} …")
