"""Kubernetes: type tokens, and the pods of everything that makes pods.

Tokens are those of pulumi-kubernetes: `kubernetes:GROUP/VERSION:KIND`, the same for custom resources. A token that ends
in `*` also stands for the kind's `…List` and `…Patch`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from mlops_policies.kinds.workloads import SHAPES, STEPS, Shape
from mlops_policies.resources import Resource, Stack, View
from mlops_policies.several import thorough

NAMESPACE: Final = ("kubernetes:core/v1:Namespace",)
NETWORK_POLICY: Final = ("kubernetes:networking.k8s.io/*:NetworkPolicy", "kubernetes:extensions/*:NetworkPolicy")
SERVICE_ACCOUNT: Final = ("kubernetes:core/*:ServiceAccount", "kubernetes:core/*:ServiceAccountPatch")
ROLE_BINDING: Final = ("kubernetes:rbac.authorization.k8s.io/*:RoleBinding*",)
ROLE: Final = ("kubernetes:rbac.authorization.k8s.io/*:Role*", "kubernetes:rbac.authorization.k8s.io/*:ClusterRole*")
"""Roles and cluster roles, and what binds them."""
RESOURCE_QUOTA: Final = ("kubernetes:core/*:ResourceQuota",)
LIMIT_RANGE: Final = ("kubernetes:core/*:LimitRange",)
INFERENCE_SERVICE: Final = ("kubernetes:serving.kserve.io/*:InferenceService",)
PEER_AUTHENTICATION: Final = ("kubernetes:security.istio.io/*:PeerAuthentication",)
AUTHORIZATION_POLICY: Final = ("kubernetes:security.istio.io/*:AuthorizationPolicy",)

ACCELERATORS: Final = (
    "nvidia.com/gpu",
    "nvidia.com/mig-",
    "amd.com/gpu",
    "gpu.intel.com/",
    "habana.ai/gaudi",
    "google.com/tpu",
    "aws.amazon.com/neuron",
)
"""How the names of extended resources begin that device plugins give to accelerators."""

_T = TypeVar("_T")
_WITH_STEPS = ("templates.*", "templates.*.dag.tasks.*.inline", "templates.*.steps.*.*.inline")

WORKLOADS: Final = tuple(f"kubernetes:{group}/*:{kind}*" for group, _, kind in (key.partition(":") for key in SHAPES))
"""Tokens of everything that makes pods."""

LASTING: Final = tuple(
    f"kubernetes:{key.replace(':', '/*:')}" for key, shape in SHAPES.items() if shape.lasting and not shape.partial
)
"""Tokens of what serves until it is stopped."""


class Part(View):
    """A part that takes what it does not set from another.

    Arguments:
        view: the part.
        inherited: where the rest comes from.
    """

    __slots__ = ("inherited",)

    def __init__(self, view: View, inherited: Part | None = None) -> None:
        super().__init__(view.resource, view.node, view.path)
        self.inherited = inherited

    def value(self, path: str = "") -> Any:
        """A property, its own or inherited; see `View.value`."""
        return self.inherited.value(path) if self.inherited and self._lacks(path) else super().value(path)

    def at(self, path: str = "") -> str:
        """Where a property stands, or would be set for all that inherit it; see `View.at`."""
        return self.inherited.at(path) if self.inherited and self._lacks(path) else super().at(path)

    def gathered(self, path: str) -> list[View]:
        """The items of a list, its own and those inherited. Raises as `known` does."""
        own = View(self.resource, self.node, self.path).each(path)
        return [*own, *self.inherited.gathered(path)] if self.inherited else own

    def _lacks(self, path: str) -> bool:
        top = path.partition(".")[0]
        return bool(top) and (self.node is None or (isinstance(self.node, Mapping) and self.node.get(top) is None))


class Pod(Part):
    """The spec of a kind of pods.

    Arguments:
        spec: the pod spec.
        metadata: what holds the pods' labels and annotations.
        shape: how its kind keeps pods.
        inherited: where settings come from that the spec does not set.
        patched: the pod that it is a patch of.
    """

    __slots__ = ("metadata", "patched", "shape")

    def __init__(
        self,
        spec: View,
        metadata: View,
        shape: Shape,
        inherited: Part | None = None,
        patched: Pod | None = None,
    ) -> None:
        super().__init__(spec, inherited)
        self.metadata, self.shape, self.patched = metadata, shape, patched

    @property
    def account(self) -> object:
        """The service account, as `serviceAccountName` has it. Raises as `known` does."""
        own = self.value("serviceAccountName") or self.value("serviceAccount")
        return own or (self.patched.account if self.patched else "default")

    @property
    def partial(self) -> bool:
        """Whether it changes a part of pods that are described elsewhere: what it does not say holds no answer."""
        return self.shape.partial

    @property
    def windows(self) -> bool:
        """Whether its containers run on Windows. Raises as `known` does."""
        return self.text("os.name") == "windows"


def pods(resource: Resource) -> Iterator[Pod]:
    """The pods that a resource makes, or changes; none for a kind that makes none.

    Raises:
        Undecided: after those that are known, where some are not known yet.
    """
    api, _, kind = resource.type.removeprefix("kubernetes:").partition(":")
    shape = SHAPES.get(f"{api.partition('/')[0]}:{kind.removesuffix('Patch').removesuffix('List')}")
    if shape is None:
        return
    if kind.endswith("Patch"):
        shape = replace(shape, partial=True)
    items: Sequence[View] = resource.each("items") if kind.endswith("List") else (resource,)
    yield from thorough(found(item, shape) for item in items for found in (_templates, _specs, _steps))


def containers(pod: Pod, *, started: bool = True) -> Iterator[View]:
    """A pod's containers.

    Arguments:
        pod: the pod.
        started: whether init and ephemeral containers are among them.

    Raises:
        Undecided: after those that are known, where some are not known yet.
    """
    paths = (*pod.shape.containers, "initContainers", "ephemeralContainers") if started else pod.shape.containers
    yield from thorough(_containers(pod, path) for path in paths)


def named(container: View) -> str:
    """What a message calls a container: its name where it has one, else where it stands."""
    name = container.value("name")
    return name if isinstance(name, str) and name else container.path.removeprefix("spec.")


def entries(view: View, path: str) -> dict[str, View]:
    """The values of a mapping by key, which may have dots: labels, annotations, amounts. Raises as `known` does."""
    found = view.known(path)
    items = found.items() if isinstance(found, Mapping) else ()
    return {str(key): View(view.resource, value, f"{view.at(path)}.{key}") for key, value in items}


def accelerators(container: View) -> set[str]:
    """The extended resources that a container asks for and that are accelerators: `nvidia.com/gpu`.

    Raises:
        Undecided: its resources are not known yet.
    """
    paths = ("resources.limits", "resources.requests", "resourcesPerNode.limits", "resourcesPerNode.requests")
    return {name for path in paths for name in entries(container, path) if name.startswith(ACCELERATORS)}


def namespace(stack: Stack, resource: Resource) -> str:
    """What tells a resource's namespace from others: the URN of a Namespace that the stack declares, else its name.

    It is the resource's own namespace, else its provider's, else `default`.

    Raises:
        Undecided: it is not known yet.
    """
    for declared in stack.of(*NAMESPACE):
        if stack.refers(resource, "metadata.namespace", declared, "metadata.name"):
            return declared.urn
    provider = View(resource, resource.provider, "")
    return namespace_called(stack, resource.text("metadata.namespace") or provider.text("namespace") or "default")


def namespace_called(stack: Stack, name: str) -> str:
    """What `namespace` gives for the resources of a namespace of that name."""
    declared = (found.urn for found in stack.of(*NAMESPACE) if found.value("metadata.name") == name)
    return next(declared, name)


def _at(view: View, path: str) -> Iterator[View]:
    head, star, rest = path.partition("*")
    part = view.view(head.strip(".")) if head else view
    if star:
        yield from thorough(_at(item, rest.removeprefix(".")) for item in part.each())
    elif part.node is not None:
        yield part


def _templates(item: View, shape: Shape) -> Iterator[Pod]:
    for template in thorough(_at(item, path) for path in shape.templates):
        if template.has("spec"):
            yield Pod(template.view("spec"), template.view("metadata"), shape)


def _specs(item: View, shape: Shape) -> Iterator[Pod]:
    for spec in thorough(_at(item, path) for path in shape.specs):
        yield Pod(spec, spec, shape)


def _steps(item: View, shape: Shape) -> Iterator[Pod]:
    if shape.workflow is None:
        return
    spec = Part(item.view(shape.workflow))
    defaults = Part(spec.view("templateDefaults"), spec)
    labels = Part(spec.view("podMetadata"))
    for template in thorough(_at(spec, path) for path in _WITH_STEPS):
        if any(template.has(key) for key in STEPS):
            pod = Pod(template, Part(template.view("metadata"), labels), shape, defaults)
            yield pod
            for patch in pod.gathered("podSpecPatch"):
                yield Pod(patch.json(""), pod.metadata, Shape(partial=True), patched=pod)


def _containers(pod: Pod, path: str) -> Iterator[View]:
    found = pod.view(path)
    defaults = pod.inherited.view(path) if pod.inherited else View(pod.resource, None, "")
    if isinstance(found.node, list):
        yield from found.each()
    elif isinstance(found.node, Mapping):
        # a step that has no container of its own has the defaults' one
        yield found if defaults.node in (None, found.node) else Part(found, Part(defaults))
