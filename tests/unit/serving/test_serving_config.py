import json
from pathlib import Path

import pytest

from mlops_runtime.serving.config import BucketConfig, ConfigError, ServingConfig

MINIMAL = {"endpoint": "delay", "model": "m", "port": 8080, "data_dir": "/data"}

BUNDLE = {"data_dir": None, "bundle": "/mnt/models"}


def capture_to(uri, **changes):
    return {"capture": {"directory": "c", "bucket": {"uri": uri}, **changes}}


def load(tmp_path, document):
    path = tmp_path / "serving.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return ServingConfig.load(path)


def test_a_full_config_is_read(tmp_path):
    capture = {"sample": 1, "max_queue": 5, "directory": "captures/delay", "retention_days": 7}
    config = load(tmp_path, {**MINIMAL, "capture": capture, "auth_token_file": None, "enrichment": True, "threads": 2})

    assert config.capture is not None
    assert str(config.capture.directory) == "/data/captures/delay"
    assert (config.capture.sample, config.capture.retention_days) == (1.0, 7.0)
    assert str(config.pointer) == "/data/deployments/delay.json"
    assert str(config.online_store) == "/data/features/online.db"
    assert (config.enrichment, config.threads, config.host) == (True, 2, "127.0.0.1")


def test_a_config_without_a_store_is_read(tmp_path):
    capture = {"directory": "/captures", "bucket": {"uri": "s3://store/ml", "endpoint_url": "http://s3:9000"}}
    config = load(tmp_path, {**MINIMAL, **BUNDLE, "host": "0.0.0.0", "capture": capture})

    assert (str(config.bundle), config.data_dir, config.host) == ("/mnt/models", None, "0.0.0.0")
    assert config.capture is not None
    assert config.capture.bucket == BucketConfig(uri="s3://store/ml", endpoint_url="http://s3:9000")
    assert str(config.capture.directory) == "/captures"


def test_features_may_come_from_a_feature_server(tmp_path):
    url = "http://feast-features-online.ml.svc"
    config = load(tmp_path, {**MINIMAL, **BUNDLE, "enrichment": True, "feature_server_url": url})

    assert (config.enrichment, config.feature_server_url) == (True, url)


def test_the_config_that_the_docs_show_is_read(tmp_path):
    page = (Path(__file__).resolve().parents[3] / "docs" / "images.md").read_text()
    config = load(tmp_path, page.split("```json")[1].split("```")[0])
    assert (str(config.bundle), config.port) == ("/mnt/models", 8080)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prot": 1}, "prot: unknown field; did you mean 'port'?"),
        ({"port": "80"}, "port: expected an integer, got '80'"),
        ({"port": True}, "port: expected an integer, got True"),
        ({"feature_server_url": "http://f"}, "feature_server_url: expected null without enrichment, got 'http://f'"),
        (
            {"enrichment": True, "feature_server_url": "f:80"},
            "feature_server_url: expected http://HOST[:PORT], got 'f:80'",
        ),
        (
            {"enrichment": True, "feature_server_url": "http://me:secret@f"},
            "feature_server_url: expected http://HOST[:PORT], got",
        ),
        ({"port": 70000}, "port: expected 0 to 65535, got 70000"),
        ({"endpoint": "a/b"}, "endpoint: expected a name without '/'"),
        ({"workers": 2}, "workers: expected 1 ("),
        ({"capture": {"sample": 2, "directory": "c"}}, "capture.sample: expected 0 to 1, got 2.0"),
        ({"capture": {"sample": 0.1}}, "capture.directory: missing"),
        ({"capture": {"directory": "c", "retention_days": 0}}, "capture.retention_days: expected more than 0"),
        ({"capture": 3}, "capture: expected an object, got 3"),
        ({"bundle": "/mnt/models"}, "data_dir, bundle: expected exactly one of them"),
        ({"data_dir": None}, "data_dir, bundle: expected exactly one of them"),
        ({**BUNDLE, "enrichment": True}, "enrichment: expected false without data_dir"),
        ({**BUNDLE, "capture": {"directory": "captures"}}, "capture.directory: expected an absolute path"),
        (capture_to("bucket/prefix"), "capture.bucket.uri: expected s3://BUCKET/PREFIX, got 'bucket/prefix'"),
        (capture_to("s3://b", max_local_bytes=5), "capture.max_local_bytes: expected at least rotate_bytes"),
        ({"log_level": "loud"}, "log_level: expected one of debug, info"),
        ({"max_batch_rows": 0}, "max_batch_rows: expected at least 1"),
        ({"drain_seconds": -1}, "drain_seconds: expected 0 or more"),
    ],
)
def test_a_wrong_config_is_refused_by_field(tmp_path, changes, message):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {**MINIMAL, **changes})
    assert message in str(caught.value)
    assert "serving.json" in str(caught.value)


def test_a_config_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(ConfigError, match="is not JSON"):
        load(tmp_path, "{")
    with pytest.raises(ConfigError, match=r"cannot read serving config .*: No such file"):
        ServingConfig.load(tmp_path / "absent.json")
    with pytest.raises(ConfigError, match="data_dir, bundle: expected exactly one"):
        load(tmp_path, {key: value for key, value in MINIMAL.items() if key != "data_dir"})
