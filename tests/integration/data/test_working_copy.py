"""A store in a bucket and its working copies, against a real HTTP server that speaks S3 (moto)."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from mlops_runtime.definition import Bucket
from mlops_runtime.errors import BadInputError, BusyError, StepError
from mlops_runtime.stores.bucket import ObjectStore
from mlops_runtime.stores.working_copy import WorkingCopy


class Counting(ObjectStore):
    """Notes what is transferred."""

    def __init__(self, bucket):
        super().__init__(bucket)
        self.down, self.up = [], []

    def download(self, path, target):
        self.down.append(path)
        super().download(path, target)

    def upload(self, source, path, *, replaces=None):
        self.up.append(path)
        return super().upload(source, path, replaces=replaces)


@pytest.fixture
def copies(tmp_path, bucket):
    """Makes working copies of the bucket, each in a folder of its own."""

    def make(name: str) -> WorkingCopy:
        (tmp_path / name).mkdir(exist_ok=True)
        return WorkingCopy(tmp_path / name, Counting(bucket))

    return make


def write(copy, path, text):
    (copy.root / path).parent.mkdir(parents=True, exist_ok=True)
    (copy.root / path).write_text(text)


def test_what_one_pushes_another_pulls(copies):
    one, two = copies("one"), copies("two")
    write(one, "bundles/late/1/model.onnx", "m")
    write(one, "bundles/late/1/manifest.json", "{}")
    write(one, "bundles/late/10/model.onnx", "another")
    assert one.push("bundles/late/1/") == ["bundles/late/1/manifest.json", "bundles/late/1/model.onnx"]
    assert one.push("nothing/here/", "nor/here.json") == []

    assert two.pull("bundles/late/", "none/", "none.json") == [
        "bundles/late/1/manifest.json", "bundles/late/1/model.onnx",
    ]  # fmt: skip
    assert (two.root / "bundles/late/1/model.onnx").read_text() == "m"


def test_a_folder_is_not_mistaken_for_one_whose_name_begins_like_it(copies):
    one, two = copies("one"), copies("two")
    write(one, "bundles/late/1/model.onnx", "m")
    write(one, "bundles/late/10/model.onnx", "n")
    one.push("bundles/")
    assert two.pull("bundles/late/1/") == ["bundles/late/1/model.onnx"]


def test_nothing_is_transferred_twice(copies):
    one, two = copies("one"), copies("two")
    write(one, "a/1.txt", "1")
    write(one, "a/2.txt", "2")
    one.push("a/")
    two.pull("a/")
    write(one, "a/2.txt", "two")
    one.push("a/")
    assert one.objects.up == ["a/1.txt", "a/2.txt", "a/2.txt"]

    again = copies("two")  # another process in the same folder
    again.pull("a/")
    again.push("a/")
    assert (again.objects.down, again.objects.up) == (["a/2.txt"], [])
    write(again, "a/1.txt", "1")  # written anew, with the same content
    assert again.push("a/") == []


def test_what_the_bucket_has_wins_a_pull(copies):
    one, two = copies("one"), copies("two")
    write(one, "a/1.txt", "1")
    one.push("a/")
    two.pull("a/")
    write(two, "a/1.txt", "left by a killed process")
    write(two, "a/new.txt", "left as well")
    copies("two").pull("a/")
    assert (two.root / "a/1.txt").read_text() == "1"
    assert (two.root / "a/new.txt").exists()


def test_what_is_gone_from_the_bucket_goes_from_the_copy(copies):
    one, two = copies("one"), copies("two")
    write(one, "captures/a/1.jsonl", "1")
    write(one, "captures/a/2.jsonl", "2")
    one.push("captures/")
    two.pull("captures/")
    one.delete("captures/a/1.jsonl")
    assert not (one.root / "captures/a/1.jsonl").exists()
    assert two.pull("captures/") == ["captures/a/2.jsonl"]
    assert not (two.root / "captures/a/1.jsonl").exists()
    # What this copy lacks is not thereby deleted in the bucket.
    (two.root / "captures/a/2.jsonl").unlink()
    two.push("captures/")
    assert two.names("captures/") == ["captures/a/2.jsonl"]


def test_a_change_by_another_is_never_undone_unseen(copies):
    one, two = copies("one"), copies("two")
    write(one, "index.json", "[]")
    one.push("index.json")
    two.pull("index.json")
    write(one, "index.json", "[1]")
    one.push("index.json")
    write(two, "index.json", "[2]")
    with pytest.raises(BusyError, match=r"index\.json was changed by another run at the same time; run the step again"):
        two.push("index.json")
    assert one.objects.read("index.json") == b"[1]"


def test_records_come_after_what_they_speak_of_and_go_last(copies):
    one = copies("one")
    for name in ("manifest.json", "card.json", "model.onnx"):
        write(one, f"b/{name}", name)
    one.push("b/")
    assert one.objects.up == ["b/model.onnx", "b/card.json", "b/manifest.json"]
    gone = []
    one.objects.delete = gone.append
    one.delete("b/")
    assert gone == ["b/model.onnx", "b/card.json", "b/manifest.json"]


def test_locks_and_files_in_the_making_stay_here(copies):
    one = copies("one")
    write(one, "a/.lock", "")
    write(one, "a/.1.partial/model.onnx", "half")
    write(one, "a/b.txt", "b")
    assert one.push("a/") == ["a/b.txt"]


def test_large_files_are_whole_and_conditional_too(copies, monkeypatch):
    one, two = copies("one"), copies("two")
    content = bytes(range(256)) * (9 * 2**12)  # 9 MiB: several requests at once
    (one.root / "big.bin").write_bytes(content)
    one.push("big.bin")
    two.pull("big.bin")
    assert (two.root / "big.bin").read_bytes() == content
    (one.root / "big.bin").write_bytes(content + b"1")
    one.push("big.bin")
    (two.root / "big.bin").write_bytes(content + b"2")
    with pytest.raises(BusyError):
        two.push("big.bin")


def test_a_download_that_fails_leaves_nothing(copies, monkeypatch):
    one, two = copies("one"), copies("two")
    write(one, "a/1.txt", "1")
    one.push("a/")

    def cut_short(bucket, key, target):
        Path(target).write_text("half")
        raise OSError("the connection broke")

    monkeypatch.setattr(two.objects._client, "download_file", cut_short)
    with pytest.raises(OSError, match="the connection broke"):
        two.pull("a/")
    assert [path for path in (two.root / "a").rglob("*") if path.is_file()] == []


def test_a_name_that_leads_out_of_the_store_is_refused(copies, bucket, tmp_path):
    client = boto3.session.Session().client("s3", endpoint_url=bucket.endpoint_url)
    client.put_object(Bucket=bucket.uri.split("/")[2], Key="mlops/captures/../../evil.txt", Body=b"x")
    with pytest.raises(StepError, match="leads out of the store"):
        copies("one").pull("captures/")
    assert not (tmp_path / "evil.txt").exists()


def test_a_bucket_without_prefix_and_one_with_share_nothing(copies, bucket, tmp_path):
    write(one := copies("one"), "a.txt", "a")
    one.push("a.txt")
    whole = ObjectStore(Bucket(uri=bucket.uri.removesuffix("/mlops"), endpoint_url=bucket.endpoint_url))
    assert [entry.path for entry in whole.list("")] == ["mlops/a.txt"]


@pytest.mark.parametrize("call", ["list", "head", "upload", "create"])
def test_a_missing_bucket_is_named(bucket, tmp_path, call):
    (tmp_path / "file").write_text("x")
    missing = ObjectStore(Bucket(uri="s3://no-such-bucket/p", endpoint_url=bucket.endpoint_url))
    calls = {
        "list": lambda: list(missing.list("")),
        "upload": lambda: missing.upload(tmp_path / "file", "file"),
        "create": lambda: missing.create("file", b"x"),
    }
    if call == "head":
        # The answer to a HEAD request has no body: it can't tell a missing bucket from a missing object.
        assert missing.head("file") is None
        return
    with pytest.raises(BadInputError, match=r"s3://no-such-bucket/p.* at http://127.*: no such bucket"):
        calls[call]()


def test_a_service_that_does_not_answer_is_told_in_one_line(bucket, monkeypatch):
    monkeypatch.setattr("mlops_runtime.stores.s3._ATTEMPTS", 1)
    nobody = ObjectStore(Bucket(uri="s3://b/p", endpoint_url="http://127.0.0.1:9"))
    with pytest.raises(StepError, match=r"store s3://b/p: http://127\.0\.0\.1:9 can't be reached") as caught:
        list(nobody.list(""))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


def test_missing_credentials_are_named(bucket, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(BadInputError, match="no credentials; set AWS_ACCESS_KEY_ID"):
        list(ObjectStore(bucket).list(""))


def test_a_secret_never_shows_in_a_failure(bucket, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    missing = ObjectStore(Bucket(uri="s3://no-such-bucket/p", endpoint_url=bucket.endpoint_url))
    with pytest.raises(StepError) as caught:
        list(missing.list(""))
    assert "hush" not in str(caught.value)
