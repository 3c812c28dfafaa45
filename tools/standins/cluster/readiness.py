"""When an object is ready, as Pulumi's provider for Kubernetes sees it.

Rules for built-in kinds; for all others `pulumi.com/waitFor` (a condition or a JSONPath, or a JSON list of them), or,
with PULUMI_K8S_AWAIT_ALL=true, what kinds have in common (kstatus). Without either, a custom resource is ready once it
is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tools.standins.cluster.values import Document

SKIP = "pulumi.com/skipAwait"
WAIT_FOR = "pulumi.com/waitFor"


class MalformedError(ValueError):
    """The annotation `pulumi.com/waitFor` can't be read."""


@dataclass(frozen=True)
class Verdict:
    """Whether an object is ready.

    Attributes:
        ready: it is.
        reason: why not.
        final: it never will be.
    """

    ready: bool
    reason: str = ""
    final: bool = False


Rule = Callable[[Document], Verdict]
READY = Verdict(True)


def rule(inputs: Document, *, await_all: bool, deferred: Callable[[Document], bool]) -> Rule | None:
    """The rule for an object; none if it is ready once it is there.

    Arguments:
        inputs: with annotations.
        await_all: judge kinds without a rule of their own, too.
        deferred: whether a claim is bound only when a pod uses it.

    Raises:
        MalformedError: the annotation `pulumi.com/waitFor` can't be read.
    """
    annotations = (inputs.get("metadata") or {}).get("annotations") or {}
    if annotations.get(SKIP) == "true":
        return None
    if WAIT_FOR in annotations:
        return _all([_expression(text) for text in _expressions(annotations[WAIT_FOR])])
    group, slash, _ = str(inputs["apiVersion"]).partition("/")
    kind = str(inputs["kind"])
    if (group if slash else "", kind) == ("", "PersistentVolumeClaim") and deferred(inputs):
        return None
    return _RULES.get((group if slash else "", kind), _conventional if await_all else None)


def condition(document: Document, kind: str) -> Document:
    """One of the conditions of an object's status; empty if it has none of that kind."""
    conditions = (document.get("status") or {}).get("conditions") or ()
    return next((dict(each) for each in conditions if each.get("type") == kind), {})


def _is(document: Document, kind: str, status: str = "True") -> bool:
    return bool(condition(document, kind).get("status") == status)


def _said(document: Document, kind: str, otherwise: str) -> str:
    found = condition(document, kind)
    text = ": ".join(filter(None, (found.get("reason"), found.get("message"))))
    return f"{kind}={found['status']}" + (f" ({text})" if text else "") if found else otherwise


def _is_observed(document: Document) -> bool:
    generation = document["metadata"].get("generation", 0)
    return bool((document.get("status") or {}).get("observedGeneration", 0) >= generation)


def _deployment(document: Document) -> Verdict:
    status, wanted = document.get("status") or {}, document["spec"].get("replicas", 1)
    if not _is_observed(document):
        return Verdict(False, "not observed yet")
    if condition(document, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        return Verdict(False, _said(document, "Progressing", ""), final=True)
    if _is(document, "ReplicaFailure"):
        return Verdict(False, _said(document, "ReplicaFailure", ""))
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted or status.get("replicas", 0) > updated or available < wanted:
        return Verdict(False, f"{available} of {wanted} replicas available, {updated} of the latest revision")
    return READY if _is(document, "Available") else Verdict(False, _said(document, "Available", "not available yet"))


def _stateful_set(document: Document) -> Verdict:
    status, wanted = document.get("status") or {}, document["spec"].get("replicas", 1)
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    partition = ((document["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition", 0)
    if _is_observed(document) and ready >= wanted and updated >= wanted - partition:
        return READY
    return Verdict(False, f"{ready} of {wanted} replicas ready, {updated} of the latest revision")


def _daemon_set(document: Document) -> Verdict:
    status = document.get("status") or {}
    wanted, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
    available = status.get("numberAvailable", 0)
    if _is_observed(document) and updated >= wanted and available >= wanted:
        return READY
    return Verdict(False, f"{available} of {wanted} pods available, {updated} of the latest revision")


def _job(document: Document) -> Verdict:
    if _is(document, "Failed"):
        return Verdict(False, _said(document, "Failed", ""), final=True)
    if document["spec"].get("suspend"):
        return READY
    active = (document.get("status") or {}).get("active", 0)
    return READY if _is(document, "Complete") else Verdict(False, f"not complete, {active} pods active")


def _pod(document: Document) -> Verdict:
    phase = (document.get("status") or {}).get("phase", "Pending")
    if phase == "Failed":
        return Verdict(False, "failed", final=True)
    if phase == "Succeeded" or _is(document, "Ready"):
        return READY
    return Verdict(
        False, _said(document, "PodScheduled", phase) if phase == "Pending" else _said(document, "Ready", phase)
    )


def _phase(wanted: str) -> Rule:
    def judge(document: Document) -> Verdict:
        phase = (document.get("status") or {}).get("phase")
        return READY if phase == wanted else Verdict(False, f"phase {phase}, not {wanted}")

    return judge


def _established(document: Document) -> Verdict:
    return READY if _is(document, "Established") else Verdict(False, _said(document, "Established", "not established"))


_RULES: dict[tuple[str, str], Rule] = {
    ("", "Namespace"): _phase("Active"),
    ("", "PersistentVolumeClaim"): _phase("Bound"),
    ("", "Pod"): _pod,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _established,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "Job"): _job,
}


def _conventional(document: Document) -> Verdict:
    """What kinds have in common: the generation is observed, nothing is stalled or under way, Ready is not false."""
    status = document.get("status") or {}
    if "observedGeneration" in status and not _is_observed(document):
        return Verdict(False, "not observed yet")
    if _is(document, "Stalled"):
        return Verdict(False, _said(document, "Stalled", ""), final=True)
    if _is(document, "Reconciling"):
        return Verdict(False, _said(document, "Reconciling", ""))
    if condition(document, "Ready") and not _is(document, "Ready"):
        return Verdict(False, _said(document, "Ready", ""))
    return READY


def _all(rules: list[Rule]) -> Rule:
    def judge(document: Document) -> Verdict:
        verdicts = [each(document) for each in rules]
        return next((verdict for verdict in verdicts if not verdict.ready), READY)

    return judge


def _expressions(annotation: str) -> list[str]:
    try:
        found = json.loads(annotation)
    except ValueError:
        found = [annotation]
    if not isinstance(found, list) or not found or not all(isinstance(each, str) for each in found):
        raise MalformedError(f"{WAIT_FOR}: expected an expression or a JSON list of them, got {annotation!r}")
    return found


_CONDITION = re.compile(r"condition=(?P<kind>[^=]+)(?:=(?P<status>.+))?")
_PATH = re.compile(r"jsonpath=\{(?P<path>[^{}]+)\}(?:=(?P<value>.*))?")


def _expression(text: str) -> Rule:
    if match := _CONDITION.fullmatch(text):
        kind, status = match["kind"], match["status"] or "True"

        def has_condition(document: Document) -> Verdict:
            found = condition(document, kind)
            current = found.get("observedGeneration", document["metadata"].get("generation", 0))
            if found.get("status", "").lower() == status.lower() and current >= document["metadata"].get(
                "generation", 0
            ):
                return READY
            return Verdict(False, _said(document, kind, f"no condition {kind} yet"))

        return has_condition
    if match := _PATH.fullmatch(text):
        # The subset that object paths need: names, indexes, and `*` for every element.
        parts, value = re.findall(r"\.?([\w-]+)|\[(\d+|\*)\]|\['([^']+)'\]", match["path"]), match["value"]
        steps = ["".join(part) for part in parts]

        def has_value(document: Document) -> Verdict:
            found = _values(document, steps)
            if found if value is None else any(_text(each) == value for each in found):
                return READY
            shown = ", ".join(map(_text, found)) or "nothing"
            return Verdict(False, f"{match['path']} is {shown}" + ("" if value is None else f", not {value}"))

        return has_value
    raise MalformedError(f'{WAIT_FOR}: expected a "jsonpath=" or "condition=" prefix, got {text!r}')


def _values(of: Any, steps: list[str]) -> list[Any]:
    if not steps:
        return [of]
    first, rest = steps[0], steps[1:]
    if isinstance(of, list):
        chosen = of if first == "*" else of[int(first) : int(first) + 1] if first.isdigit() else []
    else:
        chosen = [of[first]] if isinstance(of, dict) and first in of else []
    return [found for each in chosen for found in _values(each, rest)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
