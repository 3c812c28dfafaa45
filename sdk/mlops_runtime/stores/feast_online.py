"""The latest values in one of Feast's online stores (Redis, PostgreSQL), and the views in Feast's registry.

Feast's feature server answers from them over HTTP; see `mlops_runtime.stores.feature_server`. Models that share the
registry share its views: each view carries the names of its models as tags, and goes when the last of them drops it.

What is written replaces what is there, whatever its time: the step knows the truth, and a value that was taken back has
an older time than the wrong one. Feast deletes no single entity; one that is no more keeps its key, without values and
dated 1970, which readers take for absent.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from mlops_runtime.definition import Bucket, Definition
from mlops_runtime.definition import OnlineStore as Settings
from mlops_runtime.errors import BadInputError
from mlops_runtime.secrets import resolve
from mlops_runtime.stores.online import KEY, TIMESTAMP, OnlineStoreError, feast_name

if TYPE_CHECKING:
    from mlops_runtime.stores.features import View
    from mlops_runtime.stores.layout import Store

_MODEL = "mlops-model/"
"""Beginning of the tag that says that a model uses a view; its name follows."""

_GONE = datetime.fromtimestamp(0, UTC)
_ENTITIES_PER_BATCH = 1000


class FeastOnlineStore:
    """An online store of Feast's, opened for writing.

    Arguments:
        settings: which, with references to its connection and to the registry's.

    Raises:
        BadInputError: a reference leads nowhere, or to a malformed connection.
        OnlineStoreError: the registry can't be reached.
    """

    remote: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        registry, online = _registry(settings), _connection(settings)
        logging.getLogger("feast").setLevel(logging.WARNING)
        # Feast takes seconds to import, and nothing else needs it.
        try:
            from feast import FeatureStore, RepoConfig
            from feast.infra.provider import get_provider
        except ImportError as error:
            raise BadInputError(
                f"an online store of kind {settings.kind} needs the package feast ({error}); "
                "install pulumi-mlops[feast] in the job image"
            ) from None
        self._where = f"online store ({settings.kind}, Feast project {settings.project})"
        config = RepoConfig(
            project=settings.project,
            provider="local",
            registry=registry,
            online_store=online,
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
        )
        with self._told("its registry"):
            self._feast = FeatureStore(config=config)
            self._provider = get_provider(config)
        self._config = config
        self._views: dict[str, Any] = {}

    def register(self, store: Store, definition: Definition, views: Mapping[str, View]) -> None:
        """Bring the registry in line with a model's views; those of other models stay.

        Arguments:
            store: the store.
            definition: the pipeline definition.
            views: all of its views.

        Raises:
            OnlineStoreError: registry or online store can't be written.
        """
        from feast import Entity, FeatureView, Field, FileSource, ValueType, types

        from mlops_runtime.stores.repository import VALUE_TYPES, describe, entity_name

        tag = _MODEL + definition.identity.name
        offline, endpoint = _offline(store, definition.bucket)
        entities: dict[tuple[str, str], Any] = {}
        declared: dict[str, Any] = {}
        for name, view in views.items():
            described = describe(store, view, online=definition.views[name].online)
            for key, kind in described["keys"].items():
                entities[key, kind] = Entity(
                    name=entity_name(key, kind), join_keys=[key], value_type=ValueType[VALUE_TYPES[kind]]
                )
            declared[feast_name(name)] = FeatureView(
                name=feast_name(name),
                entities=[entities[each] for each in described["keys"].items()],
                ttl=timedelta(seconds=described["ttl"]),
                schema=[
                    Field(name=feature, dtype=getattr(types, kind)) for feature, kind in described["features"].items()
                ],
                source=FileSource(
                    path=f"{offline}/{described['path']}",
                    timestamp_field=described["timestamp"],
                    s3_endpoint_override=endpoint,
                ),
                online=described["online"],
                tags={tag: ""},
            )
        with self._told("its registry"):
            known = {view.name: view for view in self._feast.list_feature_views()}
            dropped: list[Any] = []
            released: list[Any] = []
            for name, view in known.items():
                if name in declared:
                    declared[name].tags = {**_models(view), tag: ""}
                    if view.entities != declared[name].entities:
                        # Rows of other keys would stay for ever, unread.
                        dropped.append(view)
                elif tag in view.tags:
                    view.tags = {key: value for key, value in view.tags.items() if key != tag}
                    (released if _models(view) else dropped).append(view)
            if dropped:
                self._feast.apply([], objects_to_delete=dropped, partial=False)
            self._feast.apply([*entities.values(), *declared.values(), *released])

    def create(self, view: str, columns: Mapping[str, str]) -> None:
        """Find a view that `register` has put into the registry, where its rows can be written.

        Arguments:
            view: name of the view.
            columns: dtype by feature name.

        Raises:
            OnlineStoreError: the registry does not have the view with these features.
        """
        with self._told(f"view {view!r}"):
            found = self._feast.get_feature_view(feast_name(view))
        known = {feature.name for feature in found.features} | {column.name for column in found.entity_columns}
        if lacking := sorted(set(columns) - known):
            raise OnlineStoreError(
                f"{self._where}, view {view!r}: the registry lacks {', '.join(lacking)}; "
                "another model has declared the view otherwise in the meantime, run again"
            )
        self._views[view] = found

    def write(
        self,
        view: str,
        rows: Iterable[Mapping[str, Any]],
        *,
        gone: Iterable[Sequence[str | int]] = (),
        anew: bool = False,
    ) -> int:
        """Write entities in batches; readers see an entity's old values or its new ones.

        Arguments:
            view: name of the view, which `create` has found.
            rows: as for `mlops_runtime.stores.online.OnlineStore.write`.
            gone: keys of entities that are no more.
            anew: the view has other keys than before; `register` has dropped the rows of those.

        Returns:
            Number of rows given.

        Raises:
            OnlineStoreError: the online store can't be written.
        """
        table = self._views[view]
        features = [feature.name for feature in table.features]
        count = 0
        # An entity may be gone and come back with an older event: what is written last stays.
        absent = ((self._key(table, key), dict.fromkeys(features), _GONE) for key in gone)
        for part in _parts(absent):
            self._write(view, table, part)
        present = (
            (
                self._key(table, row[KEY]),
                {feature: row[feature] for feature in features},
                datetime.fromtimestamp(row[TIMESTAMP], UTC),
            )
            for row in rows
        )
        for part in _parts(present):
            self._write(view, table, part)
            count += len(part)
        return count

    def read(
        self, view: str, keys: Sequence[str], features: Sequence[str], *, not_before: float | None = None
    ) -> list[tuple[Any, ...] | None]:
        """Features of entities, as `mlops_runtime.stores.online.OnlineStore.read` gives them.

        Raises:
            OnlineStoreError: the online store can't be read.
        """
        table = self._views[view]
        asked = [self._key(table, orjson.loads(key)) for key in keys]
        with self._told(f"view {view!r}"):
            found = self._provider.online_read(self._config, table, asked, list(features))
        rows: list[tuple[Any, ...] | None] = []
        for stamp, values in found:
            at = None if stamp is None else stamp.replace(tzinfo=stamp.tzinfo or UTC).timestamp()
            if not at or values is None or (not_before is not None and at < not_before):
                rows.append(None)
            else:
                rows.append(tuple(_plain(values.get(feature)) for feature in features))
        return rows

    def close(self) -> None:
        """Forget the views; Feast closes its connections with the process."""
        self._views.clear()

    def _write(self, view: str, table: Any, part: list[tuple[Any, dict[str, Any], datetime]]) -> None:
        data = [(key, {name: _value(value) for name, value in values.items()}, at, None) for key, values, at in part]
        with self._told(f"view {view!r}"):
            self._provider.online_write_batch(self._config, table, data, None)

    @staticmethod
    def _key(table: Any, values: Sequence[str | int]) -> Any:
        from feast.protos.feast.types.EntityKey_pb2 import EntityKey

        names = [column.name for column in table.entity_columns]
        return EntityKey(join_keys=names, entity_values=[_value(value) for value in values])

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Failures of Feast and of what is below it as ours, in one line."""
        from feast.errors import FeastError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (FeastError, SQLAlchemyError, OSError, ValueError, *_failures()) as error:
            reason = str(error).strip().splitlines()
            # Not chained: the libraries' own errors may hold the connection.
            raise OnlineStoreError(f"{self._where}, {what}: {reason[0] if reason else type(error).__name__}") from None


def _failures() -> tuple[type[Exception], ...]:
    import psycopg
    import redis

    return redis.RedisError, psycopg.Error


def _parts(
    rows: Iterable[tuple[Any, dict[str, Any], datetime]],
) -> Iterator[list[tuple[Any, dict[str, Any], datetime]]]:
    iterator = iter(rows)
    while part := list(itertools.islice(iterator, _ENTITIES_PER_BATCH)):
        yield part


def _models(view: Any) -> dict[str, str]:
    return {key: value for key, value in view.tags.items() if key.startswith(_MODEL)}


def _offline(store: Store, bucket: Bucket | None) -> tuple[str, str | None]:
    """Where Feast finds the history, and the address of the S3 service if it is not AWS."""
    if bucket is None:
        return str(store.features / "offline"), None
    return f"{bucket.uri}/{(store.features / 'offline').relative_to(store.root).as_posix()}", bucket.endpoint_url


def _registry(settings: Settings) -> dict[str, Any]:
    url = resolve(settings.registry)
    _parsed(url, settings.registry, "postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE")
    return {"registry_type": "sql", "path": url, "sqlalchemy_config_kwargs": {"echo": False, "pool_pre_ping": True}}


def _connection(settings: Settings) -> dict[str, Any]:
    """Feast's settings of the online store, from its connection string."""
    connection = resolve(settings.connection)
    if settings.kind == "redis":
        host, _, port = connection.partition(",")[0].rpartition(":")
        if not host or not port.isdecimal():
            raise BadInputError(
                f"{settings.connection} is not a connection to Redis: HOST:PORT[,ssl=true][,password=…] is expected"
            )
        return {"type": "redis", "connection_string": connection, "skip_dedup": True}
    expected = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE[?sslmode=…]"
    url = _parsed(connection, settings.connection, expected)
    if not (url.host and url.username and url.database):
        raise BadInputError(f"{settings.connection} is not a connection to PostgreSQL: {expected} is expected")
    files = {f"{name}_path": url.query.get(name) for name in ("sslrootcert", "sslcert", "sslkey")}
    return {
        "type": "postgres",
        "host": url.host,
        "port": url.port or 5432,
        "database": url.database,
        "user": url.username,
        "password": url.password or "",
        # None: as libpq does by itself, which PGSSLMODE decides.
        "sslmode": url.query.get("sslmode"),
        **{name: value for name, value in files.items() if value is not None},
    }


def _parsed(url: str, reference: str, expected: str) -> Any:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        # Not chained: the error may quote the password.
        raise BadInputError(f"{reference} is not a database's URL: {expected} is expected") from None


def _value(value: Any) -> Any:
    from feast.protos.feast.types.Value_pb2 import Value

    match value:
        case None:
            return Value()
        case bool():
            return Value(bool_val=value)
        case int():
            return Value(int64_val=value)
        case float():
            # Feast hands NaN out as a text; here, as in the local store, it is a missing value.
            return Value() if value != value else Value(double_val=value)
        case _:
            return Value(string_val=value)


def _plain(value: Any) -> Any:
    kind = None if value is None else value.WhichOneof("val")
    return None if kind in (None, "null_val") else getattr(value, kind)
