"""The same resources written by hand, with their components (BENCH_COMPONENTS=1) or without."""

import json
import os
from pathlib import Path
from typing import Any

import pulumi

INPUTS = json.loads(Path("inputs.json").read_text())
COMPONENTS = os.environ["BENCH_COMPONENTS"] == "1"


class Component(pulumi.ComponentResource):
    def __init__(self, kind: str, name: str, parent: pulumi.Resource | None) -> None:
        self.facts = INPUTS[f"mlops:index:{kind} {name}"]
        super().__init__(f"mlops:index:{kind}", name, self.facts, pulumi.ResourceOptions(parent=parent))


class Resource(pulumi.CustomResource):
    def __init__(
        self,
        kind: str,
        name: str,
        parent: pulumi.Resource | None,
        needs: list[pulumi.Resource] | None = None,
        *,
        outputs: tuple[str, ...] = (),
        **wired: Any,
    ) -> None:
        properties = {**INPUTS[f"mlops-local:index:{kind} {name}"], **wired, **dict.fromkeys(outputs)}
        options = pulumi.ResourceOptions(parent=parent, depends_on=needs)
        super().__init__(f"mlops-local:index:{kind}", name, properties, options)


def component(kind: str, name: str, parent: pulumi.Resource | None) -> pulumi.Resource | None:
    return Component(kind, name, parent) if COMPONENTS else None


def finish(made: pulumi.Resource | None, **outputs: Any) -> None:
    if isinstance(made, Component):
        made.register_outputs({**made.facts, **outputs})


DATA = f"file://{Path.cwd()}/.mlops"

platform = component("LocalPlatform", "bench", None)
store = Resource("Store", "bench-store", platform)
supervisor = Resource("Supervisor", "bench-supervisor", platform, root=store.root, outputs=("status",))
store_uri = store.root.apply(lambda root: f"file://{root}")
tracking_uri = store.root.apply(lambda root: f"sqlite:///{root}/mlflow.db")
finish(platform, storeUri=store_uri, trackingUri=tracking_uri, trackingUrl=None)
for i in range(int(os.environ["BENCH_MODELS"])):
    name = f"model{i}"
    server_address = f"http://127.0.0.1:{20000 + i}"
    stack = component("MLStack", name, None)

    finish(component("Governance", name, stack), evidenceUri=None)

    data = component("Dataset", name, stack)
    sources = Resource("Dataset", f"{name}-sources", data, root=store.root, outputs=("fingerprints",))
    uri = sources.fingerprints.apply(lambda _: f"{DATA}/snapshots")
    finish(data, uri=uri, fingerprints=sources.fingerprints, classifications={name: "internal"})

    features = component("FeatureStore", name, stack)
    offline = store.root.apply(lambda _: f"{DATA}/features/offline")
    finish(features, offlineUri=offline, onlineUrl=store.root.apply(lambda _: None))

    cluster = component("TrainingCluster", name, stack)
    finish(cluster, uri="process://here")

    registry = component("ModelRegistry", name, stack)
    finish(registry, uri=tracking_uri)

    endpoint = component("Endpoint", f"{name}-{name}", stack)
    server = Resource("Service", f"{name}-{name}-server", endpoint, [supervisor], root=store.root, outputs=("status",))
    url = server.status.apply(lambda _, at=server_address, model=name: f"{at}/v2/models/{model}")
    metrics = server.status.apply(lambda _, at=server_address: f"{at}/metrics")
    finish(endpoint, url=url, metricsUrl=metrics)

    needs = [made for made in (data, registry, features, cluster, endpoint) if made] or [sources, server]
    pipeline = component("TrainingPipeline", name, stack)
    run = Resource(
        "PipelineRun",
        f"{name}-run",
        pipeline,
        needs,
        root=store.root,
        fingerprints=sources.fingerprints,
        outputs=("definition_path", "run_id", "status", "version"),
    )
    definition = run.definition_path.apply(lambda path: f"file://{path}")
    finish(pipeline, definitionUri=definition, runId=run.run_id, status=run.status, version=run.version)

    monitor = component("Monitor", f"{name}-{name}", stack)
    watcher = Resource("Service", f"{name}-{name}-process", monitor, [supervisor], root=store.root, outputs=("status",))
    report = watcher.status.apply(lambda _, model=name: f"{DATA}/monitoring/{model}")
    finish(monitor, reportUri=report)

    retraining = component("ContinuousTraining", name, stack)
    Resource("Service", f"{name}-scheduler", retraining, [supervisor], root=store.root, outputs=("status",))
    finish(retraining)

    finish(
        stack,
        endpoints={name: url},
        url=url,
        storeUri=store_uri,
        trackingUri=tracking_uri,
        version=run.version,
        status=run.status,
    )
