"""What would keep a spec from coming up on this machine."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from pulumi_mlops.spec.governance import Governance
from pulumi_mlops.spec.training import Compute

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec

_UNITS: Final = (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))


def problems(spec: Spec) -> list[str]:
    """Problems, a sentence each; nothing is changed."""
    local = spec.platform.local
    found = [*compute_problems(spec.training.compute), *governance_problems(spec.governance)]
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
    return found


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
