"""The cluster itself: its version, its kinds of objects, the namespace, and what the caller may do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from pulumi_mlops.platforms.checks import Check, Status
from pulumi_mlops.platforms.kubernetes import catalogue, requirements
from pulumi_mlops.platforms.kubernetes.checks.question import Asked, namespace_exists
from pulumi_mlops.platforms.kubernetes.foundation import POD_SECURITY
from pulumi_mlops.platforms.kubernetes.objects import CLUSTER_WIDE
from pulumi_mlops.spec.kubernetes import Operator

OLDEST: Final = (1, 32)
"""The oldest Kubernetes that KServe 0.20 supports, which asks for the newest of all operators."""

VERBS: Final = ("create", "delete", "get", "patch")
"""What is done with every kind of object."""

_ENFORCE: Final = "pod-security.kubernetes.io/enforce"


def version(asked: Asked) -> Iterator[Check]:
    """Kubernetes is new enough."""
    found = asked.server.get("/version") or {}
    numbers = [int(re.sub(r"\D.*", "", str(found.get(key, ""))) or 0) for key in ("major", "minor")]
    name, message = "API server", f"{found.get('gitVersion', 'unknown version')} at {asked.server.url}"
    if tuple(numbers) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        yield Check(name, Status.FAIL, message, (f"Kubernetes {wanted} or newer is needed: upgrade the cluster.",))
    else:
        yield Check(name, Status.OK, message)


def kinds(asked: Asked) -> Iterator[Check]:
    """The definitions of custom resources are there, in the versions that are used."""
    wanted: dict[str, list[requirements.Kind]] = {}
    for version, kind in requirements.kinds(asked.spec, asked.settings):
        wanted.setdefault(version.partition("/")[0], []).append((version, kind))
    for group, kinds in sorted(wanted.items()):
        missing = [(version, kind) for version, kind in kinds if kind not in (asked.server.served(version) or {})]
        operator = catalogue.operator_of(*kinds[0])
        name = f"{operator or 'Kubernetes'} ({group})"
        listed = ", ".join(kind for _, kind in kinds)
        if missing and operator in asked.settings.install_operators:
            yield Check(name, Status.OK, f"{listed}: come with the operator, which the stack installs")
        elif missing:
            yield Check(name, Status.FAIL, _lacking(asked, group, missing), _bringing(asked, group, operator))
        elif operator is not None or group == catalogue.GATEWAY_API:
            yield Check(name, Status.OK, listed)
    for operator in asked.settings.install_operators:
        for version, kind, who in catalogue.OPERATORS[operator].requires:
            if kind not in (asked.server.served(version) or {}):
                message = f"{operator}, which is to be installed, needs {who}: {version} has no {kind}"
                yield Check(f"{who} ({version})", Status.FAIL, message, (f"Install {who} first.",))


def _lacking(asked: Asked, group: str, missing: Iterable[requirements.Kind]) -> str:
    lacking = ", ".join(f"{kind} ({version.rpartition('/')[2]})" for version, kind in missing)
    served = asked.server.versions(group)
    return f"missing: {lacking}" + (f"; of {group} the cluster serves {', '.join(served)}" if served else "")


def _bringing(asked: Asked, group: str, operator: Operator | None) -> tuple[str, ...]:
    """How to get the custom resources of a group."""
    if operator is not None:
        version = catalogue.OPERATORS[operator].version
        installed = f"or platform.kubernetes.install_operators: [{operator}]; {version} is what the tests know"
        return (*catalogue.commands(operator, asked.settings), installed)
    if group == catalogue.GATEWAY_API:
        return ("Install a controller of Gateways with the Gateway API's definitions (1.6).",)
    if group == "security.istio.io":
        return ("Install Istio with its CNI plugin, or set platform.kubernetes.mesh: none.",)
    hint = "Upgrade Kubernetes; a MutatingAdmissionPolicy needs 1.36, or a namespace that is adopted"
    return (f"{hint} (platform.kubernetes.create_namespace: false).",)


def namespace(asked: Asked) -> Iterator[Check]:
    """The namespace is there or not, as the settings say, and enforces restricted pods."""
    settings = asked.settings
    found = asked.server.object("v1", "Namespace", settings.namespace)
    name = f"namespace {settings.namespace}"
    if found is None and settings.create_namespace:
        yield Check(name, Status.OK, "will be made")
    elif found is None:
        message = "is not there, and create_namespace is false"
        remedy = f"kubectl create namespace {settings.namespace}, or create_namespace: true"
        yield Check(name, Status.FAIL, message, (remedy,))
    else:
        labels = found["metadata"].get("labels", {})
        ours = labels.get("app.kubernetes.io/part-of") == "mlops"
        if settings.create_namespace and not ours:
            remedy = "Adopt it (platform.kubernetes.create_namespace: false), or choose another name."
            yield Check(name, Status.FAIL, "is there, and no stack of this kind has made it", (remedy,))
        elif labels.get(_ENFORCE) != POD_SECURITY[_ENFORCE]:
            message = f"does not enforce the Pod Security Standards' profile restricted ({_ENFORCE}: "
            message += f"{labels.get(_ENFORCE, 'not set')})"
            remedy = f"kubectl label namespace {settings.namespace} {_ENFORCE}=restricted"
            yield Check(name, Status.WARN, message, (remedy,))
        else:
            yield Check(name, Status.OK, "is there, and enforces restricted pods")


def permissions(asked: Asked) -> Iterator[Check]:
    """The caller may change what the stack declares."""
    settings, server = asked.settings, asked.server
    within: list[str] = []
    wide: list[str] = []
    looked = 0
    for version, kind in requirements.kinds(asked.spec, settings):
        found = (server.served(version) or {}).get(kind)
        if found is None:
            continue  # told by the check of kinds
        looked += 1
        where = None if kind in CLUSTER_WIDE else settings.namespace
        refused = [verb for verb in VERBS if not server.may(verb, version, found["name"], where)]
        if refused:
            (wide if where is None else within).append(f"{found['name']} ({', '.join(refused)})")
    name = "permissions"
    if within:
        remedy = f"kubectl create rolebinding NAME --clusterrole=cluster-admin --user=USER -n {settings.namespace}"
        message = f"the caller may not change in namespace {settings.namespace}: {'; '.join(within)}"
        yield Check(name, Status.FAIL, message, (remedy,))
    if wide:
        # Where the stack is up they need not change: CI's rights end at the namespace.
        there = namespace_exists(asked)
        message = f"the caller may not change what is cluster-wide: {'; '.join(wide)}"
        remedy = "Let a cluster administrator run the first `pulumi up`, and each that changes one of these."
        yield Check(f"{name} (cluster-wide)", Status.WARN if there else Status.FAIL, message, (remedy,))
    if not within and not wide:
        yield Check(name, Status.OK, f"the caller may change all {looked} kinds of objects of the stack")
