"""The pipeline of a model as templates of Argo: each step is a command of the runtime in a pod of its own.

    main:  make → approve (where the version waits for approval) → deploy
    make:  admit → ingest → verify → featurize → train → evaluate → validate → register

`make` and `deploy` each hold the model's lock: one run at a time works on the model, and a version that waits for its
approval keeps no other run back. Steps hand files on in the store, and scalars as output parameters. What is not part
of a run is in `tasks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from mlops_runtime.rollout.pace import longest
from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.platforms.kubernetes import pods, ray, scoring, workflow
from pulumi_mlops.platforms.kubernetes.tasks import BY, MATERIALIZE, REASON, ROLLBACK, TO
from pulumi_mlops.platforms.kubernetes.workflow import RUN_ID, Common, Step
from pulumi_mlops.spec.endpoints import BatchEndpoint, RestEndpoint
from pulumi_mlops.spec.training import Compute

PARAMETERS: Final = {"trigger": "manual", "requested-by": "argo", "cooldown": "0", "new-data": ""}
"""Parameters of a pipeline's workflow: what started it, who asked for it, seconds since the last run's start below
which it is not admitted (0: always is), and the source that must have new data (none: needs none)."""

_LIGHT: Final = (0.25, 512 * 2**20)
"""CPU and memory of steps that only look things up."""

_LIGHT_SECONDS: Final = 600.0

_MAKE: Final = ("ingest", "verify", "featurize", "train", "evaluate", "validate", "register")

_KEPT_SUCCESSES: Final = round(timedelta(days=7).total_seconds())
_KEPT_FAILURES: Final = round(timedelta(days=30).total_seconds())
"""How long workflows are kept, in seconds; runs themselves are on record in MLflow."""


@dataclass(frozen=True)
class Pipeline:
    """What the templates of a model's pipeline are made from.

    Arguments:
        plan: the pipeline.
        common: what all its pods have in common.
        source_mounts: of the secrets that reading the sources needs.
        online_mounts: of the secrets that the online store needs.
        deploy_account: service account of the step `deploy`.
        disk: bytes of a pod's ephemeral storage.
        queue: labels of pods that wait in a queue.
        train: where the step that trains may run; see `pods.placement`.
        cluster: the Ray cluster that trains, or None.
        commit: commit of the user's code, or None where there is none.
        namespace: the platform's.
    """

    plan: PipelinePlan
    common: Common
    source_mounts: Sequence[Mapping[str, Any]]
    online_mounts: Sequence[Mapping[str, Any]]
    deploy_account: str
    disk: int
    queue: Mapping[str, str]
    train: Mapping[str, Any]
    cluster: ray.Trainers | None
    commit: str | None
    namespace: str

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.plan.identity.name


def templates(pipeline: Pipeline) -> list[dict[str, Any]]:
    """The pipeline's templates: `main`, `make`, each step, `finish`, and what scores tables in shards after it."""
    waits = "'{{steps.make.outputs.parameters.status}}' == 'pending'"
    made = "'{{steps.make.outputs.parameters.go}}' == 'true'"
    after = scoring.after_deployment(pipeline.plan.endpoints)
    steps = [[_ask("make")], [_ask("approve", when=waits)], [_ask("deploy", when=made)]]
    if after:
        steps.append([{**each, "when": made} for each in after])
    return [
        {"name": "main", "steps": steps},
        _make(pipeline),
        workflow.template(pipeline.common, _admit(pipeline)),
        *(_made(pipeline, name) for name in _MAKE),
        {"name": "approve", "suspend": {}},
        workflow.template(pipeline.common, _deploy(pipeline)),
        workflow.template(pipeline.common, _finish(pipeline)),
        *(_sharded(pipeline) if after else ()),
    ]


def tasks(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Templates of the model's other work: `materialize` where a view is online, batch scoring where tables are scored,
    `rollback` where there is an endpoint."""
    found, plan = [], pipeline.plan
    if any(view.online for view in plan.features.views.values()):
        mounts = [*pipeline.source_mounts, *pipeline.online_mounts]
        step = _heavy(pipeline, MATERIALIZE, [MATERIALIZE], mounts=mounts)
        found.append(workflow.template(pipeline.common, step))
    tables = [endpoint for endpoint in plan.endpoints if isinstance(endpoint, BatchEndpoint)]
    if any(endpoint.shards == 1 for endpoint in tables):
        step = _heavy(pipeline, scoring.BATCH, scoring.whole(), inputs=scoring.WHOLE)
        found.append(workflow.template(pipeline.common, step))
    if any(endpoint.shards > 1 for endpoint in tables):
        found += _sharded(pipeline)
    if plan.endpoints:
        found += _rollback(pipeline)
    return found


def _sharded(pipeline: Pipeline) -> list[dict[str, Any]]:
    steps = [
        _light(scoring.PLAN, scoring.plan(), outputs=scoring.PLANNED, inputs=[scoring.ENDPOINT]),
        _heavy(pipeline, scoring.SHARD, scoring.shard(), inputs=scoring.OF_A_SHARD),
        _light(scoring.GATHER, scoring.gather(), inputs=scoring.OF_THE_WHOLE),
    ]
    return [scoring.steps(), *(workflow.template(pipeline.common, step) for step in steps)]


def _rollback(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Deployments and rollbacks keep each other out; a run that trains for hours keeps no rollback back."""
    inputs = [BY, REASON, TO]
    arguments = [ROLLBACK, *(word for key in inputs for word in (f"--{key}", workflow.given(key)[key]))]
    after = scoring.after_deployment(pipeline.plan.endpoints)
    name = "go-back" if after else ROLLBACK
    step = replace(
        _deploy(pipeline),
        name=name,
        arguments=arguments,
        inputs=inputs,
        outputs=["version", "endpoints"],
        metrics=(),
        mutexes=[_switching(pipeline)],
        # Done again, it would go back one version more.
        once=True,
    )
    made = [workflow.template(pipeline.common, step)]
    if after:
        asked = _ask(name, arguments=workflow.parameters(workflow.given(*inputs)))
        made.insert(0, workflow.group(ROLLBACK, [[asked], after], inputs))
    return made


def _switching(pipeline: Pipeline) -> str:
    """The lock of what switches the model's endpoints; no model has a name with a dot."""
    return f"{pipeline.model}.endpoints"


def spec(pipeline: Pipeline, **shared: Any) -> dict[str, Any]:
    """The `spec` of the model's pipeline; `shared` is what it has in common with that of its other work."""
    return {
        "entrypoint": "main",
        "onExit": "finish",
        "arguments": workflow.parameters(PARAMETERS),
        "metrics": {"prometheus": [workflow.runs_metric(pipeline.model, pipeline.namespace)]},
        "templates": templates(pipeline),
        **shared,
    }


def asked(plan: PipelinePlan) -> list[tuple[str, float, int, int, bool]]:
    """What the pods that run at one time ask for at most: field, CPU cores, bytes of memory, GPUs, and whether on nodes
    that may be taken away."""
    compute, bounds = plan.training.compute, plan.training.distribution
    found = [("training.compute", compute.cpu, compute.memory, compute.gpu if bounds is None else 0, compute.spot)]
    if bounds is not None:
        workers = bounds.max_workers
        cpu = ray.HEAD_CPU + compute.cpu + workers * compute.cpu
        memory = ray.HEAD_MEMORY + compute.memory + workers * compute.memory
        found.append(("training.distribution.max_workers", cpu, memory, workers * compute.gpu, compute.spot))
    return found


def _ask(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "template": name, **more}


def _make(pipeline: Pipeline) -> dict[str, Any]:
    go = "'{{steps.admit.outputs.parameters.go}}' == 'true'"
    return {
        "name": "make",
        "synchronization": workflow.locks(pipeline.model),
        "steps": [[_ask("admit")], *([_ask(name, when=go)] for name in _MAKE)],
        "outputs": {
            "parameters": [
                {"name": "go", "valueFrom": {"parameter": "{{steps.admit.outputs.parameters.go}}"}},
                {
                    "name": "status",
                    # A run that was not admitted has no such step.
                    "valueFrom": {"parameter": "{{steps.register.outputs.parameters.status}}", "default": "none"},
                },
            ]
        },
    }


def _admit(pipeline: Pipeline) -> Step:
    arguments = [
        "admit",
        *("--run-id", RUN_ID),
        *("--trigger", "{{workflow.parameters.trigger}}"),
        *("--cooldown", "{{workflow.parameters.cooldown}}"),
        *("--new-data", "{{workflow.parameters.new-data}}"),
    ]
    return _light("admit", arguments, outputs=["go"], mounts=pipeline.source_mounts)


def _made(pipeline: Pipeline, name: str) -> dict[str, Any]:
    mounts = {
        "ingest": pipeline.source_mounts,
        # Features are brought up to date with every run.
        "featurize": pipeline.online_mounts,
    }.get(name, ())
    outputs = ["status", "version"] if name == "register" else ()
    if name != "train":
        step = _heavy(pipeline, name, _arguments(pipeline, name), mounts=mounts, outputs=outputs)
        return workflow.template(pipeline.common, step)
    if pipeline.cluster is None:
        step = _heavy(pipeline, name, _arguments(pipeline, name), gpu=True, placement=pipeline.train)
        return workflow.template(pipeline.common, step)
    # Words of other people's choice stay out of the entry point, which a shell reads.
    step = _heavy(pipeline, name, [name, "--run-id", RUN_ID, *_commit(pipeline)])
    return ray.template(pipeline.common, step, pipeline.cluster)


def _deploy(pipeline: Pipeline) -> Step:
    rollouts = [endpoint.rollout for endpoint in pipeline.plan.endpoints if isinstance(endpoint, RestEndpoint)]
    watched = sum(
        longest(0, 0.0) if rollout is None else longest(len(rollout.steps), rollout.interval.total_seconds())
        for rollout in rollouts
    )
    compute = pipeline.plan.training.compute
    return Step(
        "deploy",
        _arguments(pipeline, "deploy"),
        _resources(compute, pipeline.disk),
        # Tables without a schedule are scored by the way, each within a step's time.
        watched + compute.time_limit.total_seconds(),
        account=pipeline.deploy_account,
        metrics=[workflow.last_success_metric(pipeline.model, pipeline.namespace)],
        mutexes=[pipeline.model, _switching(pipeline)],
    )


def _finish(pipeline: Pipeline) -> Step:
    ending = ["--status", "{{workflow.status}}", "--failures", "{{workflow.failures}}"]
    return _light("finish", [*_arguments(pipeline, "finish"), *ending])


def _arguments(pipeline: Pipeline, name: str) -> list[str]:
    asked_by = [
        "--trigger",
        "{{workflow.parameters.trigger}}",
        "--requested-by",
        "{{workflow.parameters.requested-by}}",
    ]
    return [name, "--run-id", RUN_ID, *asked_by, *_commit(pipeline)]


def _commit(pipeline: Pipeline) -> list[str]:
    return [] if pipeline.commit is None else ["--git-commit", pipeline.commit]


def _light(
    name: str,
    arguments: Sequence[str],
    *,
    outputs: Sequence[str] = (),
    inputs: Sequence[str] = (),
    mounts: Sequence[Mapping[str, Any]] = (),
) -> Step:
    cpu, memory = _LIGHT
    asked = pods.resources(cpu, memory, disk=2**30)
    return Step(name, arguments, asked, _LIGHT_SECONDS, outputs, inputs, mounts=mounts)


def _heavy(
    pipeline: Pipeline,
    name: str,
    arguments: Sequence[str],
    *,
    gpu: bool = False,
    outputs: Sequence[str] = (),
    inputs: Sequence[str] = (),
    mounts: Sequence[Mapping[str, Any]] = (),
    placement: Mapping[str, Any] | None = None,
) -> Step:
    compute = pipeline.plan.training.compute
    return Step(
        name,
        arguments,
        _resources(compute, pipeline.disk, gpu=gpu),
        compute.time_limit.total_seconds(),
        outputs,
        inputs,
        mounts=mounts,
        labels=pipeline.queue,
        placement=placement or {},
    )


def _resources(compute: Compute, disk: int, *, gpu: bool = False) -> dict[str, Any]:
    return pods.resources(compute.cpu, compute.memory, gpu=compute.gpu if gpu else 0, disk=disk)


def kept() -> dict[str, int]:
    """How long workflows are kept (Argo's `ttlStrategy`)."""
    return {"secondsAfterSuccess": _KEPT_SUCCESSES, "secondsAfterFailure": _KEPT_FAILURES}
