"""KServe in a service mesh: who talks to an endpoint is known, and allowed to.

Source: KServe's guide to Istio, https://kserve.github.io/website/latest/admin/serverless/servicemesh, and Istio's
reference of PeerAuthentication and AuthorizationPolicy.
"""

from __future__ import annotations

from collections.abc import Iterator

from mlops_policies.findings import Finding
from mlops_policies.kinds import kubernetes
from mlops_policies.kinds.kubernetes import entries, namespace, namespace_called
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, Stack, View

rule = pack("kubernetes")

_INJECT = "sidecar.istio.io/inject"
_NARROWEST_FIRST = ("service", "namespace", "mesh")


class Mesh(Parameters):
    """What a stack does not say itself about its mesh."""

    root: str = "istio-system"
    """The mesh's root namespace: what stands there without a selector holds for the whole mesh. Default:
    istio-system."""

    elsewhere: bool = False
    """Whether another stack declares for the whole mesh what the rule asks for; what this stack declares still counts
    first. Default: no."""


@rule(
    *kubernetes.INFERENCE_SERVICE,
    severity="high",
    remediation="Declare a PeerAuthentication with `mtls: {mode: STRICT}` in the namespace of the InferenceService.",
    references={
        "kserve": ["mtls-strict"],
        "hipaa": ["164.312(e)(1)", "164.312(e)(2)(ii)"],
        "gdpr": ["Art. 32(1)(a)"],
        "soc2": ["CC6.7"],
        "eu-ai-act": ["Art. 15(5)"],
        "nist-ai-rmf": ["MEASURE 2.7"],
    },
    graph=True,
    parameters=Mesh,
)
def kserve_mtls_strict(service: Resource, stack: Stack, parameters: Mesh) -> Iterator[Finding]:
    """Endpoints take only connections that are encrypted and mutually authenticated.

    Istio's narrowest PeerAuthentication decides: one that selects the service, else its namespace's, else the mesh's;
    a mode that is unset is taken from the next. A port with a weaker mode is a finding, and so is a service that
    stays out of the mesh. Whether sidecars are injected into the namespace is not judged.
    """
    for holder in ("metadata.annotations", "metadata.labels"):
        flag = entries(service, holder).get(_INJECT)
        if flag is not None and flag.text() == "false":
            yield service.finding("it stays out of the mesh, which encrypts nothing then", f"{holder}.{_INJECT}")
    policies = _applying(service, stack, kubernetes.PEER_AUTHENTICATION, parameters)
    for policy in policies["service"]:
        for port, setting in entries(policy, "spec.portLevelMtls").items():
            if setting.text("mode") not in (None, "STRICT", "UNSET"):
                yield service.finding(f"the PeerAuthentication {policy.name} takes plain connections on port {port}")
    modes = [{policy.text("spec.mtls.mode") or "UNSET" for policy in policies[scope]} for scope in _NARROWEST_FIRST]
    default = {"STRICT"} if parameters.elsewhere else set()
    deciding = next((found for scope in modes if (found := scope - {"UNSET"})), default)
    if deciding != {"STRICT"}:
        yield service.finding("no PeerAuthentication makes mutual TLS strict for it")


@rule(
    *kubernetes.INFERENCE_SERVICE,
    severity="high",
    remediation=(
        "Declare an AuthorizationPolicy in the namespace of the InferenceService that allows its callers by "
        "namespace or principal, and `knative-serving` where Knative serves it."
    ),
    references={
        "kserve": ["authorization-policy"],
        "hipaa": ["164.312(a)(1)"],
        "gdpr": ["Art. 25(2)"],
        "soc2": ["CC6.1", "CC6.6"],
        "eu-ai-act": ["Art. 15(5)"],
        "nist-ai-rmf": ["MEASURE 2.7"],
    },
    graph=True,
    parameters=Mesh,
)
def kserve_authz(service: Resource, stack: Stack, parameters: Mesh) -> Iterator[Finding]:
    """Endpoints answer only callers that an AuthorizationPolicy allows.

    Istio refuses what no policy allows as soon as one with the action ALLOW, or an external authorizer's, applies to
    the service: its own, its namespace's or the mesh's. One that allows anybody opens it again, and is a finding.
    """
    applying = _applying(service, stack, kubernetes.AUTHORIZATION_POLICY, parameters)
    found = [policy for scope in _NARROWEST_FIRST for policy in applying[scope]]
    allowing = [policy for policy in found if (policy.text("spec.action") or "ALLOW") == "ALLOW"]
    for policy in allowing:
        if any(_anybody(allowed) for allowed in policy.each("spec.rules")):
            yield service.finding(f"the AuthorizationPolicy {policy.name} lets anybody call it")
    if not allowing and not parameters.elsewhere and not any(p.text("spec.action") == "CUSTOM" for p in found):
        yield service.finding("no AuthorizationPolicy says who may call it")


def _applying(service: Resource, stack: Stack, types: tuple[str, ...], parameters: Mesh) -> dict[str, list[Resource]]:
    here, root = namespace(stack, service), namespace_called(stack, parameters.root)
    found: dict[str, list[Resource]] = {scope: [] for scope in _NARROWEST_FIRST}
    for policy in stack.of(*types):
        space = namespace(stack, policy)
        if space not in (here, root) or policy.has("spec.targetRefs"):
            continue
        selector = entries(policy, "spec.selector.matchLabels")
        labels = _labels(service) if selector else {}
        if not selector:
            found["namespace" if space == here else "mesh"].append(policy)
        elif all(key in labels and label.text() == labels[key] for key, label in selector.items()):
            found["service"].append(policy)
    return found


def _labels(service: Resource) -> dict[str, str | None]:
    own = {**entries(service, "metadata.labels"), **entries(service, "spec.predictor.labels")}
    kserve = {"serving.kserve.io/inferenceservice": service.text("metadata.name"), "component": "predictor"}
    return {**{key: label.text() for key, label in own.items()}, **kserve}


def _anybody(allowed: View) -> bool:
    if allowed.has("when") or (allowed.has("to") and not allowed.has("from")):
        return False  # KServe's guide opens the paths of metrics and probes to anybody
    sources = [source.view("source") for source in allowed.each("from")]
    return not sources or any(_everywhere(source) for source in sources)


def _everywhere(source: View) -> bool:
    return all("*" in source.texts(key) for key in source.keys())  # noqa: SIM118 - of a view
