"""Keys of AWS KMS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws
from mlops_policies.registry import pack
from mlops_policies.resources import Resource
from mlops_policies.values import NotApplicable

rule = pack("security")


def _rotated(key: Resource) -> Mapping[str, Any] | None:
    return {**key.props, "enableKeyRotation": True}


@rule(
    *aws.KEY,
    severity="medium",
    remediation="Set `enableKeyRotation`.",
    references={"aws-security-hub": ["KMS.4"], "prowler": ["AISF-INFRA-07"], "soc2": ["CC6.1"]},
    remedy=_rotated,
)
def kms_rotation(key: Resource) -> Iterator[Finding]:
    """The material of encryption keys is renewed by KMS.

    Judged are symmetric encryption keys whose material KMS made: asymmetric and HMAC keys, keys with imported material
    and keys in custom stores can't be rotated automatically (KMS Developer Guide, "Rotate AWS KMS keys").
    """
    if key.flag("enableKeyRotation"):
        return
    spec = key.text("customerMasterKeySpec") or key.text("keySpec") or "SYMMETRIC_DEFAULT"
    usage = key.text("keyUsage") or "ENCRYPT_DECRYPT"
    elsewhere = key.has("customKeyStoreId") or key.has("xksKeyId") or (key.text("origin") or "AWS_KMS") != "AWS_KMS"
    if spec != "SYMMETRIC_DEFAULT" or usage != "ENCRYPT_DECRYPT" or elsewhere:
        raise NotApplicable("KMS can't renew the material of such a key")
    yield key.finding("its material is never renewed", "enableKeyRotation")
