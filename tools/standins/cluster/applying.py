"""Server-side apply and its dry runs, as one resource of a stack does them."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from tools.kubernetes.api import RefusedError
from tools.standins.cluster import objects
from tools.standins.cluster.diff import Path, parsed
from tools.standins.cluster.settings import Settings
from tools.standins.cluster.values import Document, known

FORCE = "pulumi.com/patchForce"
_UNKNOWN_FIELD = ("field not declared in schema", "unknown field")
_ABSENT = object()


class Applier:
    """Applies the objects of one provider.

    Arguments:
        settings: the provider's.
    """

    def __init__(self, settings: Settings) -> None:
        self._api = settings.connection.api
        self._settings = settings

    def create(self, document: Document, manager: str, *, adopt: bool) -> Document:
        """Applies an object that is not there.

        Arguments:
            document: what to apply.
            manager: as whom.
            adopt: it may be there.

        Raises:
            RefusedError: it is there, or was refused.
        """
        self._refuse_existing(document, adopt=adopt)
        return self._api.apply(document, manager=manager, force=self._force(document))

    def preview_creation(self, document: Document, manager: str, *, adopt: bool, replaces: bool) -> Document:
        """What there will be once an object is created: validated like it, as far as it is known.

        Arguments:
            document: what will be applied.
            manager: as whom.
            adopt: it may be there.
            replaces: it is there and will be gone before.

        Raises:
            RefusedError: it is there, or will be refused.
        """
        body = known(document)
        if self._has_namespace(document) and not self._namespace_exists(body):
            # Fields, admission of all but quotas, and conflicts with nothing: what a new namespace would say.
            body = _with_metadata(body, namespace="default")
        elif not replaces:
            self._refuse_existing(body, adopt=adopt)
        if replaces or "name" not in body["metadata"]:
            body = _with_metadata(body, name=f"preview-{sha256(manager.encode()).hexdigest()[:8]}")
        return self._previewed(document, body, manager, force=True)

    def preview_update(self, document: Document, manager: str, ignored: Iterable[str]) -> Document:
        """What an object will be once it is changed.

        Raises:
            RefusedError: the change will be refused.
        """
        return self._previewed(document, self._relinquished(document, manager, ignored), manager, self._force(document))

    def update(self, document: Document, manager: str, ignored: Iterable[str]) -> Document:
        """Changes an object, but not what others have set of the paths that changes are `ignored` of.

        Raises:
            RefusedError: the change was refused; `Conflict` where others have set a field.
        """
        body = self._relinquished(document, manager, ignored)
        return self._api.apply(body, manager=manager, force=self._force(document))

    def expected(self, document: Document, manager: str, otherwise: Document) -> Document:
        """What the object would be if it were applied once more; `otherwise` where that would be refused now."""
        try:
            return self._api.apply(document, dry_run=True, manager=manager)
        except RefusedError:
            return otherwise

    def release(self, document: Document, manager: str) -> None:
        """Takes back what `manager` set of an object that belongs to others.

        Raises:
            RefusedError: it was refused.
        """
        names = {key: document["metadata"][key] for key in ("name", "namespace") if key in document["metadata"]}
        bare = {"apiVersion": document["apiVersion"], "kind": document["kind"], "metadata": names}
        self._api.apply(bare, manager=manager)

    def _previewed(self, document: Document, body: Document, manager: str, force: bool) -> Document:
        try:
            answer = self._api.apply(body, dry_run=True, manager=manager, force=force)
        except RefusedError as error:
            # Of an object that is not known as a whole, only the fields that it has can be judged.
            if objects.has_unknown(document) and not any(words in error.message for words in _UNKNOWN_FIELD):
                return document
            raise
        return objects.planned(answer, document)

    def _force(self, document: Document) -> bool:
        annotations = document["metadata"].get("annotations") or {}
        return bool(annotations.get(FORCE) == "true" or self._settings.force)

    def _refuse_existing(self, document: Document, *, adopt: bool) -> None:
        if adopt or self._settings.upsert or "name" not in document["metadata"]:
            return
        try:
            self._api.read(document)
        except RefusedError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return
        message = f"{objects.title(document)} already exists; import it, or set upsertExistingObjects of the provider"
        raise RefusedError(HTTPStatus.CONFLICT, "AlreadyExists", message)

    def _has_namespace(self, document: Document) -> bool:
        return self._api.is_namespaced(document)

    def _namespace_exists(self, body: Document) -> bool:
        name = body["metadata"].get("namespace")
        try:
            return name is not None and bool(
                self._api.read({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            )
        except RefusedError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return False

    def _relinquished(self, document: Document, manager: str, ignored: Iterable[str]) -> Document:
        """`document` without the ignored fields that are different by now: whoever changed them keeps them."""
        body = deepcopy(known(document))
        paths = [parsed(path) for path in ignored]
        if not paths:
            return dict(body)
        live = self._api.read(body)
        expected = self.expected(body, manager, live)
        for path in paths:
            if _at(expected, path) != _at(live, path):
                _remove(body, path)
        return dict(body)


def _with_metadata(document: Document, **changes: str) -> Document:
    return {**document, "metadata": {**document["metadata"], **changes}}


def _at(value: Any, path: Path) -> Any:
    for part in path:
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and part < len(value) else _ABSENT
        else:
            value = value.get(part, _ABSENT) if isinstance(value, dict) else _ABSENT
    return value


def _remove(document: Document, path: Path) -> None:
    container = _at(document, path[:-1])
    if isinstance(container, dict):
        container.pop(str(path[-1]), None)
