"""What is declared for clusters: the section of the platform kubernetes, rollouts, scale, distribution, delivery."""

from __future__ import annotations

from typing import Any

import pytest

from pulumi_mlops.spec import Spec, SpecError
from pulumi_mlops.spec.delivery import Delivery
from pulumi_mlops.spec.endpoints import Scale
from pulumi_mlops.testing.fields import ABSENT, Together, changed
from tests.unit.spec.alternatives import on_kubernetes, variants

KUBERNETES = "platform.kubernetes"
PRODUCTION = {
    f"{KUBERNETES}.production": True,
    f"{KUBERNETES}.tracking": {"database": "secret:mlflow/url"},
    f"{KUBERNETES}.images.postgres": ABSENT,
}

# (what is changed, code, field)
MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({f"{KUBERNETES}": ABSENT}, "S032", "platform"),
    ({"platform.local": {"data_dir": "x"}}, "S033", "platform.local"),
    ({"platform.kind": "local"}, "S033", "platform.kubernetes"),
    ({f"{KUBERNETES}.tracking.uri": "http://mlflow:5000"}, "S031", f"{KUBERNETES}.tracking.volume"),
    ({f"{KUBERNETES}.tracking": {}}, "S032", f"{KUBERNETES}.tracking"),
    ({f"{KUBERNETES}.images.mlflow": ABSENT}, "S032", f"{KUBERNETES}.images.mlflow"),
    ({f"{KUBERNETES}.images.postgres": ABSENT}, "S032", f"{KUBERNETES}.images.postgres"),
    ({f"{KUBERNETES}.tracking": {"uri": "http://mlflow:5000"}}, "S033", f"{KUBERNETES}.images.mlflow"),
    ({f"{KUBERNETES}.tracking": {"database": "secret:a/b"}}, "S033", f"{KUBERNETES}.images.postgres"),
    ({f"{KUBERNETES}.queue.cluster_queue": "shared"}, "S033", f"{KUBERNETES}.queue.flavours"),
    ({f"{KUBERNETES}.queue": {}}, "S032", f"{KUBERNETES}.queue"),
    ({f"{KUBERNETES}.install_operators": ["kueue", "kueue"]}, "S034", f"{KUBERNETES}.install_operators[1]"),
    ({f"{KUBERNETES}.images.job": "Registry/Job"}, "S015", f"{KUBERNETES}.images.job"),
    ({f"{KUBERNETES}.store.uri": "gs://bucket"}, "S015", f"{KUBERNETES}.store.uri"),
    ({f"{KUBERNETES}.monitoring.url": "http://me:secret@prometheus"}, "S023", f"{KUBERNETES}.monitoring.url"),
    ({f"{KUBERNETES}.production": True}, "S060", f"{KUBERNETES}.tracking.volume"),
    ({**PRODUCTION, f"{KUBERNETES}.images.job": "job:1"}, "S060", f"{KUBERNETES}.images.job"),
    ({**PRODUCTION, f"{KUBERNETES}.online_store.replicas": 1}, "S060", f"{KUBERNETES}.online_store.replicas"),
    ({"endpoints[0].scale": {"min": 3, "max": 2}}, "S030", "endpoints[0].scale.min"),
    ({"endpoints[0].scale": {"target": 101}}, "S014", "endpoints[0].scale.target"),
    ({"endpoints[0].rollout": {"steps": [50, 10]}}, "S030", "endpoints[0].rollout.steps"),
    ({"endpoints[0].rollout": {"steps": [100]}}, "S014", "endpoints[0].rollout.steps[0]"),
    ({"endpoints[0].rollout": {"min_requests": 5}}, "S033", "endpoints[0].rollout.min_requests"),
    ({"endpoints[0].host": "localhost"}, "S015", "endpoints[0].host"),
    ({"training.distribution": {"min_workers": 3}}, "S030", "training.distribution.min_workers"),
    ({"delivery": {"repository": "alone"}}, "S015", "delivery.repository"),
    (
        {"delivery": {"repository": "a/b", "branches": ["main"], "environments": ["prod"]}},
        "S031",
        "delivery.environments",
    ),
    (
        {"delivery": {"provider": "gitlab", "repository": "a/b", "environments": ["prod"]}},
        "S031",
        "delivery.environments",
    ),
]


@pytest.fixture(scope="module")
def cluster() -> Spec:
    return on_kubernetes()["full"]


@pytest.mark.parametrize(("values", "code", "field"), MISTAKES, ids=[f"{c}-{f}" for _, c, f in MISTAKES])
def test_a_mistake_is_named(cluster: Spec, values: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(SpecError) as refused:
        changed(cluster, "", Together(values))
    assert (f"MLOPS-{code}", field) in {(problem.code, problem.field) for problem in refused.value.problems}


def test_production_holds_its_promises(cluster: Spec) -> None:
    kept = changed(cluster, "", Together(PRODUCTION)).platform.kubernetes
    assert kept is not None
    assert kept.production
    assert kept.images.by_tag() == []


@pytest.mark.parametrize(
    ("delivery", "subjects"),
    [
        (Delivery(repository="o/n"), ["repo:o/n:ref:refs/heads/main"]),
        (Delivery(repository="o/n", environments=["prod"]), ["repo:o/n:environment:prod"]),
        (
            Delivery(provider="gitlab", repository="g/s/n", branches=["main", "next"]),
            ["project_path:g/s/n:ref_type:branch:ref:main", "project_path:g/s/n:ref_type:branch:ref:next"],
        ),
    ],
)
def test_the_subjects_of_a_ci_are_as_its_provider_writes_them(delivery: Delivery, subjects: list[str]) -> None:
    assert delivery.subjects == subjects


def test_what_is_for_clusters_is_valid_in_a_spec_for_this_machine_until_it_comes_up() -> None:
    # An environment may be a cluster; the platform refuses them by name, not the spec.
    spec = variants()["cluster"]
    assert spec.training.distribution is not None


@pytest.mark.parametrize(
    ("given", "knative", "production", "expected"),
    [
        ({}, False, False, (1, 1, "cpu", 70)),
        ({}, True, False, (0, 1, "concurrency", 100)),
        ({}, False, True, (2, 2, "cpu", 70)),
        ({}, True, True, (2, 2, "concurrency", 100)),
        ({"metric": "cpu"}, True, False, (1, 1, "cpu", 70)),
        ({"max": 5}, True, False, (0, 5, "concurrency", 100)),
        ({"max": 1}, False, True, (1, 1, "cpu", 70)),
        ({"min": 3, "max": 6, "target": 50}, False, True, (3, 6, "cpu", 50)),
    ],
)
def test_an_endpoint_sleeps_outside_of_production_and_is_doubled_in_it(
    given: dict[str, Any], knative: bool, production: bool, expected: tuple[int, int, str, int]
) -> None:
    scale = Scale(**given).in_cluster(knative=knative, production=production)
    assert (scale.min, scale.max, scale.metric, scale.target) == expected
