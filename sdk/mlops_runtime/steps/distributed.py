"""Work on a Ray cluster: fits that are spread over its workers.

The step itself runs on the cluster's head, connected by `connect`. A training function finds Ray connected, and puts
what it likes where it likes.
"""

from __future__ import annotations

import concurrent.futures
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadInputError, StepError
from mlops_runtime.steps import fitting

CHECKPOINTS: Final = "MLOPS_CHECKPOINTS"
"""Environment variable that names the folder on a volume which outlives the cluster."""


def connect(definition: Definition) -> None:
    """Join the Ray cluster that this process is part of.

    Raises:
        BadInputError: the definition has no `training.distribution`, Ray is not installed, or there is no cluster.
    """
    if definition.training.distribution is None:
        raise BadInputError("--ray: the definition says nothing of workers; add training.distribution to the spec")
    try:
        import ray
    except ModuleNotFoundError:
        raise BadInputError(
            "--ray: Ray is not installed here; put pulumi-mlops[ray] into the job image, or take training.distribution "
            "out of the spec"
        ) from None
    if ray.is_initialized():
        return
    # Ray's own 20 attempts take 40 s each; the head runs before the step does.
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")
    try:
        ray.init(address="auto", log_to_driver=True, logging_level="warning")
    except ConnectionError as error:
        first = str(error).strip().partition("\n")[0]
        raise BadInputError(f"--ray: no Ray cluster is running here ({first}); start one, or leave out --ray") from None


def connected(definition: Definition) -> bool:
    """Whether fits of a definition go to the workers of a cluster."""
    if definition.training.distribution is None or "ray" not in sys.modules:
        return False
    import ray

    return bool(ray.is_initialized())


def checkpoints(model: str, run_id: str) -> Path | None:
    """Folder of a run on the volume for checkpoints; None where there is no such volume."""
    folder = os.environ.get(CHECKPOINTS)
    return Path(folder) / model / run_id if folder else None


class Workers:
    """Runs functions on the workers of a cluster.

    Arguments:
        definition: says what each worker has.
        together: how many calls there are at a time; the cores of all workers are shared among them.
        work: first argument of every call, sent to each worker once.
    """

    def __init__(self, definition: Definition, together: int, work: Any) -> None:
        import ray

        distribution = definition.training.distribution
        assert distribution is not None
        cores = fitting.threads(definition.training.compute.cpu)
        self.share = max(1, min(cores, cores * distribution.max_workers // together))
        # A call has its worker's GPUs in proportion to the cores.
        gpus = distribution.gpu * self.share / cores
        asked = {"num_cpus": self.share, "num_gpus": math.floor(gpus) if gpus >= 1 else gpus}
        # Ray tries again where a worker is lost, not where the function fails.
        self._remote = ray.remote(max_retries=_LOST, retry_exceptions=False, **asked)(_call)
        self._work = ray.put(work)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> concurrent.futures.Future[Any]:
        """Call `function(work, *arguments)` on a worker.

        The future raises the StepError that the function raises as it is, and any other error with Ray's account of it.
        """
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def done(finished: concurrent.futures.Future[Any]) -> None:
            error = finished.exception()
            result = None if error is not None else finished.result()
            if isinstance(result, StepError):
                error = result
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        self._remote.remote(function, self._work, *arguments).future().add_done_callback(done)
        return future


_LOST: Final = 3
"""How often a call is begun again whose worker was lost."""


def _call(function: Callable[..., Any], work: Any, *arguments: Any) -> Any:
    try:
        return function(work, *arguments)
    except StepError as error:
        # As a value: Ray would wrap an exception, with its whole traceback as the message.
        return error
