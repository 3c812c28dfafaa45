"""What is asked of an API server before anything is created; nothing is changed by it."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

SECONDS: Final = 30.0
"""How long an answer is waited for."""

Object = dict[str, Any]


class UnreachableError(Exception):
    """No API server answers, or there is no kubeconfig; the message says which."""


class ForbiddenError(Exception):
    """The caller may not ask that."""


class Server:
    """An API server, as the kubeconfig reaches it.

    Arguments:
        context: context of the kubeconfig. Default: the current one.
    """

    def __init__(self, context: str | None) -> None:
        from mlops_runtime.cluster import Cluster
        from mlops_runtime.errors import StepError

        try:
            self._client = Cluster.connect(context).client
        except StepError as error:
            raise UnreachableError(str(error)) from None
        self._served: dict[str, dict[str, Object] | None] = {}

    @property
    def url(self) -> str:
        """Its address."""
        return str(self._client.configuration.host)

    def get(self, path: str, **query: str) -> Object | None:
        """What is at a path; None: nothing.

        Raises:
            ForbiddenError: the caller may not see it.
            UnreachableError: nobody answers.
        """
        return self._ask("GET", path + (f"?{urlencode(query)}" if query else ""))

    def object(self, version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """An object; None: it is not there, or the server has no such kind. Raises as `get` does."""
        found = (self.served(version) or {}).get(kind)
        if found is None:
            return None
        within = "" if namespace is None else f"/namespaces/{quote(namespace)}"
        return self.get(f"{root(version)}{within}/{found['name']}/{quote(name)}")

    def served(self, version: str) -> dict[str, Object] | None:
        """The kinds of an `apiVersion`, as discovery describes them; None: it is not served. Raises as `get` does."""
        if version not in self._served:
            found = self.get(root(version))
            resources = [] if found is None else found["resources"]
            # Others are subresources, such as pods/log.
            kinds = {each["kind"]: each for each in resources if "/" not in each["name"]}
            self._served[version] = None if found is None else kinds
        return self._served[version]

    def versions(self, group: str) -> list[str]:
        """The versions of an API group that are served. Raises as `get` does."""
        found = self.get(f"/apis/{group}")
        return [] if found is None else [each["version"] for each in found["versions"]]

    def may(self, verb: str, version: str, resource: str, namespace: str | None) -> bool:
        """Whether the caller may do something (SelfSubjectAccessReview).

        Arguments:
            verb: what.
            version: `apiVersion` of the objects.
            resource: the objects' kind as a path has it.
            namespace: where; None: in the cluster.
        """
        asked = {"verb": verb, "group": version.rpartition("/")[0], "resource": resource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked if namespace is None else {**asked, "namespace": namespace}},
        }
        answer = self._ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return answer is not None and bool(answer["status"]["allowed"])

    def _ask(self, method: str, path: str, body: Object | None = None) -> Object | None:
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        request = self._client.param_serialize(
            method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            answer = self._client.call_api(*request, _request_timeout=SECONDS)
            text = answer.read()
        except (HTTPError, OSError) as error:
            raise UnreachableError(f"{self.url} does not answer: {error}") from None
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status in (HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED):
            raise ForbiddenError(f"{method} {path}: {answer.reason}")
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise UnreachableError(f"{self.url} answers {answer.status} to {method} {path}: {answer.reason}")
        return dict(json.loads(text))


def root(version: str) -> str:
    """Path of an `apiVersion`."""
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
