"""Steps of a run in one job: each as the orchestrator of a cluster runs it, one after the other.

SageMaker calls nobody when an execution ends, so the job in which a run ends records that: with its last step, or with
the failure of any.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mlops_runtime.errors import BadInputError, RejectedError, SignalledError, StepError
from mlops_runtime.pipeline.single import run_step
from mlops_runtime.sagemaker import overdue, package, turn
from mlops_runtime.sagemaker.container import Container
from mlops_runtime.steps.base import Run

_LOOKED_AT: Final = 10
"""Last runs that are looked at for ends that are not on record."""

_KILLED: Final = "it was stopped or killed; the console of SageMaker says why"

ADMIT: Final = "admit"
REGISTER: Final = "register"


@dataclass(frozen=True)
class Admit:
    """What `admit` decides by.

    Arguments:
        pipeline: name of the SageMaker pipeline, whose earlier executions are waited for.
        cooldown: seconds since the last run's start in which no other is made, unless by hand.
        new_data: source that must have changed since it was read last; None: none must.
    """

    pipeline: str
    cooldown: float | None
    new_data: str | None


@dataclass
class Job:
    """A job at work.

    Arguments:
        container: where it runs.
        run: the run.
        steps: its steps, in order; the first may be `admit`.
        admit: for that one.
        images: image of the endpoints by the bundle's runtime (`onnxruntime`, `sklearn`), for the model's package.
        again: whether SageMaker starts the job again where it is interrupted.
        overdue: schedule that tells of overdue runs, which a run that succeeds puts off; None: there is none.
    """

    container: Container
    run: Run
    steps: Sequence[str]
    admit: Admit | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    again: bool = False
    overdue: str | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    """What is handed to the steps of the pipeline after it."""

    def work(self) -> None:
        """Do the steps. A run that is not admitted, or whose model is rejected, is no failure of the job: the outputs
        `go` and `status` say so.

        Raises:
            StepError: a step failed; the run is on record as failed.
            SignalledError: the job was told to stop.
        """
        try:
            self._work()
        except SignalledError:
            if not self.again:
                self._end("Failed")
            raise
        except BaseException as error:
            self._end("Failed")
            self.container.tell_failure(_sentence(error))
            raise

    def _work(self) -> None:
        for name in self.steps:
            if name == ADMIT:
                if not self._admitted():
                    break
                continue
            try:
                done = run_step(self.run, name).model_dump(mode="json")
            except RejectedError as error:
                # The version is on record, with the reasons; the pipeline ends as failed by its own step.
                self.run.progress(f"{name}: {error}")
                done = self._registered()
            self.outputs |= done
            if name == REGISTER:
                self._publish()
        if REGISTER in self.steps:
            self._end("Succeeded")
            if self.outputs["status"] != "rejected":
                self._put_off()
        if not self.container.is_training:
            self.container.write_outputs({"run": self.run.id, **self.outputs})

    def _admitted(self) -> bool:
        from mlops_runtime.pipeline.admission import admit

        if self.admit is None:
            raise BadInputError("admit: say which pipeline's runs are waited for, by --pipeline")
        definition = self.run.definition
        limit = turn.EARLIER * definition.training.compute.time_limit
        turn.wait(self.admit.pipeline, self.run.id, limit, self.run.progress)
        self._close()
        answer = admit(
            definition,
            trigger=self.run.trigger,
            run_id=self.run.id,
            cooldown=self.admit.cooldown,
            new_data=self.admit.new_data,
        )
        self.run.progress(f"admit: {'run' if answer.go else 'no run'}: {answer.reason}")
        self.outputs |= {"go": answer.go, "reason": answer.reason}
        return answer.go

    def _close(self) -> None:
        """Record the end of runs that were killed or stopped, and so could not: none of them is under way any more."""
        from mlops_runtime.pipeline.ending import finish
        from mlops_runtime.stores.tracking import Tracking

        for run in Tracking.of(self.run.definition).runs(limit=_LOOKED_AT):
            if run.status == "RUNNING" and run.id != self.run.id:
                killed = {"displayName": "job", "message": _KILLED, "finishedAt": run.started_at}
                ending = finish(Run(run.id, self.run.definition), "Failed", json.dumps([killed]))
                self.run.progress(f"admit: the run {run.id} had not ended: {ending.message}")

    def _registered(self) -> dict[str, Any]:
        from mlops_runtime.steps.register import RegisterOutputs

        return self.run.outputs(REGISTER, RegisterOutputs).model_dump(mode="json")

    def _publish(self) -> None:
        """Hand on what SageMaker's registry is told of the version."""
        if self.outputs["status"] == "rejected":
            return
        runtime = self.outputs["runtime"]
        if runtime not in self.images:
            raise BadInputError(
                f"register: version {self.outputs['version']} runs on {runtime}, and there is no image for that: "
                "set platform.aws.images.serving_sklearn, or registry.onnx.mode: required"
            )
        self.outputs |= {
            "image": self.images[runtime],
            "model_data": package.publish(self.run.definition, self.outputs["version"]),
            "approval": "Approved" if self.outputs["status"] == "approved" else "PendingManualApproval",
            "commit": self.run.git_commit or "none",
        }

    def _put_off(self) -> None:
        """Put off the alert of overdue runs; that this fails is told, and does not undo the run."""
        if self.overdue is None:
            return
        try:
            overdue.put_off(self.overdue)
        except StepError as error:
            self.run.progress(f"finish: {error}")

    def _end(self, status: Any) -> None:
        """Record how the run ended; a record that can't be made hides no failure."""
        from mlops_runtime.pipeline.ending import finish

        if status == "Failed" and ADMIT in self.steps and not self.outputs.get("go"):
            return  # not admitted: there is no run
        try:
            ending = finish(self.run, status)
        except StepError as error:
            if status == "Succeeded":
                raise
            self.run.progress(f"the end of the run can't be recorded: {error}")
            return
        self.run.progress(": ".join(part for part in ("finish", ending.outcome, ending.message) if part))


def _sentence(error: BaseException) -> str:
    if isinstance(error, StepError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}"
