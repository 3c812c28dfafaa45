"""The audit log in a bucket: chained, append only, written by many at once."""

from __future__ import annotations

import json
import subprocess
import sys

import boto3
import pytest
from data_definitions import definition, source

from mlops_runtime.errors import StepError
from mlops_runtime.stores.audit import Link
from mlops_runtime.stores.bucket import ObjectStore
from mlops_runtime.stores.bucket_audit import BucketAudit, audit_of
from mlops_runtime.stores.control import Control

APPEND = """
import sys
from mlops_runtime.definition import Bucket
from mlops_runtime.stores.bucket import ObjectStore
from mlops_runtime.stores.bucket_audit import BucketAudit

uri, endpoint, who = sys.argv[1:]
log = BucketAudit(ObjectStore(Bucket(uri=uri, endpoint_url=endpoint)))
print("ready", flush=True)
sys.stdin.readline()
for number in range(8):
    log.audit(who, "deploy", f"late/{number}", {"n": number})
"""


@pytest.fixture
def log(bucket):
    return BucketAudit(ObjectStore(bucket))


@pytest.fixture
def raw(bucket):
    """The bucket's objects for one who tampers with them."""
    client, name = boto3.session.Session().client("s3", endpoint_url=bucket.endpoint_url), bucket.uri.split("/")[2]

    class Raw:
        def put(self, number, content):
            client.put_object(Bucket=name, Key=f"mlops/audit/{number:016d}.json", Body=content)

        def get(self, number):
            return client.get_object(Bucket=name, Key=f"mlops/audit/{number:016d}.json")["Body"].read()

        def delete(self, number):
            client.delete_object(Bucket=name, Key=f"mlops/audit/{number:016d}.json")

    return Raw()


def test_entries_are_chained_and_the_same_as_in_a_database(log, raw, tmp_path):
    entries = [log.audit("ann", "approve", "late/1", {"b": 1, "a": [2]}), log.audit("pipeline", "deploy", "late/1")]
    assert [entry.id for entry in entries] == [1, 2]
    assert log.audit_log() == entries[::-1]
    first, second = (Link(**json.loads(raw.get(number))) for number in (1, 2))
    assert second.previous == first.digest == entries[0].digest
    # What the database keeps of the same entry has the same digest.
    control = Control(tmp_path / "control.db")
    with control._transaction() as connection:
        connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", tuple(json.loads(raw.get(1)).values()))
    assert control.verify_audit().problem is None
    assert control.audit_log() == entries[:1]


def test_entries_are_found_by_subject_and_action(log):
    for number in range(70):
        log.audit("ann", "approve" if number % 2 else "deploy", f"late/{number % 5}")
    assert [entry.id for entry in log.audit_log(subject="late/1", action="approve", limit=3)] == [62, 52, 42]
    assert [entry.id for entry in log.audit_log(limit=2)] == [70, 69]
    assert log.audit_log(subject="none") == []
    assert log.verify_audit().entries == 70


def test_appends_from_several_processes_keep_the_chain(bucket, log):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", APPEND, bucket.uri, bucket.endpoint_url, f"writer-{number}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(3)
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.close()
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    for writer in writers:
        writer.stdout.close()
    verdict = log.verify_audit()
    assert (verdict.entries, verdict.problem) == (24, None)
    entries = log.audit_log()
    for number in range(3):
        mine = [entry.details["n"] for entry in reversed(entries) if entry.actor == f"writer-{number}"]
        assert mine == list(range(8))


def test_an_entry_by_another_comes_first(log, bucket):
    other = BucketAudit(ObjectStore(bucket))
    log.audit("ann", "approve", "late/1")
    other.audit("bob", "reject", "late/2")
    assert log.audit("ann", "approve", "late/3").id == 3
    assert log.verify_audit().problem is None


def test_a_write_whose_answer_was_lost_is_not_written_twice(log, monkeypatch):
    create = log._objects.create

    def lost(path, content):
        create(path, content)
        return False  # the client sent it again, and the service said that it is there

    monkeypatch.setattr(log._objects, "create", lost)
    assert log.audit("ann", "approve", "late/1").id == 1
    monkeypatch.undo()
    assert len(log.audit_log()) == 1


def test_tampering_shows(log, raw):
    for number in range(3):
        log.audit("ann", "approve", f"late/{number}")
    original = raw.get(2)
    raw.put(2, original.replace(b"ann", b"eve"))
    assert log.verify_audit().problem == "entry 2 was changed"
    raw.put(2, b"nonsense")
    assert log.verify_audit().problem == "entry 2 was changed"
    with pytest.raises(StepError, match=r"audit/0000000000000002\.json is no entry of the audit log"):
        log.audit_log()
    raw.delete(2)
    assert log.verify_audit().problem == "entry 2 is missing"
    raw.put(2, original)
    assert log.verify_audit().problem is None


def test_the_definition_says_where_the_log_is(tmp_path, bucket):
    made = definition(tmp_path, {"a": source("a.csv")})
    assert isinstance(audit_of(made), Control)
    assert isinstance(audit_of(made.model_copy(update={"bucket": bucket})), BucketAudit)
