"""Buckets of Amazon S3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, iam
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, Stack, View
from mlops_policies.several import thorough
from mlops_policies.values import NotApplicable

rule = pack("security")

_ENCRYPTION_REFERENCES: Final = {
    "aws-security-hub": ["S3.17"],
    "checkov": ["CKV_AWS_145"],
    "hipaa": ["164.312(a)(2)(iv)"],
    "gdpr": ["Art. 32(1)(a)"],
    "soc2": ["CC6.1"],
    "eu-ai-act": ["Art. 15(5)"],
}
_CLASSIC: Final = tuple(token for token in aws.BUCKET if token.startswith("aws:"))
_NAMES: Final = ("bucket", "bucketName")
_KMS: Final = ("aws:kms", "aws:kms:dsse")
_INLINE: Final = "serverSideEncryptionConfiguration"
_BLOCKS: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_PUBLIC_ACLS: Final = frozenset(("publicread", "publicreadwrite", "authenticatedread"))
_PUBLIC_GROUPS: Final = ("/AllUsers", "/AuthenticatedUsers")


class BucketKey(Parameters):
    """Which keys encrypt buckets."""

    aws_managed_key: bool = False
    """Whether the key `aws/s3`, which AWS manages, is enough, as S3.17 has it. Its policy can't be changed, so that
    whoever may read the bucket may decrypt. Default: no."""

    key: str = ""
    """ARN of the key that the remedy sets. Default: none, and nothing is mended."""


def _with_key(resource: Resource, settings: BucketKey) -> Mapping[str, Any] | None:
    """The encryption of a configuration, or of a bucket that holds its own, with the key.

    A bucket of pulumi-aws without encryption of its own is left: a configuration beside it may name another key, and
    the two would undo each other.
    """
    if not settings.key:
        return None
    default = {"sseAlgorithm": _KMS[0], "kmsMasterKeyId": settings.key}
    if resource.type in aws.BUCKET_ENCRYPTION:
        rules = [{"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": True}]
        return {**resource.props, "rules": rules}
    if resource.type.startswith("aws-native:"):
        rules = [{"serverSideEncryptionByDefault": default, "bucketKeyEnabled": True}]
        return {**resource.props, "bucketEncryption": {_INLINE: rules}}
    if resource.has(_INLINE):
        whole = {"rule": {"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": True}}
        return {**resource.props, _INLINE: whole}
    if resource.has(f"{_INLINE}s"):
        listed = [{"rules": [{"applyServerSideEncryptionByDefaults": [default], "bucketKeyEnabled": True}]}]
        return {**resource.props, f"{_INLINE}s": listed}
    return None


@rule(
    *aws.BUCKET,
    *aws.BUCKET_ENCRYPTION,
    severity="high",
    remediation="Set `sseAlgorithm` to `aws:kms` and `kmsMasterKeyId` to a key of yours.",
    references=_ENCRYPTION_REFERENCES,
    parameters=BucketKey,
    remedy=_with_key,
)
def encrypt_bucket_kms(bucket: Resource, settings: BucketKey) -> Iterator[Finding]:
    """The encryption that a bucket is given is KMS, with a key of yours.

    Data sets, models and captured requests lie in buckets. S3 encrypts everything with keys of its own, which protects
    from nobody who may read the bucket; a key of yours has a policy, a log of its uses, and can be withdrawn. What is
    judged is the encryption that a bucket holds itself, or the configuration resource beside it; that there is one is
    `bucket-encryption-declared`'s.
    """
    defaults = list(_defaults(bucket))
    if not defaults:
        if bucket.type in _CLASSIC and not _holds_encryption(bucket):
            raise NotApplicable("it holds no encryption itself")
        yield bucket.finding("no key of yours encrypts it", "bucketEncryption")
    for default in defaults:
        # Cloud Control is told CloudFormation's names.
        algorithm = "sSEAlgorithm" if default.has("sSEAlgorithm") else "sseAlgorithm"
        if default.text(algorithm) not in _KMS:
            yield default.finding("it is not encrypted with KMS", algorithm)
        elif not (settings.aws_managed_key or aws.has_own_key(default, "kmsMasterKeyId", "kMSMasterKeyID")):
            yield default.finding("no key of yours encrypts it", "kmsMasterKeyId")


@rule(
    *_CLASSIC,
    graph=True,
    severity="high",
    remediation="Declare a `BucketServerSideEncryptionConfiguration` of the bucket, with KMS and a key of yours.",
    references=_ENCRYPTION_REFERENCES,
)
def bucket_encryption_declared(bucket: Resource, stack: Stack) -> Iterator[Finding]:
    """Every bucket is given its encryption.

    Without a configuration S3 encrypts with keys of its own. Which key a configuration names is
    `encrypt-bucket-kms`'s.
    """
    if not _holds_encryption(bucket) and not stack.referring(bucket, aws.BUCKET_ENCRYPTION, "bucket", *_NAMES):
        yield bucket.finding("no configuration encrypts it with a key of yours")


@rule(
    *aws.BUCKET,
    graph=True,
    severity="critical",
    remediation="Declare a `BucketPublicAccessBlock` with all four settings on, and take grants to everybody away.",
    references={
        "aws-security-hub": ["S3.1", "S3.8"],
        "prowler": ["AISF-DATA-04"],
        "gdpr": ["Art. 25(2)"],
        "hipaa": ["164.312(a)(1)"],
        "soc2": ["CC6.1", "CC6.6"],
    },
)
def bucket_no_public_access(bucket: Resource, stack: Stack) -> Iterator[Finding]:
    """Nobody outside can be let into a bucket.

    All four settings that block public access are on, for the bucket or for the account (S3 combines them), and neither
    an ACL nor a bucket policy grants anything to everybody. A statement for everybody with a condition on the account,
    organisation, network or resource that a request comes from is not public, as S3 sees it.
    """
    policies = (_public_policy(bucket, owner, path) for owner, path in _policies(bucket, stack))
    yield from thorough((_public_acl(bucket, stack), *policies, _unblocked(bucket, stack)))


@rule(
    *aws.BUCKET,
    graph=True,
    severity="high",
    remediation="Deny `s3:*` on the bucket and its objects in its policy, where `aws:SecureTransport` is false.",
    references={
        "aws-security-hub": ["S3.5"],
        "prowler": ["AISF-DATA-04"],
        "hipaa": ["164.312(e)(1)", "164.312(e)(2)(ii)"],
        "gdpr": ["Art. 32(1)(a)"],
        "soc2": ["CC6.7"],
        "eu-ai-act": ["Art. 15(5)"],
    },
)
def bucket_tls_only(bucket: Resource, stack: Stack) -> Iterator[Finding]:
    """Buckets are only reached over TLS.

    S3 also answers plain HTTP. The bucket's policy has a statement that denies everybody all of S3's actions on the
    bucket and on its objects where `aws:SecureTransport` is false, under no further condition.
    """
    covered = [found for owner, path in _policies(bucket, stack) for found in _without_tls(owner, path)]
    if not any(resource.endswith("*") for resource in covered):
        yield bucket.finding("no policy denies requests without TLS")
    elif all(resource.endswith("/*") for resource in covered):
        yield bucket.finding("its policy denies requests without TLS for its objects, and not for the bucket itself")


@rule(
    *aws.BUCKET,
    graph=True,
    severity="medium",
    remediation="Declare a `BucketVersioning` of the bucket with the status `Enabled`.",
    references={
        "aws-security-hub": ["S3.14"],
        "gdpr": ["Art. 32(1)(c)"],
        "hipaa": ["164.308(a)(7)(ii)(A)", "164.312(c)(1)"],
        "soc2": ["A1.2"],
    },
)
def bucket_versioned(bucket: Resource, stack: Stack) -> Iterator[Finding]:
    """Buckets keep the versions of what is overwritten or deleted.

    Training data and models can then be had back. Object Lock includes versioning.
    """
    if bucket.flag("objectLockEnabled"):
        return
    separate = stack.referring(bucket, aws.BUCKET_VERSIONING, "bucket", *_NAMES)
    inline = (*bucket.each("versioning"), *bucket.each("versionings"), *bucket.each("versioningConfiguration"))
    given = [*inline, *(part for found in separate for part in found.each("versioningConfiguration"))]
    if not any(part.flag("enabled") or part.text("status") == "Enabled" for part in given):
        yield bucket.finding("it keeps no versions")


def _holds_encryption(bucket: Resource) -> bool:
    return bucket.has(_INLINE) or bucket.has(f"{_INLINE}s")


def _defaults(bucket: Resource) -> Iterator[View]:
    if bucket.type in aws.BUCKET_ENCRYPTION:
        rules = bucket.each("rules")
    elif bucket.type in _CLASSIC:
        # Version 6 of pulumi-aws has lists where version 7 has objects.
        outer = (*bucket.each(_INLINE), *bucket.each(f"{_INLINE}s"))
        rules = [found for part in outer for found in (*part.each("rule"), *part.each("rules"))]
    else:
        rules = bucket.view("bucketEncryption").each(_INLINE)
    for found in rules:
        for name in ("applyServerSideEncryptionByDefault", "serverSideEncryptionByDefault"):
            yield from (*found.each(name), *found.each(f"{name}s"))


def _policies(bucket: Resource, stack: Stack) -> list[tuple[View, str]]:
    found: list[tuple[View, str]] = [(bucket, "policy")] if bucket.has("policy") else []
    for resource in stack.referring(bucket, aws.BUCKET_POLICY, "bucket", *_NAMES):
        found.append((resource, "policyDocument" if resource.has("policyDocument") else "policy"))
    return found


def _public_acl(bucket: Resource, stack: Stack) -> Iterator[Finding]:
    lists = stack.referring(bucket, aws.BUCKET_ACL, "bucket", *_NAMES)
    for owner, path in ((bucket, "acl"), (bucket, "accessControl"), *((found, "acl") for found in lists)):
        if (owner.text(path) or "").replace("-", "").casefold() in _PUBLIC_ACLS:
            yield _open(bucket, owner, "ACL", path)
    granted = [(grant, "uri") for grant in bucket.each("grants")]
    for found in lists:
        granted += [(grant, "grantee.uri") for grant in found.view("accessControlPolicy").each("grants")]
    for grant, path in granted:
        if (grant.text(path) or "").endswith(_PUBLIC_GROUPS):
            yield _open(bucket, grant, "grant", path)


def _public_policy(bucket: Resource, owner: View, path: str) -> Iterator[Finding]:
    if any(statement.public() for statement in iam.statements(owner, path)):
        yield _open(bucket, owner, "policy", path)


def _open(bucket: Resource, part: View, what: str, path: str) -> Finding:
    if part.resource is bucket:
        return part.finding(f"its {what} lets everybody in", path)
    return bucket.finding(f"the {what} of {part.resource.name} lets everybody in")


def _unblocked(bucket: Resource, stack: Stack) -> Iterator[Finding]:
    blocks: list[View] = [*stack.referring(bucket, aws.BUCKET_ACCESS_BLOCK, "bucket", *_NAMES)]
    blocks += stack.of(*aws.ACCOUNT_ACCESS_BLOCK)
    blocks += bucket.each("publicAccessBlockConfiguration")
    missing = [name for name in _BLOCKS if not any(block.flag(name) for block in blocks)]
    if missing:
        what = "all of it" if len(missing) == len(_BLOCKS) else ", ".join(missing)
        yield bucket.finding(f"public access is not blocked ({what})", "publicAccessBlockConfiguration")


def _without_tls(owner: View, path: str) -> Iterator[str]:
    """The resources for which a policy denies everything that comes without TLS."""
    for statement in iam.statements(owner, path):
        if not (statement.effect("Deny") and statement.everybody()):
            continue
        conditions = [(key.casefold(), values.texts()) for _, key, values in statement.conditions()]
        whole = not {"*", "s3:*"}.isdisjoint(statement.listed("Action"))
        if whole and conditions == [("aws:securetransport", ["false"])]:
            yield from statement.listed("Resource")
