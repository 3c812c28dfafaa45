"""What a store's bucket answers to who may list only below some prefixes, as a job's role may on AWS."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlops_runtime.definition import Bucket
from mlops_runtime.errors import BadInputError
from mlops_runtime.stores import s3
from mlops_runtime.stores.bucket import ObjectStore, StoredObject


class Client:
    """S3, which says 403 of what is missing, and lists below `mlops/runs/` only."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys

    def head_object(self, **request: str) -> dict[str, Any]:
        raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")

    def get_paginator(self, _: str) -> Client:
        return self

    def paginate(self, **request: str) -> list[dict[str, Any]]:
        if not request["Prefix"].startswith("mlops/runs/"):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListObjectsV2")
        found = [key for key in self.keys if key.startswith(request["Prefix"])]
        return [{"Contents": [{"Key": key, "Size": 1, "ETag": '"e"'} for key in found]}]


def test_what_is_missing_is_told_from_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "client", lambda _: Client(["mlops/runs/a/step.json.old", "mlops/runs/b/step.json"]))
    store = ObjectStore(Bucket(uri="s3://store/mlops", endpoint_url=None))
    assert store.head("runs/a/step.json") is None
    assert store.head("runs/b/step.json") == StoredObject("runs/b/step.json", 1, '"e"')
    with pytest.raises(BadInputError, match="access denied"):
        store.head("bundles/a/manifest.json")
