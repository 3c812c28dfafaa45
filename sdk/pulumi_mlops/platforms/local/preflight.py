"""What would keep a spec from coming up on this machine."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from pulumi_mlops.spec.training import Compute

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec


def problems(spec: Spec) -> list[str]:
    """Problems, a sentence each; nothing is changed."""
    local = spec.platform.local
    found = compute_problems(spec.training.compute)
    root = spec.resolve(local.data_dir)
    nearest = next(folder for folder in (root, *root.parents) if folder.exists())
    free = shutil.disk_usage(nearest).free
    if free < local.min_free_disk:
        found.append(
            f"platform.local.min_free_disk: {_gibibytes(local.min_free_disk)} asked for, "
            f"{nearest} has {_gibibytes(free)}"
        )
    if shutil.which("pulumi-resource-mlops-local") is None:
        found.append(
            "the local provider (pulumi-resource-mlops-local) is not on PATH; activate the environment that "
            "pulumi-mlops is installed in"
        )
    return found


def compute_problems(compute: Compute) -> list[str]:
    """What training asks for and this machine does not have."""
    found = []
    cores = os.cpu_count() or 1
    if compute.cpu > cores:
        found.append(f"training.compute.cpu: {compute.cpu:g} cores asked for, this machine has {cores}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if compute.memory > memory:
        found.append(
            f"training.compute.memory: {_gibibytes(compute.memory)} asked for, this machine has {_gibibytes(memory)}"
        )
    return found


def _gibibytes(size: int) -> str:
    return f"{size / 2**30:.1f}Gi"
