"""What would keep a spec from coming up on this machine."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from pulumi_mlops.spec.endpoints import Endpoint
from pulumi_mlops.spec.governance import Governance
from pulumi_mlops.spec.training import Compute, Training

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec

_FOR_CLUSTERS: Final = "take it out, or move it to the environment of a cluster"

DELIVERY: Final = f"delivery: this machine knows no identities of a CI; {_FOR_CLUSTERS}"
"""Why there is no delivery on this machine."""

_UNITS: Final = (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))


def problems(spec: Spec) -> list[str]:
    """Problems, a sentence each; nothing is changed."""
    local = spec.platform.local
    found = [
        *compute_problems(spec.training.compute),
        *distribution_problems(spec.training),
        *governance_problems(spec.governance),
    ]
    for i, endpoint in enumerate(spec.endpoints):
        found += endpoint_problems(endpoint, f"endpoints[{i}]")
    found += [
        f"monitors.{monitor.name}.sagemaker: SageMaker is not here; take it out, or move it to the environment of AWS"
        for monitor in spec.monitors
        if monitor.sagemaker is not None
    ]
    if spec.delivery is not None:
        found.append(DELIVERY)
    root = spec.resolve(local.data_dir)
    nearest = next(folder for folder in (root, *root.parents) if folder.exists())
    free = shutil.disk_usage(nearest).free
    if free < local.min_free_disk:
        found.append(
            f"platform.local.min_free_disk: {_size(local.min_free_disk)} asked for, {nearest} has {_size(free)}"
        )
    if local.tracking.ui is not None and find_spec("flask") is None:
        found.append("platform.local.tracking.ui: MLflow's UI is not installed; pip install 'pulumi-mlops[ui]'")
    return found


def compute_problems(compute: Compute) -> list[str]:
    """What training asks for and this machine does not have."""
    found = []
    cores = os.cpu_count() or 1
    if compute.cpu > cores:
        found.append(f"training.compute.cpu: {compute.cpu:g} cores asked for, this machine has {cores}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if compute.memory > memory:
        found.append(f"training.compute.memory: {_size(compute.memory)} asked for, this machine has {_size(memory)}")
    if compute.gpu:
        found.append(f"training.compute.gpu: steps on this machine use no GPU; {_FOR_CLUSTERS}")
    if compute.spot:
        found.append(f"training.compute.spot: nobody takes this machine away; {_FOR_CLUSTERS}")
    return found


def distribution_problems(training: Training) -> list[str]:
    """What is declared for several machines."""
    if training.distribution is None:
        return []
    return [f"training.distribution: this is one machine; raise tuning.parallel, or {_FOR_CLUSTERS}"]


def endpoint_problems(endpoint: Endpoint, at: str) -> list[str]:
    """What is declared of an endpoint for a cluster, and has no meaning for one process.

    Arguments:
        endpoint: the endpoint.
        at: where it stands.
    """
    reasons = {
        "resources": "the server takes what it needs",
        "scale": "one server answers here",
        "rollout": "a version takes over at once here",
        "host": "servers listen on loopback here",
        "shadow": "a version takes over at once here",
        "serverless": "the server runs all the time here",
        "shards": "one process scores the table here",
    }
    return [
        f"{at}.{field}: {reason}; {_FOR_CLUSTERS}"
        for field, reason in reasons.items()
        if field in endpoint.model_fields_set and getattr(endpoint, field) is not None
    ]


def governance_problems(governance: Governance) -> list[str]:
    """What is declared for a cloud, and has no meaning on this machine."""
    reasons = {"regions": "this machine is in no region", "budget": "this machine sends no bills"}
    return [
        f"governance.{field}: {reason}; take it out, or move it to the environment of a cloud: "
        f"environments: {{NAME: {{governance: {{{field}: …}}}}}}"
        for field, reason in reasons.items()
        if getattr(governance, field) is not None
    ]


def _size(size: int) -> str:
    unit, divisor = next((unit for unit in _UNITS if size >= unit[1]), _UNITS[-1])
    return f"{size / divisor:.1f}{unit}"
