"""The online store in SageMaker Feature Store: the latest values of each entity, a feature group for each view.

A record holds the entity's key (`online.entity_key`) under the name `identifier(keys)`, the time of its event
(`event_timestamp`, seconds since 1970) and each feature as JSON, which keeps numbers, texts and truth values apart in
the texts that Feature Store hands out. What an entity does not have is not in its record.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, ClassVar, Final

import orjson

from mlops_runtime.stores.online import KEY, TIMESTAMP, OnlineStoreError, entity_key

_AT_ONCE: Final = 16
"""Records written at a time; Feature Store takes one in a request."""

_WAITING: Final = 256
"""Records that wait to be written."""

_KEYS_PER_REQUEST: Final = 100
"""Most records of `BatchGetRecord`."""

_ATTEMPTS: Final = 8
_CONNECT_SECONDS: Final = 2
_READ_SECONDS: Final = 5

FEATURE_NAME: Final = re.compile(r"[a-zA-Z0-9]([-_]*[a-zA-Z0-9]){0,63}")
"""Form of a feature's name in Feature Store."""

RESERVED: Final = frozenset({"is_deleted", "write_time", "api_invocation_time", TIMESTAMP})
"""Names that a feature can't have there: Feature Store's own, and the event's time."""


def identifier(keys: Sequence[str]) -> str:
    """Name of the feature that holds an entity's key.

    It tells the join keys: a view of other keys is another feature group, without rows of the old ones.
    """
    return f"{KEY.replace('_', '-')}-{hashlib.sha256(orjson.dumps(list(keys))).hexdigest()[:8]}"


class SageMakerOnline:
    """An online store in SageMaker Feature Store; may be used from several threads.

    Arguments:
        groups: the feature group of each view. Credentials come from the workload's identity, which needs
            `sagemaker:BatchGetRecord`, and to write `sagemaker:PutRecord` and `sagemaker:DeleteRecord`.
        keys: join keys of each view, to write. Default: none; the store is read.
    """

    remote: ClassVar[bool] = True

    def __init__(self, groups: Mapping[str, str], keys: Mapping[str, Sequence[str]] | None = None) -> None:
        self._groups, self._keys = dict(groups), dict(keys or {})
        self._client = _client()

    def create(self, view: str, columns: Mapping[str, str]) -> None:
        """Check that a view has a feature group; the platform makes it, with its features.

        Arguments:
            view: name of the view.
            columns: dtype by feature name; all are kept as JSON.

        Raises:
            OnlineStoreError: there is none.
        """
        self._group(view)

    def write(
        self,
        view: str,
        rows: Iterable[Mapping[str, Any]],
        *,
        gone: Iterable[Sequence[str | int]] = (),
        anew: bool = False,
    ) -> int:
        """Write entities, each as a whole; readers see an entity's old values or its new ones.

        Arguments:
            view: name of the view.
            rows: as for `mlops_runtime.stores.online.OnlineStore.write`.
            gone: keys of entities whose records are deleted first.
            anew: the view has other keys than before; its feature group is then a new one, without rows.

        Returns:
            Number of rows given.

        Raises:
            OnlineStoreError: the store can't be written.
        """
        group, name, now = self._group(view), identifier(self._keys[view]), time.time()
        with ThreadPoolExecutor(_AT_ONCE) as pool, self._told(view):
            _all(pool.submit(self._delete, group, entity_key(key), now) for key in gone)
            return _all(pool.submit(self._put, group, name, row, now) for row in rows)

    def read(
        self, view: str, keys: Sequence[str], features: Sequence[str], *, not_before: float | None = None
    ) -> list[tuple[Any, ...] | None]:
        """Features of entities, as `mlops_runtime.stores.online.OnlineStore.read` gives them.

        Raises:
            OnlineStoreError: the store can't be read.
        """
        group, found = self._group(view), {}
        asked = list(dict.fromkeys(keys))
        with self._told(view):
            for start in range(0, len(asked), _KEYS_PER_REQUEST):
                for key, record in self._records(group, asked[start : start + _KEYS_PER_REQUEST], features):
                    if not_before is None or float(record[TIMESTAMP]) >= not_before:
                        found[key] = tuple(
                            orjson.loads(record[feature]) if feature in record else None for feature in features
                        )
        return [found.get(key) for key in keys]

    def close(self) -> None:
        """Give connections back."""
        self._client.close()

    def _records(
        self, group: str, keys: Sequence[str], features: Sequence[str]
    ) -> Iterator[tuple[str, dict[str, str]]]:
        wanted = [
            {
                "FeatureGroupName": group,
                "RecordIdentifiersValueAsString": list(keys),
                "FeatureNames": [TIMESTAMP, *features],
            }
        ]
        for attempt in range(_ATTEMPTS):
            answer = self._client.batch_get_record(Identifiers=wanted)
            for each in answer["Records"]:
                values = {value["FeatureName"]: value["ValueAsString"] for value in each["Record"]}
                yield each["RecordIdentifierValueAsString"], values
            if errors := answer["Errors"]:
                raise OnlineStoreError(f"{errors[0]['ErrorCode']}: {errors[0]['ErrorMessage']}")
            if not (wanted := answer["UnprocessedIdentifiers"]):
                return
            time.sleep(0.05 * 2**attempt)
        raise OnlineStoreError(f"no answer in {_ATTEMPTS} attempts; its throughput is too small")

    def _put(self, group: str, name: str, row: Mapping[str, Any], now: float) -> None:
        # What is always known is dated by when it was written: Feature Store's own times end sooner than ours.
        at = min(row[TIMESTAMP], now)
        values = {
            name: entity_key(row[KEY]),
            TIMESTAMP: repr(float(at)),
            **{
                feature: orjson.dumps(value).decode()
                for feature, value in row.items()
                # NaN is null in JSON: a missing value, as everywhere else.
                if feature not in (KEY, TIMESTAMP) and value is not None
            },
        }
        record = [{"FeatureName": feature, "ValueAsString": value} for feature, value in values.items()]
        # Into all stores of the group: the history too, where it has one.
        self._client.put_record(FeatureGroupName=group, Record=record)

    def _delete(self, group: str, key: str, now: float) -> None:
        self._client.delete_record(
            FeatureGroupName=group,
            RecordIdentifierValueAsString=key,
            EventTime=repr(now),
            # Not softly: what was taken back may come again with an older event.
            DeletionMode="HardDelete",
        )

    def _group(self, view: str) -> str:
        if view not in self._groups:
            raise OnlineStoreError(f"online store, view {view!r}: it has no feature group; run pulumi up")
        return self._groups[view]

    @contextmanager
    def _told(self, view: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except OnlineStoreError as error:
            raise OnlineStoreError(f"online store, view {view!r}: {error}") from None
        except (BotoCoreError, ClientError) as error:
            raise OnlineStoreError(f"online store, view {view!r}: {error}") from error


def _client() -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=2 * _AT_ONCE,
    )
    region = os.environ.get("AWS_REGION") or None
    return boto3.session.Session().client("sagemaker-featurestore-runtime", region_name=region, config=config)


def _all(work: Iterable[Future[None]]) -> int:
    """Wait for all, a few of them under way at a time; the first failure is raised."""
    count, waiting = 0, set()
    for each in work:
        count += 1
        waiting.add(each)
        if len(waiting) >= _WAITING:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for ended in done:
                ended.result()
    for ended in waiting:
        ended.result()
    return count
