"""S3 sources against a real HTTP server that speaks S3 (moto)."""

from __future__ import annotations

import boto3
import polars as pl
import pytest
from data_definitions import definition, source
from moto.server import ThreadedMotoServer

from mlops_runtime.errors import BadInputError
from mlops_runtime.steps.ingest import ingest
from mlops_runtime.stores import sources

CSV = b"id,value\n1,0.5\n2,1.5\n"


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="lake")
    yield client
    for entry in client.list_objects_v2(Bucket="lake").get("Contents", []):
        client.delete_object(Bucket="lake", Key=entry["Key"])
    client.delete_bucket(Bucket="lake")


def at(root, endpoint, key, **fields):
    return definition(root, {"a": source(f"s3://{key}", "s3", endpoint_url=endpoint, **fields)})


def test_an_object_is_read(tmp_path, endpoint, s3):
    s3.put_object(Bucket="lake", Key="in/t.csv", Body=CSV)
    assert sources.read(at(tmp_path, endpoint, "lake/in/t.csv"), "a").rows() == [(1, 0.5), (2, 1.5)]


def test_a_folder_is_one_table(tmp_path, endpoint, s3):
    for number in (1, 2):
        path = tmp_path / "part.parquet"
        pl.DataFrame({"id": [number]}).write_parquet(path)
        s3.upload_file(str(path), "lake", f"parts/day={number}/part.parquet")
    s3.put_object(Bucket="lake", Key="parts/", Body=b"")
    s3.put_object(Bucket="lake", Key="partsother/t.csv", Body=CSV)
    assert sources.read(at(tmp_path, endpoint, "lake/parts/"), "a").rows() == [(1,), (2,)]


def test_the_fingerprint_follows_the_objects(tmp_path, endpoint, s3):
    s3.put_object(Bucket="lake", Key="in/1.csv", Body=CSV)
    project = at(tmp_path, endpoint, "lake/in/")
    first = ingest(project, "a")
    assert ingest(project, "a").new is False
    before = sources.fingerprint(project, "a")
    assert sources.fingerprint(project, "a") == before
    s3.put_object(Bucket="lake", Key="in/2.csv", Body=b"id,value\n3,2.5\n")
    assert sources.fingerprint(project, "a") != before
    assert (first.rows, ingest(project, "a").rows) == (2, 3)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("lake/t.csv", r"source a: s3://lake/t\.csv at http://127\.0\.0\.1:\d+: no such object"),
        ("lake/empty/", "source a: nothing lies under s3://lake/empty/"),
        ("nowhere/empty/", "source a: s3://nowhere/empty/ at .*: no such bucket"),
    ],
)
def test_what_is_not_there_is_said(tmp_path, endpoint, s3, key, message):
    with pytest.raises(BadInputError, match=message):
        sources.read(at(tmp_path, endpoint, key), "a")


def test_an_unreachable_store_is_said(tmp_path, s3):
    with pytest.raises(BadInputError, match=r"s3://lake/t\.csv: http://127\.0\.0\.1:1 can't be reached"):
        sources.read(at(tmp_path, "http://127.0.0.1:1", "lake/t.csv"), "a")


def test_missing_credentials_are_said(tmp_path, endpoint, s3, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/not/there")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/not/there")
    with pytest.raises(BadInputError, match="no credentials; set AWS_ACCESS_KEY_ID"):
        sources.read(at(tmp_path, endpoint, "lake/t.csv"), "a")
