"""Features: entities, views over sources, and their online store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from pulumi_mlops.spec.base import Column, Cron, Duration, EntryPoint, Name, Section, repeated
from pulumi_mlops.spec.diagnose import nearest
from pulumi_mlops.spec.errors import Mistake


class Entity(Section):
    """What features describe, found by its join keys."""

    keys: Annotated[list[Column], Field(min_length=1)]
    """Columns that identify one entity, in sources and in requests."""

    def mistakes(self) -> Iterator[Mistake]:
        """Keys differ."""
        yield from repeated(self.keys, "keys")


class FeatureView(Section):
    """Features of an entity, computed from a source; joined point-in-time for training, latest value online."""

    source: Name
    """The source that the features come from."""

    entity: Name
    """The entity that the features describe."""

    features: Annotated[list[Column], Field(min_length=1)]
    """Columns that are features, of the source or of what `transform` returns."""

    transform: EntryPoint | None = None
    """Function that takes the source's table (pandas DataFrame) and returns one with the entity's keys, the source's
    timestamp and the features. Default: the source's columns are taken as they are."""

    ttl: Duration | None = None
    """Age beyond which a value counts as missing, in joins and online. Default: never."""

    online: bool = True
    """Whether the latest values are served online. Default: true."""

    def mistakes(self) -> Iterator[Mistake]:
        """Features differ."""
        yield from repeated(self.features, "features")


class Features(Section):
    """The feature store."""

    entities: dict[Name, Entity] = Field(default_factory=dict)
    """Entities by name. Default: none."""

    views: dict[Name, FeatureView] = Field(default_factory=dict)
    """Feature views by name. Default: none."""

    materialization_schedule: Cron | None = None
    """When the online store is refreshed from the sources, beside each pipeline run.
    Default: with pipeline runs only."""

    def mistakes(self) -> Iterator[Mistake]:
        """Views describe entities that exist, by columns that are not their keys."""
        for name, view in self.views.items():
            entity = self.entities.get(view.entity)
            if entity is None:
                near = nearest(view.entity, self.entities)
                known = ", ".join(sorted(self.entities))
                yield Mistake(
                    "MLOPS-S040",
                    f"there is no entity {view.entity}",
                    at=("views", name, "entity"),
                    expected=f"one of {known}" if known else "an entity; there is none",
                    hint=f"Did you mean `{near}`?"
                    if near
                    else f"Add it: entities: {{{view.entity}: {{keys: [...]}}}}.",
                )
                continue
            for i, feature in enumerate(view.features):
                if feature in entity.keys:
                    yield Mistake(
                        "MLOPS-S031",
                        f"{feature} is a key of the entity {view.entity}, which joins rows and is no feature",
                        at=("views", name, "features", i),
                        hint="Take it out.",
                    )
        if self.materialization_schedule is not None and not any(view.online for view in self.views.values()):
            yield Mistake(
                "MLOPS-S033",
                "materialization_schedule has no effect: no view is online",
                at=("materialization_schedule",),
                hint="Take it out, or set online: true for a view.",
            )
