"""Captured requests move to a bucket; the bucket is a real HTTP server that speaks S3 (moto)."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import boto3
import pytest
import serving_kit as kit
from moto.server import ThreadedMotoServer

from mlops_runtime.serving.capture import Capture
from mlops_runtime.serving.config import BucketConfig, CaptureConfig
from mlops_runtime.serving.upload import Uploader

PREFIX = "ml/captures/delay"


@pytest.fixture(scope="module")
def service():
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)


class Bucket:
    """A bucket that need not exist yet."""

    def __init__(self, service, name):
        self.client = boto3.client("s3", endpoint_url=service, region_name="us-east-1")
        self.name, self.config = name, BucketConfig(uri=f"s3://{name}/ml", endpoint_url=service)

    def create(self):
        self.client.create_bucket(Bucket=self.name)
        return self

    def put(self, *keys):
        for key in keys:
            self.client.put_object(Bucket=self.name, Key=key, Body=b"{}\n")

    def keys(self):
        return [entry["Key"] for entry in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def lines(self):
        bodies = [self.client.get_object(Bucket=self.name, Key=key)["Body"].read() for key in self.keys()]
        return [json.loads(line) for body in bodies for line in body.splitlines()]


@pytest.fixture
def missing(service, request):
    """A bucket that does not exist."""
    return Bucket(service, f"b{abs(hash(request.node.name))}")


@pytest.fixture
def bucket(missing):
    return missing.create()


def write(directory, name, lines=1, day="2026-01-02"):
    path = directory / day / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{"id": "{name}"}}\n' * lines)
    return path


def day(days):
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%d")


def serve(tmp_path, bucket, **changes):
    capture = {
        "directory": str(tmp_path / "captures"),
        "sample": 1,
        "bucket": {"uri": bucket.config.uri, "endpoint_url": bucket.config.endpoint_url},
    }
    bundle = kit.write_bundle(tmp_path / "store", 1)
    return kit.serving(tmp_path, data_dir=None, bundle=str(bundle), capture={**capture, **changes})


def test_what_was_captured_is_in_the_bucket_when_the_server_has_stopped(tmp_path, bucket):
    with serve(tmp_path, bucket) as server:
        for _ in range(3):
            assert server.infer(kit.named()).status_code == 200
        assert bucket.keys() == []  # a file is complete after a minute
        assert server.stop() == 0

    (key,) = bucket.keys()
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    assert key.startswith(f"{PREFIX}/{today}/")
    assert key.endswith(".jsonl")
    lines = bucket.lines()
    assert [(line["endpoint"], line["version"], line["inputs"]["carrier"]) for line in lines] == [
        ("delay", "1", ["UA"])
    ] * 3
    assert not list((tmp_path / "captures").glob("*/*"))


def test_complete_files_are_uploaded_while_serving(tmp_path, bucket):
    with serve(tmp_path, bucket, rotate_bytes=1) as server:
        for number in range(1, 4):
            server.infer(kit.named())
            kit.until(lambda wanted=number: len(bucket.keys()) == wanted)
        kit.until(lambda: 'mlops_serving_capture_files_uploaded_total{endpoint="delay"} 3.0' in metrics(server))
        assert 'mlops_serving_capture_upload_failures_total{endpoint="delay"} 0.0' in metrics(server)
        assert 'mlops_serving_capture_upload_waiting_bytes{endpoint="delay"} 0.0' in metrics(server)


def metrics(server):
    return server.client.get("/metrics").text


def test_a_bucket_that_refuses_costs_no_request_and_gets_the_files_later(tmp_path, missing):
    with serve(tmp_path, missing, rotate_bytes=1) as server:
        assert server.infer(kit.named()).status_code == 200
        kit.until(lambda: 'mlops_serving_capture_upload_failures_total{endpoint="delay"} 1.0' in metrics(server))
        assert server.infer(kit.named()).status_code == 200
        kit.until(lambda: len(list((tmp_path / "captures").glob("*/*.jsonl"))) == 2)

        missing.create()

        kit.until(lambda: len(missing.keys()) == 2)
    log = (tmp_path / "serving.log").read_text()
    assert log.count(f"capture cannot upload to s3://{missing.name}/{PREFIX}: no such bucket") == 1
    assert log.count(f"capture uploads to s3://{missing.name}/{PREFIX} again") == 1


def test_what_waits_is_bounded_and_the_oldest_goes_first(tmp_path, missing):
    config = CaptureConfig(directory=tmp_path, bucket=missing.config, rotate_bytes=10, max_local_bytes=40)
    uploader = Uploader("delay", config)
    uploader.start()
    for number in range(4):  # 12 bytes a line
        uploader.add(write(tmp_path, f"f{number}", lines=number + 1))
        # The first may be under way, and is then left alone.
        kit.until(lambda: uploader.failures > 0)

    assert uploader.dropped == 1 + 2 + 3
    assert [path.name for path in tmp_path.glob("*/*.jsonl")] == ["f3.jsonl"]
    assert uploader.waiting_bytes == 4 * 13
    missing.create()
    uploader.close(10)
    assert missing.keys() == [f"{PREFIX}/2026-01-02/f3.jsonl"]
    assert uploader.waiting_bytes == 0


def test_what_a_killed_process_left_is_uploaded(tmp_path, bucket):
    write(tmp_path, "left", day=day(0))
    unfinished = write(tmp_path, "cut", lines=2, day=day(0))
    unfinished = unfinished.rename(unfinished.with_suffix(".jsonl.tmp"))
    with unfinished.open("a") as file:
        file.write('{"id": "cut o')

    capture = Capture("delay", CaptureConfig(directory=tmp_path, bucket=bucket.config))
    capture.start()
    capture.close(10)

    assert bucket.keys() == [f"{PREFIX}/{day(0)}/cut.jsonl", f"{PREFIX}/{day(0)}/left.jsonl"]
    assert [line["id"] for line in bucket.lines()] == ["cut", "cut", "left"]


def test_the_end_waits_no_longer_than_it_may(tmp_path, missing, caplog):
    write(tmp_path, "kept")
    uploader = Uploader("delay", CaptureConfig(directory=tmp_path, bucket=missing.config))
    uploader.start()
    kit.until(lambda: uploader.failures)

    began = time.monotonic()
    uploader.close(0.5)

    assert 0.5 <= time.monotonic() - began < 5
    assert (tmp_path / "2026-01-02" / "kept.jsonl").exists()
    assert "15 bytes of captured requests are not uploaded and stay on the disk" in caplog.text
    missing.create()  # which ends the thread
    kit.until(lambda: missing.keys())


def test_old_days_are_deleted_in_the_bucket_and_nothing_else(tmp_path, bucket):
    kept = [f"{PREFIX}/{day(days)}/a.jsonl" for days in (0, 2, 3)]
    others = [f"ml/captures/delays/{day(9)}/a.jsonl", f"{PREFIX}/notes/a.jsonl", f"ml/captures/{day(9)}/a.jsonl"]
    bucket.put(*kept, *others, *(f"{PREFIX}/{day(days)}/{n}.jsonl" for days in (5, 30) for n in range(3)))

    uploaders = [
        Uploader("delay", CaptureConfig(directory=tmp_path / name, bucket=bucket.config, retention_days=2))
        for name in ("one", "two")  # as two pods would
    ]
    for uploader in uploaders:
        uploader.start()

    kit.until(lambda: bucket.keys() == sorted(kept + others))
    for uploader in uploaders:
        uploader.close(10)
    assert [uploader.failures for uploader in uploaders] == [0, 0]


def test_the_identity_may_be_a_web_token(tmp_path, bucket, service, monkeypatch):
    token = tmp_path / "token"
    token.write_text("a-token-of-the-cluster")
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"AWS_{name}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", service)
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/serving")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    write(tmp_path / "captures", "one")
    uploader = Uploader("delay", CaptureConfig(directory=tmp_path / "captures", bucket=bucket.config))
    uploader.start()
    uploader.close(10)
    assert bucket.keys() == [f"{PREFIX}/2026-01-02/one.jsonl"]
