"""Commands that keep and prove what happened: backup, restore, audit."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pulumi_mlops.cli.output import Failure, print_json, print_text, style
from pulumi_mlops.cli.stack import DEFAULT_SPEC, AsJson, Environment, SpecFile, Stack, on_a_stack
from pulumi_mlops.cli.tables import print_table, show

if TYPE_CHECKING:
    from mlops_runtime.stores.audit import Audit


@on_a_stack
def backup(
    file: Annotated[Path, typer.Argument(help="File to write (tar.gz).")],
    state: Annotated[Path | None, typer.Option(help="Output of `pulumi stack export`, to go with it.")] = None,
    spec: SpecFile = DEFAULT_SPEC,
    environment: Environment = None,
    as_json: AsJson = False,
) -> None:
    """Save the stack's data in one file while it runs: registry, models, features, data, captures, audit log.

    Secrets and logs stay out; `pulumi up` makes the services again.
    """
    from mlops_runtime.backup import backup as run

    made = run(Stack.open(spec, environment).store, file, state=state)
    if as_json:
        print_json(asdict(made))
    else:
        print_text(style(f"Saved {made.files:,} files ({made.size / 1e6:,.1f} MB) to {made.path}", "green"))


@on_a_stack
def restore(
    file: Annotated[Path, typer.Argument(help="File that `mlops backup` wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the data that is there.")] = False,
    spec: SpecFile = DEFAULT_SPEC,
    environment: Environment = None,
    as_json: AsJson = False,
) -> None:
    """Bring back what `mlops backup` saved, into the spec's data directory; the stack must be down.

    Everything is verified before anything is changed. `pulumi up` then starts the services on it.
    """
    from mlops_runtime.backup import restore as run

    stack = Stack.open(spec, environment, must_exist=False)
    made = run(stack.store, file, force=force, stopped=lambda: stack.services is None)
    details = {"file": file.name, "created_at": made.created_at}
    stack.control.audit(getpass.getuser(), "restore", stack.model, details)
    if as_json:
        print_json(asdict(made))
        return
    print_text(style(f"Restored {made.files:,} files of {made.created_at} to {stack.store.root}", "green"))
    if made.models:
        print_text(f"  deployed     {show(made.models)}")
    if made.state:
        print_text(f"  state        pulumi stack import --file {stack.store.root / 'pulumi-state.json'}")
    print_text("Next: pulumi up")


@on_a_stack
def audit(
    subject: Annotated[str | None, typer.Argument(help="Only this, such as MODEL/VERSION. Default: all.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="Entries shown.")] = 20,
    spec: SpecFile = DEFAULT_SPEC,
    environment: Environment = None,
    as_json: AsJson = False,
) -> None:
    """Verify the audit log, and show its last entries: who deployed, approved, rejected, rolled back what, and why."""
    hint = "Compare it with a backup: mlops restore."
    show_audit(Stack.open(spec, environment).control, subject, limit, hint=hint, as_json=as_json)


def show_audit(log: Audit, subject: str | None, limit: int, *, hint: str, as_json: bool) -> None:
    """Verify an audit log, and show its last entries.

    Arguments:
        log: the log.
        subject: only entries about this; None: all.
        limit: how many.
        hint: what to do where it was tampered with.
        as_json: print JSON.

    Raises:
        Failure: the log was tampered with.
        typer.Exit: likewise, with JSON.
    """
    verdict, entries = log.verify_audit(), log.audit_log(subject=subject, limit=limit)
    if as_json:
        print_json({"verdict": asdict(verdict), "entries": [asdict(entry) for entry in entries]})
    else:
        rows = [(e.id, e.at, e.actor, e.action, e.subject, show(e.details)) for e in entries]
        print_table(("#", "at", "who", "did", "to", "details"), rows)
        if verdict.problem is None:
            print_text(style(f"{verdict.entries:,} entries, the chain of digests holds", "green"))
    if verdict.problem is not None:
        if as_json:
            raise typer.Exit(1)
        raise Failure(f"the audit log was tampered with: {verdict.problem}", hint=hint)
