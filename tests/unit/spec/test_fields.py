"""The walker of fields, with which tests prove that no field is inert."""

import pytest

from pulumi_mlops.spec import Spec
from pulumi_mlops.testing.fields import Together, changed, changes, declared
from tests.unit.spec.alternatives import ALTERNATIVES, ON_AWS, ON_KUBERNETES, on_aws, on_kubernetes, variants


def test_full_yaml_and_its_variants_use_every_field() -> None:
    used: set[str] = set()
    for specs, alternatives in ((variants(), ALTERNATIVES), (on_kubernetes(), ON_KUBERNETES), (on_aws(), ON_AWS)):
        for spec in specs.values():
            used |= {change.field for change in changes(spec, alternatives, known=used)}
    assert used == set(declared())


def test_each_change_makes_another_spec() -> None:
    full = variants()["full"]
    for change in changes(full, ALTERNATIVES):
        assert change.spec != full, change.path
        assert change.spec.directory == full.directory


def test_declared_names_endpoints_by_kind_and_leaves_out_constants() -> None:
    fields = declared()
    assert "endpoints.rest.port" in fields
    assert "endpoints.batch.schedule" in fields
    assert "data.sources.*.columns.*.dtype" in fields
    assert "apiVersion" not in fields
    assert "endpoints.rest.kind" not in fields
    assert "governance.exemptions.*.expires" in fields
    assert "platform.kind" in fields


def test_a_field_without_known_alternative_is_named() -> None:
    with pytest.raises(LookupError, match=r"no valid other value is known for training\.task"):
        list(changes(variants()["full"], {k: v for k, v in ALTERNATIVES.items() if k != "training.task"}))


def test_changed_sets_several_fields_at_once() -> None:
    spec: Spec = changed(variants()["full"], "", Together({"endpoints[0].port": 9999, "identity.tags": {"a": "b"}}))
    assert spec.endpoints[0].port == 9999  # type: ignore[union-attr]
    assert spec.identity.tags == {"a": "b"}
