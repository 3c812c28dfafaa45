"""Feature groups of SageMaker: one for each view that is online, written and read by its model's pipeline."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from mlops_runtime.stores.sagemaker_online import identifier
from pulumi_mlops.platforms.aws import feature_store
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.names import Names
from pulumi_mlops.spec.features import Features
from pulumi_mlops.testing import Graph
from tests.unit.platforms.aws import kit

GROUP = "aws:sagemaker/featureGroup:FeatureGroup"


def features(**view: Any) -> Features:
    return Features.model_validate(
        {
            "entities": {"plane": {"keys": ["tail"]}},
            "views": {"planes": {"source": "planes", "entity": "plane", "features": ["seats", "age"], **view}},
        }
    )


def declared(section: Features, **aws: Any) -> Graph:
    return kit.declared(
        lambda account, parent: feature_store.build(account, parent, "ml", section), kit.settings(**aws)
    )


def test_a_view_is_a_group_encrypted_by_the_platforms_key() -> None:
    group = kit.inputs(kit.one(declared(features(ttl="1h")), GROUP))
    assert group == {
        "featureGroupName": "mlops-planes",
        "description": "Latest values of the view planes",
        "recordIdentifierFeatureName": identifier(["tail"]),
        "eventTimeFeatureName": "event_timestamp",
        "featureDefinitions": [
            {"featureName": identifier(["tail"]), "featureType": "String"},
            {"featureName": "event_timestamp", "featureType": "Fractional"},
            {"featureName": "seats", "featureType": "String"},
            {"featureName": "age", "featureType": "String"},
        ],
        "onlineStoreConfig": {
            "enableOnlineStore": True,
            "securityConfig": {"kmsKeyId": kit.KEY_ARN},
            "storageType": "Standard",
            "ttlDuration": {"unit": "Seconds", "value": 3600},
        },
        "throughputConfig": {"throughputMode": "OnDemand"},
        "roleArn": f"arn:aws:iam::{kit.ACCOUNT}:role/mlops-feature-store-ml",
        "tags": {"mlops:component": "feature-store", "mlops:platform": "mlops"},
    }


def test_other_keys_are_another_identifier() -> None:
    assert identifier(["tail"]) != identifier(["carrier"])
    assert identifier(["a", "b"]) != identifier(["b", "a"])


def test_capacity_memory_and_history_are_the_settings() -> None:
    asked = {"feature_store": {"throughput": {"read": 100, "write": 10}, "offline": True}}
    group = kit.inputs(kit.one(declared(features(), **asked), GROUP))
    assert group["throughputConfig"] == {
        "throughputMode": "Provisioned",
        "provisionedReadCapacityUnits": 100,
        "provisionedWriteCapacityUnits": 10,
    }
    assert group["offlineStoreConfig"] == {
        "s3StorageConfig": {"s3Uri": f"s3://{kit.BUCKET}/mlops/feature-groups", "kmsKeyId": kit.KEY_ARN},
        "tableFormat": "Iceberg",
    }
    memory = kit.inputs(kit.one(declared(features(), feature_store={"storage": "InMemory"}), GROUP))
    assert memory["onlineStoreConfig"]["storageType"] == "InMemory"
    assert "throughputConfig" not in memory
    assert "ttlDuration" not in memory["onlineStoreConfig"]


def test_views_that_are_offline_have_none() -> None:
    assert declared(features(online=False)).of(GROUP) == []
    assert feature_store.definition(Names(kit.settings()), features(online=False)) is None


def test_the_runtime_is_told_the_groups() -> None:
    assert feature_store.definition(Names(kit.settings()), features()) == {
        "kind": "sagemaker",
        "groups": {"planes": "mlops-planes"},
    }


def test_models_share_a_view_that_they_declare_alike() -> None:
    def build(account: Account, parent: pulumi.Resource) -> None:
        feature_store.build(account, parent, "one", features())
        feature_store.build(account, parent, "two", features())

    assert len(kit.declared(build).of(GROUP)) == 1

    def otherwise(account: Account, parent: pulumi.Resource) -> None:
        feature_store.build(account, parent, "one", features())
        feature_store.build(account, parent, "two", features(ttl="1h"))

    with pytest.raises(pulumi.RunError, match="two: this platform has an online feature view planes already"):
        kit.declared(otherwise)


@pytest.mark.parametrize("name", ["_wind", "wind_", "is_deleted", "event_timestamp"])
def test_names_that_feature_store_does_not_take_are_refused(name: str) -> None:
    (found,) = feature_store.problems(features(features=["seats", name]))
    assert found.startswith("features.views.planes.features[1]: ")
    assert "rename it in a transform, or set online: false" in found
    assert feature_store.problems(features(features=["seats", name], online=False)) == []
