"""The stack that a spec describes, as the commands that look after it find it: on this machine; no Pulumi needed.

A command on a stack in a cluster goes on in `cli.cluster`, and one in an AWS account in `cli.aws`, as soon as it opens
the stack.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, ParamSpec, TypeVar

import typer

from mlops_runtime.errors import StepError
from mlops_runtime.stores.layout import MARKER, Store
from pulumi_mlops.cli.output import Failure
from pulumi_mlops.spec.loader import load

if TYPE_CHECKING:
    from mlops_runtime.definition import Definition
    from mlops_runtime.services import ServiceState
    from mlops_runtime.stores.control import Control
    from mlops_runtime.stores.tracking import Tracking
    from pulumi_mlops.spec.model import Spec

SpecFile = Annotated[Path, typer.Option("--spec", "-s", help="The spec.")]
Environment = Annotated[str | None, typer.Option("--environment", "-e", help="Overlay of the spec to apply.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT_SPEC = Path("mlops.yaml")

_ELSEWHERE: Final = {
    "kubernetes": "pulumi_mlops.cli.cluster.commands",
    "aws": "pulumi_mlops.cli.aws.commands",
}
"""Modules of the commands on stacks that are not on this machine, by the kind of their platform."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


class _ElsewhereError(Exception):
    """The stack is not on this machine."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(f"the stack is on the platform {spec.platform.kind}")
        self.spec = spec


def on_a_stack(command: Callable[_P, _R]) -> Callable[_P, _R | None]:
    """Run a command where its stack is, and turn what the runtime refuses into a failure with one message."""

    @functools.wraps(command)
    def told(*args: _P.args, **kwargs: _P.kwargs) -> _R | None:
        try:
            try:
                return command(*args, **kwargs)
            except _ElsewhereError as found:
                commands = import_module(_ELSEWHERE[found.spec.platform.kind])
                commands.run(command.__name__, found.spec, kwargs)
                return None
        except StepError as error:
            raise Failure(str(error)) from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise Failure(f"{where}{error.strerror or error}") from error
        except ModuleNotFoundError as error:
            hint = 'Install what the local platform needs: pip install "pulumi-mlops[local]".'
            raise Failure(f"{error.name} is not installed", hint=hint) from error

    return told


@dataclass
class Stack:
    """A spec and its store.

    Arguments:
        spec: the spec, in its environment.
        store: the data directory that the local platform keeps.
    """

    spec: Spec
    store: Store

    @classmethod
    def open(cls, path: Path, environment: str | None, *, must_exist: bool = True) -> Stack:
        """Find the stack of a spec.

        Arguments:
            path: the spec's file.
            environment: overlay to apply.
            must_exist: whether a stack that was never brought up is an error.

        Raises:
            SpecError: the spec is not valid.
            Failure: the stack was never brought up.
        """
        spec = load(path, environment)
        if spec.platform.kind != "local":
            raise _ElsewhereError(spec)
        stack = cls(spec, Store(spec.resolve(spec.platform.local.data_dir).resolve()))
        if must_exist and not (stack.store.root / MARKER).exists():
            raise Failure(
                f"nothing was brought up from {path} yet: {stack.store.root} is no store", hint="Run pulumi up."
            )
        return stack

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.spec.identity.name

    @property
    def definition_path(self) -> Path:
        """The pipeline definition that the last `up` wrote."""
        return self.store.definition(self.model)

    @cached_property
    def definition(self) -> Definition:
        """The pipeline definition in force: the spec as it was at the last `up`.

        Raises:
            Failure: there is none.
        """
        from mlops_runtime.definition import load as load_definition

        try:
            return load_definition(self.definition_path)
        except FileNotFoundError:
            missing = f"model {self.model} was not brought up yet: {self.definition_path} is missing"
            raise Failure(missing, hint="Run pulumi up.") from None
        except ValueError:
            other = f"{self.definition_path} was written by another version of mlops"
            raise Failure(other, hint="Run pulumi up.") from None

    @cached_property
    def control(self) -> Control:
        """Queue and audit log."""
        from mlops_runtime.stores.control import Control

        return Control(self.store.control_db)

    @cached_property
    def tracking(self) -> Tracking:
        """Experiments and registry (loading MLflow takes a second or two)."""
        from mlops_runtime.stores.tracking import Tracking

        return Tracking(self.store, self.model)

    @cached_property
    def services(self) -> dict[str, ServiceState] | None:
        """States of the supervised services by name; None where the supervisor does not answer."""
        from mlops_runtime.services import ServiceError, Supervisor

        try:
            return {state.name: state for state in Supervisor(self.store).states()}
        except (ServiceError, ImportError):
            return None

    @property
    def scheduler(self) -> str:
        """Name of the service that starts runs."""
        return f"scheduler-{self.model}"

    def bundle_manifest(self, version: int) -> dict[str, Any] | None:
        """What a version's bundle says; None where the bundle is gone."""
        try:
            manifest: dict[str, Any] = json.loads(
                (self.store.bundle(self.model, version) / "manifest.json").read_bytes()
            )
        except (OSError, ValueError):
            return None
        return manifest
