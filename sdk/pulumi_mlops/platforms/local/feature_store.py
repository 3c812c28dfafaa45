"""Features on this machine: Parquet history and an SQLite online store, in files that need no server."""

from __future__ import annotations

from pulumi_mlops.platforms.base import BuiltFeatureStore
from pulumi_mlops.platforms.local.host import Host
from pulumi_mlops.spec.features import Features


def build(host: Host, features: Features) -> BuiltFeatureStore:
    """Say where the files are; pipeline runs and the materialisation schedule write them."""
    online = any(view.online for view in features.views.values())
    layout = host.layout
    return BuiltFeatureStore(
        offline_uri=host.store.root.apply(lambda _: (layout.features / "offline").as_uri()),
        online_url=host.store.root.apply(lambda _: f"sqlite:///{layout.online_db}" if online else None),
    )
