"""Features: entities, views over sources, and their online store."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pulumi_mlops.spec.base import Column, Cron, Duration, EntryPoint, Name, Section


class Entity(Section):
    """What features describe, found by its join keys."""

    keys: Annotated[list[Column], Field(min_length=1)]
    """Columns that identify one entity, in sources and in requests."""


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


class Features(Section):
    """The feature store."""

    entities: dict[Name, Entity] = Field(default_factory=dict)
    """Entities by name. Default: none."""

    views: dict[Name, FeatureView] = Field(default_factory=dict)
    """Feature views by name. Default: none."""

    materialization_schedule: Cron | None = None
    """When the online store is refreshed from the sources, beside each pipeline run. Default: with pipeline runs only."""
