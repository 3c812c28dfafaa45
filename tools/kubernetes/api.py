"""A client of the API server: what tests and the bed itself ask of it, on the standard library."""

from __future__ import annotations

import json
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from tools.console import ToolError

Document = dict[str, Any]
FIELD_MANAGER = "bed"
REQUEST_SECONDS = 30.0
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.1
_TEXT_OF_WARNING = re.compile(r'^\d+ \S+ "(.*)"$', re.DOTALL)  # RFC 9111: code, agent, text


class RefusedError(ToolError):
    """The API server said no.

    Attributes:
        code: HTTP status.
        reason: Kubernetes' word for it, such as `NotFound`, `Forbidden` or `Invalid`.
        message: the whole sentence.
    """

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message


class Api:
    """The API server, as one user.

    Arguments:
        url: where it listens.
        tls: whom to trust, and the certificate that is shown to it.
        headers: sent with every request, such as a token, or whom an administrator impersonates.
        warn: told the path of an object and what the API server warns of in its answer. Default: nobody.
    """

    def __init__(
        self,
        url: str,
        tls: ssl.SSLContext,
        headers: Mapping[str, str] | None = None,
        warn: Callable[[str, str], None] | None = None,
    ) -> None:
        self.url = url
        self._warn = warn
        self._context = tls
        self._headers = dict(headers or {})
        self._kinds: dict[tuple[str, str], Document] = {}

    def request(
        self, method: str, path: str, body: Document | None = None, content_type: str = "application/json", **query: str
    ) -> Document:
        """One request; returns the JSON of the answer.

        Raises:
            RefusedError: the answer is an error.
            ToolError: nobody answers.
        """
        content = None if body is None else json.dumps(body).encode()
        headers = self._headers | {"content-type": content_type, "accept": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}?{urlencode(query)}", content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS, context=self._context) as answer:
                if self._warn is not None:
                    for warning in answer.headers.get_all("warning", ()):
                        self._warn(path, _TEXT_OF_WARNING.sub(r"\1", warning).replace('\\"', '"'))
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            raise _refused(error) from None
        except OSError as error:
            raise ToolError(f"{self.url} does not answer: {error}") from error

    def is_ready(self) -> bool:
        """Whether it serves everything that is established."""
        request = urllib.request.Request(f"{self.url}/readyz")
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS, context=self._context):
                return True
        except OSError:  # among them answers that are errors
            return False

    def apply(
        self, document: Document, *, dry_run: bool = False, manager: str = FIELD_MANAGER, force: bool = True
    ) -> Document:
        """Server-side apply with strict field validation; returns what the API server made of it.

        Arguments:
            document: what `manager` has to say of the object; what it said before and does not say now is removed.
            dry_run: only answer what would be.
            manager: who applies.
            force: take fields that others manage and that have another value.

        Raises:
            RefusedError: it was refused; `Conflict` without `force`, where another manager has set a field.
            LookupError: its kind is not known.
        """
        query = {"fieldManager": manager, "fieldValidation": "Strict", "force": json.dumps(force)}
        query |= {"dryRun": "All"} if dry_run else {}
        return self.request("PATCH", self.path(document), document, "application/apply-patch+yaml", **query)

    def create(self, document: Document) -> Document:
        """Creates an object with strict field validation; returns what the API server made of it.

        Raises:
            RefusedError: it was refused, or is there.
            LookupError: its kind is not known.
        """
        return self.request("POST", self.path(document, one=False), document, fieldValidation="Strict")

    def read(self, document: Document) -> Document:
        """An object as it is now; `document` says which.

        Raises:
            RefusedError: it is not there, or may not be read.
        """
        return self.request("GET", self.path(document))

    def items(self, document: Document) -> list[Document]:
        """All objects of `document`'s kind and namespace.

        Raises:
            RefusedError: they may not be listed.
        """
        return list(self.request("GET", self.path(document, one=False))["items"])

    def delete(self, document: Document, propagation: str = "Background") -> None:
        """Deletes an object.

        Arguments:
            document: which one.
            propagation: when what it owns goes: afterwards (`Background`), before it (`Foreground`) or not (`Orphan`).

        Raises:
            RefusedError: it is not there, or may not be deleted.
        """
        self.request("DELETE", self.path(document), propagationPolicy=propagation)

    def wait(self, document: Document, done: Callable[[Document], Any], seconds: float = WAIT_SECONDS) -> Document:
        """Waits until `done` holds of an object, which need not exist yet; returns it.

        Raises:
            TimeoutError: it did not within `seconds`; with the object's last status.
            RefusedError: it may not be read.
        """
        deadline = time.monotonic() + seconds
        found: Document = {}
        while time.monotonic() < deadline:
            try:
                found = self.read(document)
                if done(found):
                    return found
            except RefusedError as error:
                if error.code != HTTPStatus.NOT_FOUND:
                    raise
            time.sleep(POLL_SECONDS)
        name = f"{document['kind']} {document['metadata']['name']}"
        raise TimeoutError(f"{name}: not after {seconds:.0f} s; status: {json.dumps(found.get('status'))}")

    def path(self, document: Document, *, one: bool = True) -> str:
        """Where an object is, or with `one=False` all of its kind in its namespace.

        Raises:
            LookupError: the API server has no such kind.
        """
        version = document["apiVersion"]
        kind = self._kind(version, document["kind"])
        metadata = document.get("metadata", {})
        path = f"{_root(version)}/namespaces/{metadata['namespace']}" if kind["namespaced"] else _root(version)
        return f"{path}/{kind['name']}" + (f"/{metadata['name']}" if one else "")

    def is_namespaced(self, document: Document) -> bool:
        """Whether objects of `document`'s kind are in a namespace.

        Raises:
            LookupError: the API server has no such kind.
        """
        return bool(self._kind(document["apiVersion"], document["kind"])["namespaced"])

    def _kind(self, version: str, kind: str) -> Document:
        if (version, kind) not in self._kinds:
            for found in self._resources(version):
                if "/" not in found["name"]:  # others are subresources, such as pods/log
                    self._kinds[version, found["kind"]] = found
        if (version, kind) not in self._kinds:
            raise LookupError(f"the API server has no {kind} in {version}")
        return self._kinds[version, kind]

    def _resources(self, version: str) -> list[Document]:
        try:
            return list(self.request("GET", _root(version))["resources"])
        except RefusedError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return []


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _refused(error: urllib.error.HTTPError) -> RefusedError:
    text = error.read().decode(errors="replace")
    try:
        status = json.loads(text)
        return RefusedError(error.code, str(status.get("reason", "")), str(status["message"]))
    except (ValueError, KeyError, AttributeError):
        return RefusedError(error.code, str(error.reason), text.strip())
