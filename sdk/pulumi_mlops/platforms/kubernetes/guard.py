"""The checks of a cluster within a Pulumi program: what fails ends it before anything is created."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pulumi
from pulumi.runtime import settings as engine
from pulumi.runtime.mocks import MockMonitor

from pulumi_mlops.platforms.checks import Status
from pulumi_mlops.platforms.kubernetes.checks import checks
from pulumi_mlops.platforms.kubernetes.questions import Server, UnreachableError

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec

SWITCH: Final = "MLOPS_PREFLIGHT"
"""Environment variable: `off` lets a program go on whatever the cluster says, when the checks themselves are wrong."""


def problems(spec: Spec) -> list[str]:
    """What the cluster refuses, a sentence each; warnings go to the engine's log.

    Nothing is asked where no engine runs the program (tests, `mlops check`), where the program's cluster is not that of
    the kubeconfig (`pulumi config set kubernetes:kubeconfig`), or where no cluster answers, which the provider tells.
    """
    settings, config = spec.platform.kubernetes, pulumi.Config("kubernetes")
    monitor = engine.get_monitor()
    if settings is None or monitor is None or isinstance(monitor, MockMonitor):
        return []
    if os.environ.get(SWITCH) == "off" or config.get("kubeconfig") is not None:
        return []
    found = []
    try:
        for check in checks(spec, settings, Server(settings.context or config.get("context"))):
            told = f"{check.name}: {check.message}" + "".join(f"\n    {remedy}" for remedy in check.remedies)
            if check.status is Status.FAIL:
                found.append(told)
            elif check.status is Status.WARN:
                pulumi.log.warn(told)
    except UnreachableError as error:
        pulumi.log.info(f"the cluster was not checked: {error}")
    return found
