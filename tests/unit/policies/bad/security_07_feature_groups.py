"""Feature groups without keys: one store of each forgotten, and one group that keeps nothing online."""

import audited
import pulumi_aws as aws

PACKS = ["security"]
EXPECTED = {
    ("encrypt-feature-store", "flights"),
    ("encrypt-feature-store", "planes"),
}

audited.trail()

ROLE = "arn:aws:iam::123456789012:role/ml"

key = aws.kms.Key("features", enable_key_rotation=True)


def feature_group(name: str, offline: dict[str, object], online: dict[str, object]) -> aws.sagemaker.FeatureGroup:
    return aws.sagemaker.FeatureGroup(
        name,
        feature_group_name=name,
        record_identifier_feature_name="id",
        event_time_feature_name="at",
        role_arn=ROLE,
        feature_definitions=[
            {"feature_name": "id", "feature_type": "String"},
            {"feature_name": "at", "feature_type": "Fractional"},
        ],
        offline_store_config={"s3_storage_config": offline},
        online_store_config=online,
    )


keyed = {"s3_uri": "s3://churn-features/offline", "kms_key_id": key.arn}
feature_group("flights", {"s3_uri": "s3://churn-features/flights"}, {"enable_online_store": False})
feature_group("planes", keyed, {"enable_online_store": True})
feature_group("airports", keyed, {"enable_online_store": True, "security_config": {"kms_key_id": key.arn}})
