"""Commands that change what runs: approve, rollback, export, batch; each is recorded in the audit log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pulumi_mlops.cli.output import ExitCode, Failure, print_json, print_text, style
from pulumi_mlops.cli.stack import DEFAULT_SPEC, AsJson, Environment, SpecFile, Stack, on_a_stack

if TYPE_CHECKING:
    from mlops_runtime.definition import Definition
    from mlops_runtime.deployment import Switch

By = Annotated[
    str | None, typer.Option("--by", help="Your name, for the record; a cluster knows it.", show_default=False)
]
Version = Annotated[int, typer.Argument(metavar="VERSION", help="Version of the model.")]
OfVersion = Annotated[int | None, typer.Option("--version", help="Version of the model. Default: the deployed one.")]


@on_a_stack
def approve(
    version: Version,
    by: By = None,
    reject: Annotated[bool, typer.Option("--reject", help="Reject the version instead.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why it is rejected.")] = "",
    spec: SpecFile = DEFAULT_SPEC,
    environment: Environment = None,
    as_json: AsJson = False,
) -> None:
    """Approve a version that waits for it: it goes live on every endpoint.

    The model's owner may not approve; the spec's registry.approvers says who may. The name is a claim that the local
    platform records and can't verify; in a cluster it is the identity that the cluster has authenticated.
    """
    from mlops_runtime import release

    definition = Stack.open(spec, environment).definition
    by = _named(by)
    if reason and not reject:
        raise Failure("--reason goes with --reject", code=ExitCode.USAGE)
    if reject:
        release.reject(definition, version, approver=by, reason=reason)
        if as_json:
            print_json({"version": version, "status": "rejected", "by": by, "reason": reason})
        else:
            print_text(f"Version {version} is rejected: {reason}")
        return
    switches = release.approve(definition, version, approver=by, progress=_teller(as_json))
    _print_switches({"version": version, "status": "approved", "by": by}, switches, as_json)


@on_a_stack
def rollback(
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")],
    by: By = None,
    to: Annotated[int | None, typer.Option("--to", help="Version to go to. Default: the one before.")] = None,
    spec: SpecFile = DEFAULT_SPEC,
    environment: Environment = None,
    as_json: AsJson = False,
) -> None:
    """Go back to the version that was deployed before, with no failed request.

    The version that is left stays registered, and the pipeline does not deploy it again.
    """
    from mlops_runtime import release

    definition = Stack.open(spec, environment).definition
    by = _named(by)
    switches = release.roll_back(definition, by=by, reason=reason, to=to, progress=_teller(as_json))
    _print_switches({"version": switches[0].version, "by": by, "reason": reason}, switches, as_json)


@on_a_stack
def export(
    endpoint: Annotated[str | None, typer.Argument(help="Edge endpoint. Default: all of them.")] = None,
    version: OfVersion = None,
    spec: SpecFile = DEFAULT_SPEC,
    environment: Environment = None,
    as_json: AsJson = False,
) -> None:
    """Write the edge bundle of a version: ONNX model, manifest and self-test, which need only onnxruntime."""
    from mlops_runtime.steps.export import export as run

    _make("edge", run, endpoint, version, Stack.open(spec, environment).definition, as_json)


@on_a_stack
def batch(
    endpoint: Annotated[str | None, typer.Argument(help="Batch endpoint. Default: all of them.")] = None,
    version: OfVersion = None,
    spec: SpecFile = DEFAULT_SPEC,
    environment: Environment = None,
    as_json: AsJson = False,
) -> None:
    """Score the newest accepted data of a batch endpoint's source now; what was scored before is not scored again."""
    from mlops_runtime.steps.batch import score

    _make("batch", score, endpoint, version, Stack.open(spec, environment).definition, as_json)


def _named(by: str | None) -> str:
    if by is None:
        raise Failure("Missing option '--by': your name, for the record", code=ExitCode.USAGE)
    return by


def _make(
    kind: str,
    make: Callable[..., Any],
    endpoint: str | None,
    version: int | None,
    definition: Definition,
    as_json: bool,
) -> None:
    """Make what endpoints of a kind give their users, and show it."""
    known = [item.name for item in definition.endpoints if item.kind == kind]
    made = [
        make(definition, name, version=version, progress=_teller(as_json)) for name in _names(endpoint, known, kind)
    ]
    if as_json:
        print_json([asdict(item) for item in made])


def _names(asked: str | None, known: list[str], kind: str) -> list[str]:
    if asked is not None:
        return [asked]
    if not known:
        raise Failure(
            f"the spec has no {kind} endpoint", hint=f"Add one (kind: {kind}) under endpoints: and run pulumi up."
        )
    return known


def _teller(as_json: bool) -> Callable[[str], None]:
    return (lambda _: None) if as_json else print_text


def _print_switches(outcome: dict[str, Any], switches: list[Switch], as_json: bool) -> None:
    if as_json:
        print_json({**outcome, "endpoints": [asdict(switch) for switch in switches]})
    else:
        print_text(style(f"Version {outcome['version']} is deployed", "green"))
