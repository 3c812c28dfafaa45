"""The online store in SageMaker Feature Store.

moto has no Feature Store runtime: `Runtime` stands for it, behind botocore's own validation of every request, with the
answers that the API reference describes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters

from mlops_runtime.definition import Definition
from mlops_runtime.steps.materialize import materialize
from mlops_runtime.stores import sagemaker_online
from mlops_runtime.stores.online import OnlineStoreError, entity_key
from mlops_runtime.stores.sagemaker_online import SageMakerOnline, identifier
from tests.unit.training import training_kit

NOW = 1_700_000_000.0
TIME = "event_timestamp"


class Runtime:
    """A feature group `mlops-planes` in memory."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, str]] = {}
        self.keys = ["tail"]
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.unprocessed = 0
        self.error: dict[str, str] | None = None
        self._model = boto3.client("sagemaker-featurestore-runtime", region_name="eu-west-1").meta.service_model

    def put_record(self, **request: Any) -> None:
        self._check("PutRecord", request)
        values = {each["FeatureName"]: each["ValueAsString"] for each in request["Record"]}
        self.records[values[identifier(self.keys)]] = values

    def delete_record(self, **request: Any) -> None:
        self._check("DeleteRecord", request)
        assert request["DeletionMode"] == "HardDelete"
        self.records.pop(request["RecordIdentifierValueAsString"], None)

    def batch_get_record(self, **request: Any) -> dict[str, Any]:
        self._check("BatchGetRecord", request)
        (wanted,) = request["Identifiers"]
        keys = wanted["RecordIdentifiersValueAsString"]
        assert len(keys) <= 100
        left, keys = keys[len(keys) - self.unprocessed :], keys[: len(keys) - self.unprocessed]
        self.unprocessed = 0
        return {
            "Records": [
                {
                    "FeatureGroupName": wanted["FeatureGroupName"],
                    "RecordIdentifierValueAsString": key,
                    "Record": [
                        {"FeatureName": name, "ValueAsString": self.records[key][name]}
                        for name in wanted["FeatureNames"]
                        if name in self.records[key]
                    ],
                }
                for key in keys
                if key in self.records
            ],
            "Errors": [] if self.error is None else [self.error],
            "UnprocessedIdentifiers": [{**wanted, "RecordIdentifiersValueAsString": left}] if left else [],
        }

    def close(self) -> None:
        pass

    def _check(self, operation: str, request: dict[str, Any]) -> None:
        validate_parameters(request, self._model.operation_model(operation).input_shape)
        (group,) = {request.get("FeatureGroupName")} - {None} or {request["Identifiers"][0]["FeatureGroupName"]}
        assert group == "mlops-planes"
        self.asked.append((operation, request))


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    made = Runtime()
    monkeypatch.setattr(sagemaker_online, "_client", lambda: made)
    monkeypatch.setattr(sagemaker_online.time, "sleep", lambda _: None)
    return made


@pytest.fixture
def store(runtime: Runtime) -> SageMakerOnline:
    return SageMakerOnline({"planes": "mlops-planes"}, {"planes": ["tail"]})


def row(tail: str, at: float = NOW, **features: Any) -> dict[str, Any]:
    return {"entity_key": [tail], TIME: at, **features}


def test_values_come_back_as_what_they_are(store: SageMakerOnline) -> None:
    rows = [
        row("N1", seats=150, age=1.5, jet=True, maker="Airbus"),
        row("N2", seats=None, age=math.nan, jet=False, maker='a "quoted" name'),
    ]
    assert store.write("planes", rows) == 2
    names = ["maker", "seats", "age", "jet"]
    assert store.read("planes", [entity_key(["N2"]), entity_key(["N9"]), entity_key(["N1"])], names) == [
        ('a "quoted" name', None, None, False),
        None,
        ("Airbus", 150, 1.5, True),
    ]
    assert isinstance(store.read("planes", [entity_key(["N1"])], ["seats"])[0][0], int)  # type: ignore[index]


def test_what_is_too_old_is_not_there(store: SageMakerOnline) -> None:
    store.write("planes", [row("N1", NOW - 100, seats=1), row("N2", NOW, seats=2)])
    keys = [entity_key(["N1"]), entity_key(["N2"])]
    assert store.read("planes", keys, ["seats"], not_before=NOW - 50) == [None, (2,)]


def test_what_is_always_known_is_dated_by_when_it_was_written(store: SageMakerOnline, runtime: Runtime) -> None:
    store.write("planes", [row("N1", 253_402_214_400.0, seats=1)])
    assert float(runtime.records[entity_key(["N1"])][TIME]) < 4_000_000_000


def test_entities_that_are_gone_are_deleted_before_others_are_written(store: SageMakerOnline, runtime: Runtime) -> None:
    store.write("planes", [row("N1", NOW, seats=1), row("N2", NOW, seats=2)])
    store.write("planes", [row("N1", NOW - 50, seats=9)], gone=[["N1"], ["N2"]])
    assert store.read("planes", [entity_key(["N1"]), entity_key(["N2"])], ["seats"]) == [(9,), None]
    kinds = [operation for operation, _ in runtime.asked[2:5]]
    assert kinds == ["DeleteRecord", "DeleteRecord", "PutRecord"]


def test_many_keys_are_asked_for_a_hundred_at_a_time_and_each_once(store: SageMakerOnline, runtime: Runtime) -> None:
    store.write("planes", [row(f"N{number}", seats=number) for number in range(250)])
    keys = [entity_key([f"N{number % 250}"]) for number in range(300)]
    runtime.asked.clear()
    runtime.unprocessed = 30
    assert store.read("planes", keys, ["seats"]) == [(number % 250,) for number in range(300)]
    sizes = [len(request["Identifiers"][0]["RecordIdentifiersValueAsString"]) for _, request in runtime.asked]
    assert sizes == [100, 30, 100, 50]


def test_failures_are_told_in_one_line(
    store: SageMakerOnline, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.error = {"ErrorCode": "AccessForbidden", "ErrorMessage": "not allowed"}
    with pytest.raises(OnlineStoreError, match=r"^online store, view 'planes': AccessForbidden: not allowed$"):
        store.read("planes", [entity_key(["N1"])], ["seats"])
    with pytest.raises(OnlineStoreError, match=r"view 'others': it has no feature group; run pulumi up"):
        store.create("others", {"seats": "int64"})

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "ValidationError", "Message": "no such feature"}}, "PutRecord")

    monkeypatch.setattr(runtime, "put_record", refuse)
    with pytest.raises(OnlineStoreError, match=r"view 'planes': .*no such feature"):
        store.write("planes", (row(f"N{number}", seats=1) for number in range(500)))


def test_a_definition_with_feature_groups_is_materialised_into_them(tmp_path: Path, runtime: Runtime) -> None:
    rows = training_kit.rows(30)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    view = {"source": "rows", "keys": ["id"], "features": ["h"], "transform": None, "ttl": None, "online": True}
    runtime.keys = ["id"]
    groups = {"planes": "mlops-planes"}
    definition = Definition.model_validate(
        {
            **training_kit.document(tmp_path),
            "views": {"planes": view},
            "online_store": {"kind": "sagemaker", "groups": groups},
        }
    )

    assert materialize(definition) == {"planes": 30}
    assert SageMakerOnline(groups).read("planes", [entity_key([7])], ["h"]) == [(int(rows["h"][7]),)]
    assert materialize(definition) == {"planes": 0}
    # A feature group that was made anew is filled again.
    runtime.records.clear()
    assert materialize(definition) == {"planes": 30}
