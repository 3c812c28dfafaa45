"""What lasts: storage classes, Secrets and what is in them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from pulumi_mlops.platforms.checks import Check, Status
from pulumi_mlops.platforms.kubernetes import requirements, tracking
from pulumi_mlops.platforms.kubernetes.checks.question import Asked, items, namespace_exists
from pulumi_mlops.platforms.kubernetes.endpoint import storage_annotations
from pulumi_mlops.platforms.kubernetes.questions import ForbiddenError
from pulumi_mlops.spec.endpoints import RestEndpoint


def storage(asked: Asked) -> Iterator[Check]:
    """Volumes have a storage class."""
    settings, bounds = asked.settings, asked.spec.training.distribution
    if settings.tracking.volume is None and (bounds is None or bounds.checkpoints is None):
        return
    group = "storage.k8s.io/v1"
    if settings.storage_class is not None:
        name = f"storage class {settings.storage_class}"
        if asked.server.object(group, "StorageClass", settings.storage_class) is None:
            have = [each["metadata"]["name"] for each in items(asked.server, f"/apis/{group}/storageclasses")]
            remedy = f"Set platform.kubernetes.storage_class to one of: {', '.join(sorted(have)) or 'none is there'}."
            yield Check(name, Status.FAIL, "is not there", (remedy,))
        else:
            yield Check(name, Status.OK, "is there")
        return
    marked = [
        each["metadata"]["name"]
        for each in items(asked.server, f"/apis/{group}/storageclasses")
        if each["metadata"].get("annotations", {}).get("storageclass.kubernetes.io/is-default-class") == "true"
    ]
    if marked:
        yield Check("storage class", Status.OK, f"the cluster's default is {marked[0]}")
    else:
        remedy = "Set platform.kubernetes.storage_class."
        yield Check("storage class", Status.FAIL, "none is named, and the cluster has no default", (remedy,))


def secrets(asked: Asked) -> Iterator[Check]:
    """Secrets that are referred to are there, with their keys; no value is told."""
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
    if wanted and not namespace_exists(asked):
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


def _secret(asked: Asked, name: str, keys: Iterable[str]) -> Check:
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


def bundles(asked: Asked) -> Iterator[Check]:
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
