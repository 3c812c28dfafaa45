"""Waiting for objects, and what is said of one that does not get there: its conditions, its pods', their events."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus

from tools.kubernetes.api import Api, RefusedError
from tools.standins.cluster.readiness import Rule, Verdict
from tools.standins.cluster.values import Document

POLL_SECONDS = 0.2
DEFAULT_SECONDS = 600.0
"""The official provider waits ten minutes for nearly every kind."""

_CHILDREN = (
    {"apiVersion": "apps/v1", "kind": "ReplicaSet"},
    {"apiVersion": "batch/v1", "kind": "Job"},
    {"apiVersion": "v1", "kind": "Pod"},
)
_EVENTS = {"apiVersion": "v1", "kind": "Event"}
# Conditions that are good news when they are false.
_PROBLEMS = ("Failed", "FailureTarget", "Reconciling", "ReplicaFailure", "Stalled", "Suspended")
_MOST_EVENTS = 5


class NotReadyError(Exception):
    """An object did not get ready; or did not go.

    Attributes:
        live: as it was last.
        reasons: a line each.
    """

    def __init__(self, live: Document, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.live = live
        self.reasons = reasons


class Waiter:
    """Waits on one cluster, until it is told to stop.

    Arguments:
        api: the cluster.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ends all waits now and to come: the user has given up."""
        self._stop.set()

    def until_ready(self, document: Document, rule: Rule | None, seconds: float) -> Document:
        """The object once `rule` holds of it.

        Raises:
            NotReadyError: it does not hold after `seconds`, never will, or the wait was stopped.
        """
        live = self._api.read(document)
        verdict = Verdict(True) if rule is None else rule(live)
        deadline = time.monotonic() + seconds
        while rule is not None and not verdict.ready:
            if verdict.final:
                raise self._failure(live, f"will not get ready: {verdict.reason}")
            if time.monotonic() > deadline:
                raise self._failure(live, f"not ready after {seconds:.0f} s: {verdict.reason}")
            if self._stop.wait(POLL_SECONDS):
                raise self._failure(live, f"the wait was cancelled: {verdict.reason}")
            live = self._api.read(document)
            verdict = rule(live)
        return live

    def until_gone(self, document: Document, uid: str | None, seconds: float) -> None:
        """Returns once the object is not there, or another is in its place.

        Raises:
            NotReadyError: it is still there after `seconds`, or the wait was stopped.
        """
        deadline = time.monotonic() + seconds
        while (live := self.find(document)) is not None and uid in (None, live["metadata"]["uid"]):
            held = ", ".join(live["metadata"].get("finalizers") or ()) or "none"
            if time.monotonic() > deadline:
                raise self._failure(live, f"not gone after {seconds:.0f} s; finalizers: {held}")
            if self._stop.wait(POLL_SECONDS):
                raise self._failure(live, f"the wait was cancelled; finalizers: {held}")

    def find(self, document: Document) -> Document | None:
        """The object as it is; none if it is not there."""
        try:
            return self._api.read(document)
        except RefusedError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return None

    def _failure(self, live: Document, first: str) -> NotReadyError:
        reasons = [first, *_conditions(live)]
        with contextlib.suppress(RefusedError):  # the account may not list what we would tell
            reasons += self._circumstances(live)
        return NotReadyError(live, reasons)

    def _circumstances(self, live: Document) -> Iterator[str]:
        """What its descendants' conditions and their events say."""
        if "namespace" not in live["metadata"]:
            return
        scope = {"metadata": {"namespace": live["metadata"]["namespace"]}}
        family = {live["metadata"]["uid"]}
        for kind in _CHILDREN:
            for each in self._api.items(kind | scope):
                if family & {owner["uid"] for owner in each["metadata"].get("ownerReferences") or ()}:
                    family.add(each["metadata"]["uid"])
                    if kind["kind"] == "Pod":
                        yield from _conditions({"kind": "Pod", **each})
        events = [each for each in self._api.items(_EVENTS | scope) if each["involvedObject"].get("uid") in family]
        warnings = [each for each in events if each.get("type") == "Warning"]
        for each in warnings[-_MOST_EVENTS:]:
            about = f"{each['involvedObject']['kind']} {each['involvedObject']['name']}"
            yield f"event {each.get('reason')} of {about}: {each.get('message')}"


def _conditions(live: Document) -> Iterator[str]:
    for each in (live.get("status") or {}).get("conditions") or ():
        is_problem = each.get("type") in _PROBLEMS
        if (each.get("status") != "False") == is_problem or each.get("status") == "Unknown":
            text = ": ".join(filter(None, (each.get("reason"), each.get("message"))))
            yield f"{live.get('kind')} {live['metadata']['name']}: {each['type']}={each['status']}" + (
                f" ({text})" if text else ""
            )
