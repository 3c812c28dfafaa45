"""Whether a cluster can take the stack of a spec: asked before anything is created, nothing is changed."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pulumi_mlops.platforms.kubernetes import catalogue, requirements, tracking
from pulumi_mlops.platforms.kubernetes.endpoint import storage_annotations
from pulumi_mlops.platforms.kubernetes.foundation import POD_SECURITY
from pulumi_mlops.platforms.kubernetes.objects import CLUSTER_WIDE
from pulumi_mlops.platforms.kubernetes.pods import GPU, REGION
from pulumi_mlops.platforms.kubernetes.questions import ForbiddenError, Object, Server
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.kubernetes import Kubernetes, Operator

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec

OLDEST: Final = (1, 32)
"""The oldest Kubernetes that KServe 0.20 supports, which asks for the newest of all operators."""

VERBS: Final = ("create", "delete", "get", "patch")
"""What is done with every kind of object."""

_ENFORCE: Final = "pod-security.kubernetes.io/enforce"


class Status(StrEnum):
    """What came of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """What came of a check.

    Arguments:
        name: what was looked at.
        status: what came of it.
        message: what was found.
        remedies: what mends it, each a sentence or a command.
    """

    name: str
    status: Status
    message: str
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Asked:
    spec: Spec
    settings: Kubernetes
    server: Server


def checks(spec: Spec, settings: Kubernetes, server: Server) -> Iterator[Check]:
    """What the cluster says to a spec, a check at a time.

    Raises:
        UnreachableError: the API server stops answering.
    """
    asked = _Asked(spec, settings, server)
    for name, check in _CHECKS.items():
        try:
            yield from check(asked)
        except ForbiddenError as error:
            yield Check(name, Status.WARN, f"not checked, for the caller may not look: {error}")


def _version(asked: _Asked) -> Iterator[Check]:
    found = asked.server.get("/version") or {}
    numbers = [int(re.sub(r"\D.*", "", str(found.get(key, ""))) or 0) for key in ("major", "minor")]
    name, message = "API server", f"{found.get('gitVersion', 'unknown version')} at {asked.server.url}"
    if tuple(numbers) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        yield Check(name, Status.FAIL, message, (f"Kubernetes {wanted} or newer is needed: upgrade the cluster.",))
    else:
        yield Check(name, Status.OK, message)


def _kinds(asked: _Asked) -> Iterator[Check]:
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


def _lacking(asked: _Asked, group: str, missing: Iterable[requirements.Kind]) -> str:
    lacking = ", ".join(f"{kind} ({version.rpartition('/')[2]})" for version, kind in missing)
    served = asked.server.versions(group)
    return f"missing: {lacking}" + (f"; of {group} the cluster serves {', '.join(served)}" if served else "")


def _bringing(asked: _Asked, group: str, operator: Operator | None) -> tuple[str, ...]:
    """How to get the custom resources of a group."""
    if operator is not None:
        version = catalogue.OPERATORS[operator].version
        installed = f"or platform.kubernetes.install_operators: [{operator}]; {version} is what the tests know"
        return (*catalogue.commands(operator, asked.settings), installed)
    if group == catalogue.GATEWAY_API:
        return ("Install a controller of Gateways with the Gateway API's definitions (1.6).",)
    hint = "Upgrade Kubernetes; a MutatingAdmissionPolicy needs 1.36, or a namespace that is adopted"
    return (f"{hint} (platform.kubernetes.create_namespace: false).",)


def _namespace(asked: _Asked) -> Iterator[Check]:
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


def _namespace_exists(asked: _Asked) -> bool:
    try:
        return asked.server.object("v1", "Namespace", asked.settings.namespace) is not None
    except ForbiddenError:
        return True  # whoever may not look at namespaces was given this one


def _permissions(asked: _Asked) -> Iterator[Check]:
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
        there = _namespace_exists(asked)
        message = f"the caller may not change what is cluster-wide: {'; '.join(wide)}"
        remedy = "Let a cluster administrator run the first `pulumi up`, and each that changes one of these."
        yield Check(f"{name} (cluster-wide)", Status.WARN if there else Status.FAIL, message, (remedy,))
    if not within and not wide:
        yield Check(name, Status.OK, f"the caller may change all {looked} kinds of objects of the stack")


def _storage(asked: _Asked) -> Iterator[Check]:
    settings, bounds = asked.settings, asked.spec.training.distribution
    if settings.tracking.volume is None and (bounds is None or bounds.checkpoints is None):
        return
    group = "storage.k8s.io/v1"
    if settings.storage_class is not None:
        name = f"storage class {settings.storage_class}"
        if asked.server.object(group, "StorageClass", settings.storage_class) is None:
            have = [each["metadata"]["name"] for each in _items(asked.server, f"/apis/{group}/storageclasses")]
            remedy = f"Set platform.kubernetes.storage_class to one of: {', '.join(sorted(have)) or 'none is there'}."
            yield Check(name, Status.FAIL, "is not there", (remedy,))
        else:
            yield Check(name, Status.OK, "is there")
        return
    marked = [
        each["metadata"]["name"]
        for each in _items(asked.server, f"/apis/{group}/storageclasses")
        if each["metadata"].get("annotations", {}).get("storageclass.kubernetes.io/is-default-class") == "true"
    ]
    if marked:
        yield Check("storage class", Status.OK, f"the cluster's default is {marked[0]}")
    else:
        remedy = "Set platform.kubernetes.storage_class."
        yield Check("storage class", Status.FAIL, "none is named, and the cluster has no default", (remedy,))


def _secrets(asked: _Asked) -> Iterator[Check]:
    settings, server = asked.settings, asked.server
    store = settings.secret_store
    if store is not None:
        namespace = settings.namespace if store.kind == "SecretStore" else None
        if server.object("external-secrets.io/v1", store.kind, store.name, namespace) is None:
            remedy = "Make it, or name another in platform.kubernetes.secret_store."
            yield Check(f"{store.kind} {store.name}", Status.FAIL, "is not there", (remedy,))
        else:
            yield Check(f"{store.kind} {store.name}", Status.OK, "is there")
    known = requirements.secret_keys(asked.spec, settings)
    own = {settings.store.secret_name} if settings.store.secret_name is not None else set()
    wanted = {name: keys for name, keys in known.items() if store is None or name in own}
    if wanted and not _namespace_exists(asked):
        listed = "; ".join(f"{name} ({', '.join(sorted(keys))})" for name, keys in sorted(wanted.items()))
        yield Check(
            "Secrets",
            Status.WARN,
            f"can't be there yet, for the namespace is not; pods wait for {listed}",
            (
                f"kubectl create namespace {settings.namespace}; adopt it "
                "(platform.kubernetes.create_namespace: false), and make the Secrets before the stack",
            ),
        )
        return
    for name, keys in sorted(wanted.items()):
        yield _secret(asked, name, keys)


def _secret(asked: _Asked, name: str, keys: Iterable[str]) -> Check:
    settings, title = asked.settings, f"Secret {name}"
    literals = " ".join(f"--from-file={key}=FILE" for key in sorted(keys))
    make = f"kubectl create secret generic {name} --namespace {settings.namespace} {literals}"
    try:
        found = asked.server.object("v1", "Secret", name, settings.namespace)
    except ForbiddenError:
        return Check(title, Status.WARN, "not checked: the caller may not read Secrets")
    if found is None:
        return Check(title, Status.FAIL, "is not there", (make,))
    data = found.get("data", {})
    if missing := sorted(set(keys) - set(data)):
        message = f"lacks {', '.join(missing)}; it has {', '.join(sorted(data)) or 'no key'}"
        return Check(title, Status.FAIL, message, (make,))
    reference = settings.tracking.database
    if reference is not None and reference.partition(":")[2].partition("/")[0] == name:
        port = _port(data[reference.partition("/")[2]])
        if port not in (None, tracking.POSTGRES_PORT):
            message = f"names port {port}, and MLflow is let through to port {tracking.POSTGRES_PORT} only"
            return Check(title, Status.FAIL, message, (f"Let the database listen on {tracking.POSTGRES_PORT}.",))
    return Check(title, Status.OK, f"has {', '.join(sorted(keys))}")


def _bundles(asked: _Asked) -> Iterator[Check]:
    """Whether KServe's storage initializer is told where the store is: it reads nothing of ours but this Secret."""
    settings, name = asked.settings, asked.settings.store.secret_name
    rest = any(isinstance(endpoint, RestEndpoint) for endpoint in asked.spec.endpoints)
    if name is None or settings.store.endpoint_url is None or not rest:
        return
    found = asked.server.object("v1", "Secret", name, settings.namespace)
    if found is None:
        return  # told already
    wanted = storage_annotations(settings.store)
    has = found["metadata"].get("annotations") or {}
    wrong = {key: value for key, value in wanted.items() if has.get(key) != value}
    title = f"Secret {name} (KServe)"
    if wrong:
        pairs = " ".join(f"{key}={value}" for key, value in sorted(wrong.items()))
        remedy = f"kubectl annotate secret {name} --namespace {settings.namespace} --overwrite {pairs}"
        message = "does not say where the store is; unless KServe's own configuration does, it looks for bundles at AWS"
        yield Check(title, Status.WARN, message, (remedy,))
    else:
        yield Check(title, Status.OK, "says where the store is")


def _port(encoded: str) -> int | None:
    """Port of a connection string; of its text nothing is told."""
    try:
        return urlsplit(base64.b64decode(encoded).decode().strip()).port
    except ValueError:
        return None


def _nodes(asked: _Asked) -> Iterator[Check]:
    compute, spec = asked.spec.training.compute, asked.spec
    regions = spec.governance.regions or []
    if not compute.gpu and not compute.spot and not regions:
        return
    nodes = _items(asked.server, "/api/v1/nodes")
    if compute.gpu:
        most = max((int(node["status"].get("allocatable", {}).get(GPU, 0)) for node in nodes), default=0)
        message = f"a pod of training asks for {compute.gpu}, and the most that a node has is {most}"
        hint = "Fine where an autoscaler adds such nodes; else training waits for ever."
        fits = most >= compute.gpu
        yield Check("GPUs", Status.OK if fits else Status.WARN, message, () if fits else (hint,))
    spot = asked.settings.spot
    if compute.spot:
        yield _labelled(nodes, "spot nodes", spot.label, [spot.value])
    if regions:
        yield _labelled(nodes, "regions", REGION, regions)


def _labelled(nodes: Iterable[Object], name: str, label: str, values: list[str]) -> Check:
    found = sum(node["metadata"].get("labels", {}).get(label) in values for node in nodes)
    message = f"{found} nodes with {label} in {', '.join(values)}"
    hint = "Pods that must be there wait until there is one."
    return Check(name, Status.OK if found else Status.WARN, message, () if found else (hint,))


def _others(asked: _Asked) -> Iterator[Check]:
    settings, server = asked.settings, asked.server
    hosts = [each for each in asked.spec.endpoints if isinstance(each, RestEndpoint) and each.host is not None]
    if hosts and settings.gateway is not None:
        gateway = settings.gateway
        name = f"Gateway {gateway.namespace}/{gateway.name}"
        if server.object("gateway.networking.k8s.io/v1", "Gateway", gateway.name, gateway.namespace) is None:
            remedy = "Make it, or name another in platform.kubernetes.gateway."
            yield Check(name, Status.FAIL, "is not there", (remedy,))
        else:
            yield Check(name, Status.OK, "is there")
    if settings.queue is not None and settings.queue.cluster_queue is not None:
        name = f"ClusterQueue {settings.queue.cluster_queue}"
        if server.object("kueue.x-k8s.io/v1beta2", "ClusterQueue", settings.queue.cluster_queue) is None:
            remedy = "Make it, or give platform.kubernetes.queue.flavours to have one made."
            yield Check(name, Status.FAIL, "is not there", (remedy,))
        else:
            yield Check(name, Status.OK, "is there")
    if settings.monitoring is not None:
        name = f"namespace {settings.monitoring.namespace} (monitoring)"
        if "prometheus" in settings.install_operators:
            return
        if server.object("v1", "Namespace", settings.monitoring.namespace) is None:
            remedy = "Set platform.kubernetes.monitoring.namespace to that of Prometheus."
            yield Check(name, Status.FAIL, "is not there: nobody's scrapes would be let in", (remedy,))
        else:
            yield Check(name, Status.OK, "is there")


def _items(server: Server, path: str) -> list[Object]:
    found = server.get(path)
    return [] if found is None else list(found["items"])


_CHECKS: Final[dict[str, Callable[[_Asked], Iterator[Check]]]] = {
    "API server": _version,
    "kinds of objects": _kinds,
    "namespace": _namespace,
    "permissions": _permissions,
    "storage class": _storage,
    "Secrets": _secrets,
    "bundles": _bundles,
    "nodes": _nodes,
    "others": _others,
}
