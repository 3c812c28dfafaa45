"""Training on Kubernetes: queues, and the pipeline as a workflow of Argo, with its accounts, files and first run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pulumi

from mlops_runtime.steps.base import digest_of
from pulumi_mlops.platforms.base import BuiltCluster, BuiltPipeline, PipelinePlan
from pulumi_mlops.platforms.definition import Placement, definition
from pulumi_mlops.platforms.kubernetes import (
    dataset,
    endpoint,
    feature_store,
    identities,
    limits,
    names,
    pipeline,
    pods,
    queues,
    ray,
    tasks,
    workflow,
)
from pulumi_mlops.platforms.kubernetes.cluster import STORE, Cluster, component, config_volume
from pulumi_mlops.platforms.kubernetes.network import Outside, Pods
from pulumi_mlops.platforms.kubernetes.pipeline import Pipeline
from pulumi_mlops.platforms.kubernetes.source import Source
from pulumi_mlops.platforms.kubernetes.workflow import Common
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.training import Compute

CODE: Final = PurePosixPath("/code")
"""Where pods find the user's code."""

CONFIG: Final = PurePosixPath("/etc/mlops")
"""Where pods find the pipeline definition."""

_API_SERVER: Final = (443, 6443)


def build_cluster(cluster: Cluster, parent: pulumi.Resource, name: str, compute: Compute) -> BuiltCluster:
    """The queue that jobs wait in, shared by all models of the namespace.

    Raises:
        pulumi.RunError: a step would never fit.
    """
    if found := limits.compute_problems(compute, cluster.settings):
        raise pulumi.RunError(f"{name}: " + "; ".join(found))
    queues.build(cluster, name)
    where = f"namespace/{cluster.namespace}"
    return BuiltCluster(
        uri=pulumi.Output.from_input(where + ("" if cluster.settings.queue is None else f"/{queues.NAME}"))
    )


def build_pipeline(cluster: Cluster, parent: pulumi.Resource, name: str, plan: PipelinePlan) -> BuiltPipeline:
    """The model's WorkflowTemplates, and a workflow where definition or code have changed.

    `up` does not wait for the workflow: how it ends is MLflow's to tell (`mlops status`). It is kept until the next one
    takes its place, so that it is not started again by a later `up`.

    Raises:
        pulumi.RunError: code or settings can't be brought into a cluster.
    """
    if found := limits.problems(plan, cluster.settings):
        raise pulumi.RunError(f"{name}: " + "; ".join(found))
    model = plan.identity.name
    cluster.claim("model", model, name)
    document = definition(plan, _placement(cluster, plan))
    source = Source(plan.code, cluster.directory, document)
    text = document.model_dump_json()
    config = config_volume(
        cluster,
        f"{name}-definition",
        f"{model}-definition",
        {"definition.json": text},
        CONFIG,
        parent=parent,
        optional=True,
    )
    files = source.files(name)
    code = config_volume(cluster, f"{name}-code", f"{model}-code", files, CODE, parent=parent, optional=True)
    references = _references(cluster, plan)
    accounts = identities.build(cluster, parent, name, plan)
    needs = [config[2], code[2], *accounts, *queues.build(cluster, name), *cluster.secrets.needs(references)]
    volumes = [config[0], code[0], cluster.workspace[0]]
    trainers = _ray(cluster, parent, name, plan, volumes, needs)
    parts = _pipeline(cluster, plan, [config[1], code[1]], trainers, source.commit())
    # Sources are downloaded and unpacked in /tmp before they are in the store.
    scratch = pods.scratch(str(cluster.settings.workspace))
    shared = _shared(cluster, model, [scratch, *volumes, *cluster.secrets.volumes(references)[0]])
    labels = component("pipeline", model)
    template = _template(pipeline.spec(parts, **shared))
    made = cluster.objects.add(f"{name}-workflow", template, name=model, parent=parent, labels=labels, needs=needs)
    if others := pipeline.tasks(parts):
        spec = {"entrypoint": others[0]["name"], "templates": others, **shared}
        cluster.objects.add(
            f"{name}-tasks", _template(spec), name=tasks.template(model), parent=parent, labels=labels, needs=needs
        )
    _flows(cluster, plan)
    run_id = _first_run(
        cluster, parent, name, model, digest_of([document.decides_model(), source.digest()]), made, plan
    )
    return BuiltPipeline(
        definition_uri=pulumi.Output.from_input(f"configmap://{cluster.namespace}/{config[0]['configMap']['name']}"),
        run_id=run_id,
        status=pulumi.Output.from_input("started"),
        version=pulumi.Output.from_input(None),
    )


def _placement(cluster: Cluster, plan: PipelinePlan) -> Placement:
    def service(settings: RestEndpoint) -> dict[str, Any]:
        return endpoint.inference_service(cluster, settings)

    return Placement(
        store=STORE,
        directory=cluster.directory,
        secret=cluster.secrets.reference,
        bucket=cluster.bucket,
        tracking_uri=cluster.tracking_uri,
        online_store=feature_store.definition(cluster, plan.features),
        inference_service=service,
        code=Path(CODE),
    )


def _online_references(cluster: Cluster, plan: PipelinePlan) -> list[str]:
    online = any(view.online for view in plan.features.views.values())
    return feature_store.references(cluster.settings) if online else []


def _references(cluster: Cluster, plan: PipelinePlan) -> list[str]:
    return [*dataset.password_references(plan.data), *_online_references(cluster, plan)]


def _shared(cluster: Cluster, model: str, volumes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What all workflows of a model have in common, and their pods."""
    placement = pods.placement(cluster.settings, regions=cluster.regions.get(model, ()))
    if priority := placement.pop("priorityClassName", None):
        placement["podPriorityClassName"] = priority  # as a workflow calls it
    made: dict[str, Any] = {
        "serviceAccountName": identities.steps(model),
        "automountServiceAccountToken": False,
        "executor": {"serviceAccountName": identities.executor(model)},
        "securityContext": pods.POD_SECURITY,
        "volumes": list(volumes),
        "podMetadata": {"labels": component("pipeline", model)},
        "workflowMetadata": {"labels": component("pipeline", model)},
        # Failed pods stay until their workflow goes, with their logs.
        "podGC": {"strategy": "OnPodSuccess"},
        "ttlStrategy": pipeline.kept(),
        "archiveLogs": False,
        **placement,
    }
    return made


def _template(spec: dict[str, Any]) -> dict[str, Any]:
    if missing := workflow.undefined(spec):
        raise AssertionError(f"templates that are not there: {missing}")
    return {"apiVersion": workflow.API, "kind": "WorkflowTemplate", "spec": spec}


def _pipeline(
    cluster: Cluster,
    plan: PipelinePlan,
    mounts: Sequence[dict[str, Any]],
    trainers: ray.Trainers | None,
    commit: str | None,
) -> Pipeline:
    settings, model, compute = cluster.settings, plan.identity.name, plan.training.compute
    common = Common(
        image=settings.images.job,
        definition=str(CONFIG / "definition.json"),
        # The root file system can't be written, and libraries look for a home.
        environment=[*cluster.store_environment, {"name": "HOME", "value": "/tmp"}],  # noqa: S108 - a volume
        mounts=[cluster.workspace[1], *mounts],
        labels=component("pipeline", model),
    )
    regions = cluster.regions.get(model, ())
    return Pipeline(
        plan=plan,
        common=common,
        source_mounts=cluster.secrets.volumes(dataset.password_references(plan.data))[1],
        online_mounts=cluster.secrets.volumes(_online_references(cluster, plan))[1],
        deploy_account=identities.deployer(model),
        disk=_disk(cluster),
        queue=queues.labels(settings),
        train=pods.placement(settings, regions=regions, spot=compute.spot, gpu=compute.gpu > 0),
        cluster=trainers,
        commit=commit,
        namespace=cluster.namespace,
    )


def _disk(cluster: Cluster) -> int:
    """Ephemeral storage of a step's pod: the working copy of the store and what is in /tmp, together."""
    return cluster.settings.workspace + 2**30


def _ray(
    cluster: Cluster,
    parent: pulumi.Resource,
    name: str,
    plan: PipelinePlan,
    volumes: Sequence[dict[str, Any]],
    needs: list[pulumi.Resource],
) -> ray.Trainers | None:
    bounds, compute, model = plan.training.distribution, plan.training.compute, plan.identity.name
    if bounds is None:
        return None
    claim = None
    if bounds.checkpoints is not None:
        claim = names.fit(f"{model}-checkpoints")
        manifest = ray.claim(bounds.checkpoints, cluster.settings.storage_class)
        # Many classes make a volume with its first pod only; `up` does not wait for that.
        wait = {"pulumi.com/skipAwait": "true"}
        needs.append(cluster.objects.add(f"{name}-checkpoints", manifest, name=claim, parent=parent, annotations=wait))
    ray.flows(cluster, model)
    regions = cluster.regions.get(model, ())
    return ray.Trainers(
        model=model,
        compute=compute,
        distribution=bounds,
        account=identities.trainer(model),
        volumes=volumes,
        claim=claim,
        disk=_disk(cluster),
        head=_ray_placement(cluster, regions=regions),
        worker=_ray_placement(cluster, regions=regions, spot=compute.spot, gpu=compute.gpu > 0),
        labels=queues.labels(cluster.settings),
    )


def _ray_placement(cluster: Cluster, **wanted: Any) -> dict[str, Any]:
    return pods.placement(cluster.settings, **wanted)


def _flows(cluster: Cluster, plan: PipelinePlan) -> None:
    model = plan.identity.name
    steps = Pods("pipeline", component("pipeline"))
    cluster.store_flow(steps)
    cluster.tracking_flow(steps)
    for port in _API_SERVER:
        cluster.network.allow(steps, Outside("api-server"), port)
    dataset.flows(cluster, model, plan.data)
    if _online_references(cluster, plan):
        feature_store.store_flow(cluster, steps)
    monitoring = cluster.settings.monitoring
    rest = [each for each in plan.endpoints if isinstance(each, RestEndpoint)]
    if monitoring is not None and any(each.rollout is not None for each in rest):
        cluster.network.reach(Pods(f"{model}-pipeline", component("pipeline", model)), "prometheus", monitoring.url)


def _first_run(
    cluster: Cluster,
    parent: pulumi.Resource,
    name: str,
    model: str,
    digest: str,
    template: pulumi.Resource,
    plan: PipelinePlan,
) -> pulumi.Output[str]:
    manifest = {
        "apiVersion": workflow.API,
        "kind": "Workflow",
        "spec": {
            "workflowTemplateRef": {"name": model},
            "arguments": workflow.parameters({"trigger": "up", "requested-by": "pulumi"}),
            # Pulumi takes it away when the next one is there; were it gone before, the next `up` would train again.
            "ttlStrategy": {"secondsAfterCompletion": _FOR_EVER},
        },
    }
    run_id = names.fit(f"{model}-{names.digest(digest)}")
    made = cluster.objects.add(
        f"{name}-run",
        manifest,
        name=run_id,
        parent=parent,
        labels=component("pipeline", model),
        annotations={"pulumi.com/skipAwait": "true"},
        needs=[template, *plan.needs],
        # Argo's controller writes its labels and the state of the run into the object.
        ignore=["spec", "metadata.labels", "metadata.annotations", "status"],
    )
    return made.id.apply(lambda _: run_id)


_FOR_EVER: Final = 10 * 365 * 86_400
