"""The supervisor of a store's services."""

from __future__ import annotations

from pathlib import Path

from mlops_runtime.services import ServiceError, Supervisor
from mlops_runtime.stores.layout import Store
from pulumi_mlops.platforms.local.provider.handler import Context, Handler, Properties, ProviderError


class SupervisorHandler(Handler):
    """`mlops-local:index:Supervisor`: supervisord, running."""

    token = "mlops-local:index:Supervisor"  # noqa: S105 - a type token

    def preview(self, inputs: Properties) -> Properties:
        """It will run."""
        return {**inputs, "status": "running"}

    def create(self, inputs: Properties, context: Context) -> tuple[str, Properties]:
        """Start it."""
        supervisor = _supervisor(inputs)
        try:
            supervisor.start(log_size=inputs["log_size"], logs_kept=inputs["logs_kept"])
        except (ServiceError, OSError) as error:
            raise ProviderError(str(error)) from error
        return str(supervisor.store.root), self.preview(inputs)

    def read(self, identifier: str, state: Properties) -> Properties | None:
        """Running or stopped."""
        return {**state, "status": "running" if _supervisor(state).running() else "stopped"}

    def drift(self, state: Properties, inputs: Properties) -> set[str]:
        """A supervisor that was killed is started again."""
        return set() if state.get("status") == "running" and _supervisor(inputs).running() else {"status"}

    def update(self, identifier: str, state: Properties, inputs: Properties, context: Context) -> Properties:
        """Start it again, with the services it knows."""
        return self.create(inputs, context)[1]

    def delete(self, identifier: str, state: Properties, context: Context) -> None:
        """Stop it and whatever service is left."""
        try:
            _supervisor(state).stop()
        except ServiceError as error:
            raise ProviderError(str(error)) from error


def _supervisor(properties: Properties) -> Supervisor:
    return Supervisor(Store(Path(properties["root"])))
