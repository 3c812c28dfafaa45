"""Latest feature values in SageMaker Feature Store: a feature group for each view that is online.

History is kept in the bucket, built from snapshots, and is what training joins. The groups are written by the
pipeline's step `featurize` and by the task `materialize`; they can be written again at any time, so they are not
protected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from mlops_runtime.stores.online import TIMESTAMP
from mlops_runtime.stores.sagemaker_online import FEATURE_NAME, RESERVED, identifier
from pulumi_mlops.platforms.aws import access
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.names import Names
from pulumi_mlops.platforms.aws.roles import Allow, Role, role
from pulumi_mlops.platforms.base import BuiltFeatureStore
from pulumi_mlops.spec.features import Features, FeatureView

NAME: Final = 64
"""Longest name of a feature group."""

OFFLINE: Final = "feature-groups"
"""Where in the store Feature Store keeps the history of online values, if it is asked to."""


def build(account: Account, parent: pulumi.Resource, name: str, features: Features) -> BuiltFeatureStore:
    """The feature groups of a model's views; models that declare the same view share its group.

    Raises:
        pulumi.RunError: a view can't be kept there, or another model has declared one of the same name otherwise.
    """
    if found := problems(features):
        raise pulumi.RunError(f"{name}: " + "; ".join(found))
    new = {
        view: settings
        for view, settings in _online(features).items()
        if account.claim("online feature view", view, name, (settings, _keys(features, settings)))
    }
    if new:
        allowed = _role(account, parent, name)
        for view, settings in new.items():
            _group(account, parent, name, view, settings, _keys(features, settings), allowed)
    online = f"https://featurestore-runtime.sagemaker.{account.region}.{account.domain}" if _online(features) else None
    return BuiltFeatureStore(
        offline_uri=pulumi.Output.from_input(f"{account.store_uri}/features/offline"),
        online_url=pulumi.Output.from_input(online),
    )


def problems(features: Features) -> list[str]:
    """What Feature Store can't hold, a sentence each, beginning with the field."""
    found = []
    for view, settings in _online(features).items():
        for number, feature in enumerate(settings.features):
            at = f"features.views.{view}.features[{number}]"
            if FEATURE_NAME.fullmatch(feature) is None:
                found.append(
                    f"{at}: {feature!r} can't be a feature's name in SageMaker Feature Store (letters, digits, inner - "
                    "and _, at most 64); rename it in a transform, or set online: false"
                )
            elif feature in RESERVED:
                found.append(
                    f"{at}: {feature} is a name of SageMaker Feature Store's own; rename it in a transform, or set "
                    "online: false"
                )
    return found


def definition(names: Names, features: Features) -> dict[str, Any] | None:
    """The online store as the runtime reads it (`definition.FeatureGroups`); None where no view is online."""
    found = groups(names, features)
    return {"kind": "sagemaker", "groups": found} if found else None


def groups(names: Names, features: Features) -> dict[str, str]:
    """Name of the feature group of each view that is online."""
    return {view: names.called(view, limit=NAME) for view in _online(features)}


def read(account: Account, features: Features) -> list[Allow]:
    """Read latest values."""
    arns = _arns(account, features)
    return [Allow(["sagemaker:BatchGetRecord", "sagemaker:GetRecord"], arns)] if arns else []


def write(account: Account, features: Features) -> list[Allow]:
    """Write latest values."""
    arns = _arns(account, features)
    return [Allow(["sagemaker:DeleteRecord", "sagemaker:PutRecord"], arns)] if arns else []


def _arns(account: Account, features: Features) -> list[str]:
    # ARNs of feature groups are in lower case, as all of our names are.
    return [account.arn("sagemaker", f"feature-group/{group}") for group in groups(account, features).values()]


def _online(features: Features) -> dict[str, FeatureView]:
    return {name: view for name, view in features.views.items() if view.online}


def _keys(features: Features, view: FeatureView) -> list[str]:
    return features.entities[view.entity].keys


def _group(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    view: str,
    settings: FeatureView,
    keys: Sequence[str],
    allowed: Role,
) -> None:
    chosen = account.settings.feature_store
    # Features are JSON: what a transform returns is not known before it runs, and the types know no truth values.
    types = {identifier(keys): "String", TIMESTAMP: "Fractional", **dict.fromkeys(settings.features, "String")}
    online: Any = {
        "enable_online_store": True,
        "security_config": {"kms_key_id": account.key_arn},
        "storage_type": chosen.storage,
    }
    if settings.ttl is not None:
        online["ttl_duration"] = {"unit": "Seconds", "value": round(settings.ttl.total_seconds())}
    throughput: Any = None
    history: Any = None
    if chosen.throughput is not None:
        throughput = {
            "throughput_mode": "Provisioned",
            "provisioned_read_capacity_units": chosen.throughput.read,
            "provisioned_write_capacity_units": chosen.throughput.write,
        }
    elif chosen.storage == "Standard":
        throughput = {"throughput_mode": "OnDemand"}
    if chosen.offline:
        history = {
            "s3_storage_config": {"s3_uri": f"{account.store_uri}/{OFFLINE}", "kms_key_id": account.key_arn},
            "table_format": "Iceberg",
        }
    aws.sagemaker.FeatureGroup(
        f"{name}-{view}",
        feature_group_name=account.called(view, limit=NAME),
        description=f"Latest values of the view {view}",
        record_identifier_feature_name=identifier(keys),
        event_time_feature_name=TIMESTAMP,
        feature_definitions=[{"feature_name": feature, "feature_type": kind} for feature, kind in types.items()],
        online_store_config=online,
        offline_store_config=history,
        throughput_config=throughput,
        role_arn=allowed.arn,
        tags=account.tags("feature-store"),
        # Its name is taken as long as it is there.
        opts=account.options(parent=parent, needs=allowed.needs, delete_before_replace=True),
    )


def _role(account: Account, parent: pulumi.Resource, name: str) -> Role:
    """What Feature Store itself acts as: it writes the history, where there is one."""
    allow = [Allow(["s3:GetBucketLocation"], [account.bucket_arn]), *access.use_key(account)]
    if account.settings.feature_store.offline:
        path = f"{OFFLINE}/*"
        glue = [account.arn("glue", each) for each in ("catalog", "database/sagemaker_featurestore", _TABLES)]
        allow += [
            *access.read_store(account, path),
            *access.write_store(account, path),
            Allow(["s3:GetBucketAcl"], [account.bucket_arn]),
            # Iceberg's tables are made smaller by taking old files away.
            Allow(["s3:DeleteObject"], [account.object_arn(path)]),
            Allow(["glue:CreateDatabase", "glue:CreateTable", "glue:GetDatabase", "glue:GetTable"], glue),
            Allow(["glue:UpdateTable"], glue),
        ]
    return role(
        account,
        f"{name}-feature-store",
        "pipeline",
        services=["sagemaker"],
        allow=allow,
        parent=parent,
        called=["feature-store", name],
    )


_TABLES: Final = "table/sagemaker_featurestore/*"
"""Tables of Feature Store in Glue."""
