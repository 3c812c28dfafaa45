"""The API server of a Kubernetes cluster, as the deploy step and the commands for people ask it.

One thin layer over the official client: objects are plain dictionaries, failures one sentence each, and a server that
is away for a moment is asked again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any, Final, cast

from mlops_runtime.errors import BadInputError, StepError

Object = dict[str, Any]
"""A Kubernetes object, as JSON."""

PATIENCE: Final = 60.0
"""How long an API server that does not answer is asked again, seconds."""

_PAUSE: Final = 1.0
_TIMEOUT: Final = 30.0
_PASSING: Final = (429, 500, 502, 503, 504)


class RefusedRequestError(StepError):
    """The API server said no.

    Attributes:
        status: HTTP status.
        words: what the API server said.
    """

    def __init__(self, status: int, words: str, what: str) -> None:
        super().__init__(f"{what}: the API server answered {status}: {words}")
        self.status, self.words = status, words


class Cluster:
    """An API server.

    Arguments:
        client: a `kubernetes.client.ApiClient`.
        patience: how long a server that does not answer is asked again, seconds.
    """

    def __init__(self, client: Any, *, patience: float = PATIENCE) -> None:
        from kubernetes.client import CustomObjectsApi

        self.client = client
        self._objects = CustomObjectsApi(client)
        self.patience = patience

    @classmethod
    def connect(cls, context: str | None = None) -> Cluster:
        """Within a pod: its own cluster, by its service account; elsewhere the kubeconfig's.

        Arguments:
            context: context of the kubeconfig. Default: the pod's cluster, or the current context.

        Raises:
            BadInputError: there is neither.
        """
        from kubernetes import client, config

        settings = client.Configuration()
        try:
            if context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
                config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
            else:
                config.load_kube_config(  # type: ignore[no-untyped-call]
                    # The client looks at the variable when it is imported, and never again.
                    config_file=os.environ.get("KUBECONFIG"),
                    context=context,
                    client_configuration=settings,
                )
        except (config.ConfigException, OSError) as error:
            wanted = "" if context is None else f" with the context {context}"
            raise BadInputError(
                f"no cluster: neither a pod's service account nor a kubeconfig{wanted} ({error})"
            ) from None
        # urllib3 would log a warning for each attempt; asking again is ours.
        settings.retries = False
        return cls(client.ApiClient(settings))

    def get(self, path: str, name: str) -> Object:
        """An object.

        Arguments:
            path: `GROUP/VERSION/namespaces/NAMESPACE/PLURAL`.
            name: its name.

        Raises:
            RefusedRequestError: it is not there (404), or may not be read (403).
            StepError: nobody answers.
        """
        return cast(
            Object,
            self.ask(f"{_kind(path)} {name}", lambda: self._objects.get_namespaced_custom_object(*_split(path), name)),
        )

    def items(self, path: str) -> list[Object]:
        """All objects of a kind in a namespace.

        Raises:
            RefusedRequestError: they may not be listed, or there is no such kind (404).
            StepError: nobody answers.
        """
        listed = self.ask(_kind(path), lambda: self._objects.list_namespaced_custom_object(*_split(path)))
        return list(listed["items"])

    def apply(self, path: str, document: Object, *, manager: str) -> Object:
        """Server-side apply with strict field validation: what `manager` said before and does not say now is removed.

        Fields that others manage are taken over.

        Raises:
            RefusedRequestError: it was refused.
            StepError: nobody answers.
        """
        name = document["metadata"]["name"]
        return cast(
            Object,
            self.ask(
                f"{_kind(path)} {name}",
                lambda: self._objects.patch_namespaced_custom_object(
                    *_split(path),
                    name,
                    document,
                    field_manager=manager,
                    field_validation="Strict",
                    force=True,
                    _content_type="application/apply-patch+yaml",
                    _request_timeout=_TIMEOUT,
                ),
            ),
        )

    def patch(self, path: str, name: str, changes: Object) -> Object:
        """Merge changes into an object (RFC 7396).

        Raises:
            RefusedRequestError: it was refused; 409 where `metadata.resourceVersion` is given and is not the newest.
            StepError: nobody answers.
        """
        return cast(
            Object,
            self.ask(
                f"{_kind(path)} {name}",
                lambda: self._objects.patch_namespaced_custom_object(
                    *_split(path),
                    name,
                    changes,
                    _content_type="application/merge-patch+json",
                    _request_timeout=_TIMEOUT,
                ),
            ),
        )

    def create(self, path: str, document: Object) -> Object:
        """Make an object.

        Raises:
            RefusedRequestError: it was refused.
            StepError: nobody answers.
        """
        return cast(
            Object,
            self.ask(
                _kind(path),
                lambda: self._objects.create_namespaced_custom_object(*_split(path), document),
                again=False,
            ),
        )

    def whoami(self) -> str:
        """The name that the cluster knows the caller by.

        Raises:
            RefusedRequestError, StepError: it can't be told.
        """
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        review = self.ask(
            "the caller's identity",
            lambda: self._objects.create_cluster_custom_object(
                "authentication.k8s.io", "v1", "selfsubjectreviews", body
            ),
        )
        return str(review["status"]["userInfo"]["username"])

    def ask(self, what: str, ask: Callable[[], Any], *, again: bool = True) -> Any:
        """What a call of the client answers; asked again where the server is away for a moment.

        Arguments:
            what: what it is about, for the failure's sentence.
            ask: the call.
            again: whether it may be made twice, where its answer was lost.

        Raises:
            RefusedRequestError: the API server said no.
            StepError: nobody answers.
        """
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        deadline = time.monotonic() + (self.patience if again else 0.0)
        while True:
            try:
                return ask()
            except ApiException as error:
                refused = RefusedRequestError(int(error.status or 0), _words(error), what)
                if refused.status not in _PASSING or time.monotonic() > deadline:
                    raise refused from None
            except (HTTPError, OSError) as error:
                if time.monotonic() > deadline:
                    raise StepError(f"{what}: the API server can't be reached: {error}") from None
            time.sleep(_PAUSE)


def _split(path: str) -> tuple[str, str, str, str]:
    group, version, _, namespace, plural = path.split("/")
    return group, version, namespace, plural


def _kind(path: str) -> str:
    *_, namespace, plural = path.split("/")
    return f"{plural} in {namespace}"


def _words(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason or error.body or "no reason")
