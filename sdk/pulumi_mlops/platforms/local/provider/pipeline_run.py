"""The pipeline, run when something it depends on has changed."""

from __future__ import annotations

import time
from pathlib import Path

from mlops_runtime.errors import BusyError, RejectedError
from mlops_runtime.stores.layout import Store, write_atomically
from pulumi_mlops.platforms.local.provider import process
from pulumi_mlops.platforms.local.provider.handler import CancelledError, Context, Handler, Properties, ProviderError


class PipelineRunHandler(Handler):
    """`mlops-local:index:PipelineRun`: a finished run of the pipeline as it is declared now."""

    token = "mlops-local:index:PipelineRun"  # noqa: S105 - a type token
    immutable = frozenset({"root", "model"})

    def preview(self, inputs: Properties) -> Properties:
        """Where the definition is; the run itself is known when it has ended."""
        return {**inputs, "definition_path": str(_definition(inputs))}

    def create(self, inputs: Properties, context: Context) -> tuple[str, Properties]:
        """Run the pipeline, or take the finished run of the same definition, code and data."""
        definition = _definition(inputs)
        write_atomically(definition, inputs["definition"])
        arguments = ["pipeline", "--definition", str(definition), "--trigger", "up", "--if-changed"]
        code, result, message = process.run(arguments, context)
        if code == BusyError.exit_code:
            context.say("another run of this pipeline is in progress; waiting for it")
        while code == BusyError.exit_code:
            if context.cancelled.is_set():
                raise CancelledError("interrupted while another run of this pipeline was in progress")
            time.sleep(1.0)
            code, result, message = process.run(arguments, context)
        if code not in (0, RejectedError.exit_code) or result is None:
            raise ProviderError(f"the pipeline failed; what serves now keeps serving.\n{message}")
        if result["status"] == "rejected":
            context.warn(f"the model did not pass the gate and is not deployed: {result['message']}")
        if result["status"] == "pending":
            context.warn(f"version {result['version']} waits for approval: mlops approve {result['version']} --by NAME")
        outputs = {
            **self.preview(inputs),
            "run_id": result["run_id"],
            "status": result["status"],
            "version": result["version"],
        }
        return str(definition), outputs

    def read(self, identifier: str, state: Properties) -> Properties | None:
        """Gone where the run's record is gone."""
        record = Store(Path(state["root"])).runs(state["model"]) / str(state["run_id"]) / "run.json"
        return state if record.exists() else None

    def update(self, identifier: str, state: Properties, inputs: Properties, context: Context) -> Properties:
        """Run it again."""
        return self.create(inputs, context)[1]

    def delete(self, identifier: str, state: Properties, context: Context) -> None:
        """Runs and models stay in the store; only the definition goes."""
        Path(identifier).unlink(missing_ok=True)


def _definition(inputs: Properties) -> Path:
    return Store(Path(inputs["root"])).definition(inputs["model"])
