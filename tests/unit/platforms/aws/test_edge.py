"""Bundles for devices: signed by a key of KMS, and verified without anything of this project."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from mlops_runtime.edge import signature, verify
from mlops_runtime.errors import StepError
from pulumi_mlops.platforms.aws import edge, endpoint
from pulumi_mlops.platforms.aws.source import Source
from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.spec.endpoints import EdgeEndpoint
from tests.unit.platforms.aws import kit

ALIAS = f"arn:aws:kms:{kit.REGION}:{kit.ACCOUNT}:alias/mlops-delay-gate-signature"
DEVICE = EdgeEndpoint(name="gate", kind="edge")


@pytest.fixture
def kms(monkeypatch):
    """KMS with the signing key under its alias."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", kit.REGION)
    with mock_aws():
        client = boto3.client("kms", region_name=kit.REGION)
        key = client.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        client.create_alias(AliasName=ALIAS.rpartition(":")[2], TargetKeyId=key)
        yield client


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    (folder / "more").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"model")
    (folder / "more" / "manifest.json").write_text("{}")
    return folder


def public_key(kms) -> bytes:
    found: bytes = kms.get_public_key(KeyId=ALIAS)["PublicKey"]
    return found


def test_what_kms_has_signed_is_verified_by_the_public_key(kms, bundle, tmp_path):
    signature.sign(bundle, ALIAS)
    document = json.loads((bundle / "signature.json").read_text())
    assert (document["algorithm"], document["key"]) == ("ECDSA_SHA_256", ALIAS)
    assert sorted(document["files"]) == ["model.onnx", "more/manifest.json"]
    assert verify.verify(bundle, public_key(kms)) == ALIAS
    pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(public_key(kms)) + b"-----END PUBLIC KEY-----\n"
    assert verify.verify(bundle, pem) == ALIAS


@pytest.mark.parametrize(
    ("change", "odd"),
    [
        (lambda folder: (folder / "model.onnx").write_bytes(b"other"), "model.onnx"),
        (lambda folder: (folder / "more" / "manifest.json").unlink(), "more/manifest.json"),
        (lambda folder: (folder / "added.py").write_text(""), "added.py"),
        (lambda folder: (folder / "more" / "signature.json").write_text(""), "more/signature.json"),
    ],
)
def test_a_bundle_that_was_changed_is_found(kms, bundle, change, odd):
    signature.sign(bundle, ALIAS)
    change(bundle)
    with pytest.raises(verify.SignatureError, match=f"since it was signed: {odd}"):
        verify.verify(bundle, public_key(kms))


def test_a_list_of_files_that_was_changed_is_found(kms, bundle):
    signature.sign(bundle, ALIAS)
    (bundle / "model.onnx").write_bytes(b"other")
    document = json.loads((bundle / "signature.json").read_text())
    document["files"] = verify.digests(bundle)
    (bundle / "signature.json").write_text(json.dumps(document))
    with pytest.raises(verify.SignatureError, match="not by this key, or of other files"):
        verify.verify(bundle, public_key(kms))


def test_another_key_s_signature_is_found(kms, bundle):
    signature.sign(bundle, ALIAS)
    other = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    with pytest.raises(verify.SignatureError, match="not by this key"):
        verify.verify(bundle, kms.get_public_key(KeyId=other)["PublicKey"])
    with pytest.raises(verify.SignatureError, match="no public key"):
        verify.verify(bundle, b"nonsense")


def test_the_verifier_runs_by_itself(kms, bundle, tmp_path):
    signature.sign(bundle, ALIAS)
    key, script = tmp_path / "key.der", tmp_path / "verify.py"
    key.write_bytes(public_key(kms))
    script.write_text(Path(verify.__file__).read_text())

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", str(script), str(bundle), str(key)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    assert run().stdout == f"signed by {ALIAS}, and unchanged\n"
    (bundle / "model.onnx").write_bytes(b"other")
    done = run()
    assert done.returncode == 1
    assert done.stderr == "do not use this bundle: changed, added or missing since it was signed: model.onnx\n"


def test_a_key_that_is_not_there_is_one_line(kms, bundle):
    with pytest.raises(StepError, match=r"the bundle can't be signed by arn:aws:kms:.*gone"):
        signature.sign(bundle, ALIAS.replace("gate", "gone"))
    assert not (bundle / "signature.json").exists()


def test_each_edge_endpoint_has_a_key_that_jobs_know_by_its_alias():
    identity = kit.spec().identity
    built = []
    found = kit.declared(
        lambda account, parent: built.append(endpoint.build(account, parent, "ml-gate", DEVICE, identity))
    )
    key = kit.inputs(found.one("aws:kms/key:Key"))
    assert (key["customerMasterKeySpec"], key["keyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")
    assert f"alias/{kit.inputs(found.one('aws:kms/alias:Alias'))['name'].removeprefix('alias/')}" in ALIAS
    declared = PipelinePlan.of(kit.spec(endpoints=[{"name": "gate", "kind": "edge"}], monitors=None, retraining=None))
    keys = []
    kit.declared(lambda account, _: keys.append(Source(account, declared).document.endpoints[0].signing_key))
    assert keys == [ALIAS]


def test_the_pipeline_may_sign_by_that_key_only():
    statements = []
    kit.declared(lambda account, _: statements.extend(edge.sign(account, "delay", ["gate"])))
    (allow,) = statements
    assert list(allow.actions) == ["kms:Sign"]
    assert allow.condition == {
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": ["alias/mlops-delay-gate-signature"]}
    }
