"""The quickstart in a cluster: only its platform and where its data lies are others than on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.conftest import REPOSITORY, ClusterProject
from tests.kubernetes_kit import on_the_bed
from tools.kubernetes.bed import Bed
from tools.kubernetes.control_plane import is_established

pytestmark = [*on_the_bed, pytest.mark.engine]

QUICKSTART = REPOSITORY / "stacks" / "quickstart"


ISTIO = ("AuthorizationPolicy", "PeerAuthentication")


@pytest.fixture
def istio(bed: Bed) -> Iterator[None]:
    """The kinds of Istio that a stack uses, without their schemas, which the bed does not have."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    made = []
    for kind in ISTIO:
        plural = kind.lower().replace("policy", "policie") + "s"
        names = {"kind": kind, "plural": plural, "singular": kind.lower()}
        version = {"name": "v1", "served": True, "storage": True, "schema": schema}
        made.append(
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": f"{plural}.security.istio.io"},
                "spec": {"group": "security.istio.io", "scope": "Namespaced", "names": names, "versions": [version]},
            }
        )
        bed.api.apply(made[-1])
    for definition in made:
        bed.api.wait(definition, is_established)
    yield
    for definition in made:
        bed.api.delete(definition)


@pytest.fixture
def quickstart(cluster_project: Callable[..., ClusterProject], istio: None) -> ClusterProject:
    spec = (QUICKSTART / "mlops.yaml").read_text()
    spec = spec.replace("../../examples", str(REPOSITORY / "examples"))
    spec = spec.replace("namespace: flight-delay", "namespace: $namespace")
    made = cluster_project((QUICKSTART / "__main__.py").read_text(), {"mlops.yaml": spec})
    made.pulumi("config", "set", "environment", "kubernetes")
    return made


def test_the_quickstart_lives_in_a_cluster(quickstart: ClusterProject) -> None:
    preview = quickstart.preview(check=False)
    print(preview.text)
    assert preview.code == 0
    up = quickstart.up(check=False)
    print(up.text)
    assert up.code == 0
    print(quickstart.objects())
    print(quickstart.outputs())
    again = quickstart.up(check=False)
    print(again.text)
    refresh = quickstart.refresh()
    print(refresh.text)
    again = quickstart.up(check=False)
    print(again.changes)
    quickstart.destroy()
    assert quickstart.objects() == set()
