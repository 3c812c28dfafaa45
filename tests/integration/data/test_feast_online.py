"""The latest values in Feast's online stores: real Redis and PostgreSQL, Feast's own server, and ours before it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import online_stores
import polars as pl
import pytest
import yaml
from data_definitions import definition, source, view

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadInputError
from mlops_runtime.steps.materialize import materialize
from mlops_runtime.stores import feature_server
from mlops_runtime.stores.online import OnlineStoreError, entity_key
from pulumi_mlops.platforms.kubernetes import feature_store
from tests import serving_kit as kit

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("feast")]

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
BIG = 2**60 + 1
"""A number that no double holds."""


@dataclass
class Store:
    """An online store and a registry, and what a pod finds of them: files, and the feature server's environment."""

    kind: Literal["redis", "postgres"]
    folder: Path
    connection: str
    registry: str
    environment: dict[str, str]

    def settings(self) -> dict[str, Any]:
        references = {}
        for name in ("connection", "registry"):
            path = self.folder / name
            path.write_text(getattr(self, name) + "\n")
            references[name] = f"file:{path}"
        return {"kind": self.kind, "project": "shop", **references}

    @contextmanager
    def server(self) -> Iterator[str]:
        """The feature server, on the configuration that the operator makes of ours."""
        parameters = {
            name: yaml.safe_load(text)
            for name, text in feature_store.store_parameters(self.kind, production=False).items()
        }
        written = yaml.safe_dump(
            {
                "project": "shop",
                "provider": "local",
                "offline_store": {"type": "dask"},
                "online_store": {"type": self.kind, **parameters[self.kind]},
                "registry": {"registry_type": "sql", **parameters["sql"]},
                "auth": {"type": "no_auth"},
                "entity_key_serialization_version": 3,
            }
        )
        folder = self.folder / "server"
        with online_stores.feature_server(folder, written, self.environment, feature_store.WORKERS) as url:
            yield url


@pytest.fixture(scope="module", params=["redis", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        if request.param == "redis":
            connection = stack.enter_context(online_stores.redis(folder))
            registry = f"sqlite:///{folder / 'registry.db'}"
            yield Store("redis", folder, connection, registry, {"FEAST_ONLINE": connection, "FEAST_REGISTRY": registry})
        else:
            parts = stack.enter_context(online_stores.postgres())
            url = "{user}:{quoted}@{host}:{port}/{dbname}".format(**parts, quoted=quote(parts["password"], safe=""))
            registry = f"postgresql+psycopg://{url}"
            environment = {f"FEAST_ONLINE_{name.upper()}": value for name, value in parts.items()}
            yield Store(
                "postgres", folder, f"postgresql://{url}", registry, {**environment, "FEAST_REGISTRY": registry}
            )


def project(root: Path, store: Store, name: str = "prices", *, views: dict[str, Any] | None = None) -> Definition:
    root.mkdir(exist_ok=True)
    pl.DataFrame({"id": [1, 2], "width": [BIG, None]}).write_parquet(root / "sizes.parquet")
    made = definition(
        root,
        {
            "prices": source(str(root / "prices.parquet"), timestamp="at"),
            "sizes": source(str(root / "sizes.parquet")),
        },
        views=views
        or {
            "shop-prices": view("prices", ["shop"], ["price", "kind", "open"], ttl=2 * 86400.0),
            "sizes": view("sizes", ["id"], ["width"], ttl=1.0),
            "past": view("prices", ["shop"], ["price"], online=False),
        },
        training={"label": "price", "inputs": ["kind"], "views": []},
    ).model_dump(mode="json")
    made["identity"]["name"] = name
    made["online_store"] = store.settings()
    made["bucket"] = {"uri": "s3://shops/ml", "endpoint_url": "https://objects.example.com"}
    return Definition.model_validate(made)


def put(root: Path, rows: list[tuple[Any, ...]]) -> None:
    root.mkdir(exist_ok=True)
    schema: dict[str, Any] = {"shop": pl.String, "at": pl.Datetime("us", "UTC"), "price": pl.Float64, "kind": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    frame.with_columns((pl.col("price") > 1).alias("open")).write_parquet(root / "prices.parquet")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer of a server that has just started takes seconds where others are at work."""
    monkeypatch.setattr(feature_server, "TIMEOUT_SECONDS", 60.0)


def asked(url: str, view: str, join_key: str, *keys: str | int, features: list[str], **options: Any) -> list[Any]:
    server = feature_server.FeatureServer(url, {view: [join_key]})
    try:
        return server.read(view, [entity_key([key]) for key in keys], features, **options)
    finally:
        server.close()


FIRST = [
    ("north", NOW - DAY, 2.5, "a"),
    ("south", NOW - 3 * DAY, 1.0, "b"),
    ("east", NOW - DAY, None, "it's"),
    ("west", NOW - DAY, 3.0, "wrong"),
]


def test_values_come_out_of_the_feature_server_as_they_went_in(store: Store, tmp_path: Path) -> None:
    put(tmp_path, FIRST)
    made = project(tmp_path, store)
    assert materialize(made) == {"shop-prices": 4, "sizes": 2}
    assert materialize(made) == {"shop-prices": 0, "sizes": 0}
    features = ["kind", "price", "open"]
    with store.server() as url:
        got = asked(url, "shop-prices", "shop", "north", "nowhere", "south", "east", features=features)
        assert got == [("a", 2.5, True), None, ("b", 1.0, False), ("it's", None, None)]
        fresh = (NOW - 2 * DAY).timestamp()
        got = asked(url, "shop-prices", "shop", "north", "south", features=["price"], not_before=fresh)
        assert got == [(2.5,), None]
        # Values without time never grow old, and whole numbers stay whole.
        got = asked(url, "sizes", "id", 1, 2, 3, features=["width"], not_before=NOW.timestamp())
        assert got == [(BIG,), (None,), None]
        with pytest.raises(OnlineStoreError, match="does not know it yet"):
            asked(url, "unheard", "shop", "north", features=["price"])
        # An entity that is no more, and a value that was taken back.
        put(tmp_path, [("north", NOW - DAY, 2.5, "a"), ("west", NOW - 2 * DAY, 1.5, "right")])
        assert materialize(made) == {"shop-prices": 1, "sizes": 0}
        got = asked(url, "shop-prices", "shop", "north", "south", "west", features=["price", "kind"])
        assert got == [(2.5, "a"), None, (1.5, "right")]


def test_models_share_a_registry(store: Store, tmp_path: Path) -> None:
    put(tmp_path / "a", FIRST)
    put(tmp_path / "b", FIRST)
    shared = view("prices", ["shop"], ["price"])
    one = project(tmp_path / "a", store, "one", views={"shared": shared, "ones": shared})
    two = project(tmp_path / "b", store, "two", views={"shared": shared, "twos": shared})
    materialize(one)
    materialize(two)
    assert models_of(store) == {"shared": {"one", "two"}, "ones": {"one"}, "twos": {"two"}}
    # A view goes with the last of its models; with other keys it is another view.
    materialize(project(tmp_path / "b", store, "two", views={"twos": view("prices", ["kind"], ["price"])}))
    assert models_of(store) == {"shared": {"one"}, "ones": {"one"}, "twos": {"two"}}
    materialize(project(tmp_path / "a", store, "one", views={"ones": shared}))
    assert models_of(store) == {"ones": {"one"}, "twos": {"two"}}
    (history,) = [each.batch_source for each in registered(store) if each.name == "ones"]
    assert history.path == "s3://shops/ml/features/offline/ones/data.parquet"
    assert history.file_options.s3_endpoint_override == "https://objects.example.com"
    with store.server() as url:
        assert asked(url, "twos", "kind", "a", "north", features=["price"]) == [(2.5,), None]
        assert asked(url, "ones", "shop", "a", "north", features=["price"]) == [None, (2.5,)]


def registered(store: Store) -> list[Any]:
    """The views in the registry."""
    from feast import FeatureStore, RepoConfig

    registry = {"registry_type": "sql", "path": store.registry}
    config = RepoConfig(project="shop", provider="local", registry=registry, entity_key_serialization_version=3)
    return list(FeatureStore(config=config).list_feature_views())


def models_of(store: Store) -> dict[str, set[str]]:
    """The models of each view in the registry, but for those of the other test."""
    found = {each.name: {tag.removeprefix("mlops-model/") for tag in each.tags} for each in registered(store)}
    return {name: models for name, models in found.items() if models & {"one", "two"}}


def test_a_served_model_finds_its_features(store: Store, tmp_path: Path) -> None:
    fields = {"timestamp": "at"}
    pl.DataFrame(
        {
            "tailnum": ["N1", "N2"],
            "at": [NOW - DAY, NOW - 10 * DAY],
            "distance": [900.0, 100.0],
            "stops": [2, 0],
        }
    ).write_parquet(tmp_path / "planes.parquet")
    made = definition(
        tmp_path,
        {"planes": source(str(tmp_path / "planes.parquet"), **fields)},
        views={"plane-use": view("planes", ["tailnum"], ["distance", "stops"], ttl=5 * 86400.0)},
        training={"label": "stops", "inputs": ["distance"], "views": []},
    ).model_dump(mode="json")
    made["online_store"] = store.settings()
    materialize(Definition.model_validate(made))
    looked_up = {
        "view": "plane-use",
        "features": {"distance": "distance", "stops": "stops"},
        "join_keys": ["tailnum"],
        "ttl_seconds": 5 * 86400.0,
    }
    data = tmp_path / "data"
    kit.write_bundle(data, enrichment={"join_keys": ["tailnum"], "views": [looked_up]})
    kit.deploy(data, 1)

    def body(*tails: str) -> dict[str, Any]:
        columns: dict[str, list[Any]] = {
            "dep_hour": [20.5] * len(tails),
            "carrier": ["UA"] * len(tails),
            "tailnum": list(tails),
        }
        wanted = kit.named(**columns)
        wanted["inputs"] = [each for each in wanted["inputs"] if each["name"] in columns]
        return wanted

    with ExitStack() as stack:
        running = stack.enter_context(ExitStack())
        url = running.enter_context(store.server())
        server = stack.enter_context(kit.serving(data, enrichment=True, feature_server_url=url))
        whole = server.infer(kit.named(dep_hour=[20.5], distance=[900.0], carrier=["UA"], stops=[2])).json()
        answer = kit.until(lambda: (got := server.infer(body("N1"))).status_code != 503 and got, seconds=60)
        assert answer.status_code == 200, answer.text
        assert answer.json()["outputs"] == whole["outputs"]
        for tail in ("N2", "N3"):  # too old, and unknown
            refused = server.infer(body("N1", tail))
            assert refused.status_code == 400
            assert f"tailnum='{tail}'" in refused.json()["error"]
        running.close()
        down = server.infer(body("N1"))
        assert down.status_code == 503
        assert down.json() == {"error": "features cannot be looked up: the feature server does not answer"}
        assert down.headers["retry-after"] == "1"
        # Who sends all features needs no feature server.
        assert server.infer(kit.named()).status_code == 200


@pytest.mark.parametrize(
    ("kind", "connection", "expected"),
    [
        ("redis", "hunter2", "HOST:PORT"),
        ("postgres", "hunter2", "postgresql://USER:PASSWORD@HOST"),
        ("postgres", "postgresql://hunter2@/", "postgresql://USER:PASSWORD@HOST"),
    ],
)
def test_a_malformed_connection_is_told_without_quoting_it(
    tmp_path: Path, kind: Literal["redis", "postgres"], connection: str, expected: str
) -> None:
    put(tmp_path, FIRST)
    store = Store(kind, tmp_path, connection, f"sqlite:///{tmp_path / 'registry.db'}", {})
    with pytest.raises(BadInputError) as caught:
        materialize(project(tmp_path, store))
    assert expected in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_online_store_that_is_down_is_told_in_one_line(tmp_path: Path) -> None:
    put(tmp_path, FIRST)
    gone = f"127.0.0.1:{online_stores.free_port()},password=hunter2"
    store = Store("redis", tmp_path, gone, f"sqlite:///{tmp_path / 'registry.db'}", {})
    with pytest.raises(OSError, match=r"^online store \(redis, Feast project shop\), .*refused") as caught:
        materialize(project(tmp_path, store))
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
