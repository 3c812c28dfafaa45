"""Windows of time: what an endpoint did in one, in constant memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from mlops_runtime.monitoring.baseline import Baseline, prediction_values
from mlops_runtime.monitoring.bias import Groups, decisions
from mlops_runtime.monitoring.captures import Batch
from mlops_runtime.monitoring.sketches import Sketch
from mlops_runtime.monitoring.traffic import Counters

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reference:
    """What a model version's traffic is compared with.

    Attributes:
        baseline: sketches of its training and held-out rows.
        task: binary, multiclass or regression.
        classes: a classifier's classes, in the order of the probabilities.
        positive_class: the class of a binary model whose probability is its score.
    """

    baseline: Baseline
    task: str
    classes: tuple[str, ...] | None
    positive_class: str | None


@dataclass
class Observed:
    """Rows of one model version.

    Attributes:
        rows: captured rows.
        features: sketches by input.
        prediction: sketch of the predictions; None where they aren't watched.
        groups: predictions by group; None where bias isn't watched.
    """

    rows: int = 0
    features: dict[str, Sketch] = field(default_factory=dict)
    prediction: Sketch | None = None
    groups: Groups | None = None

    def add(
        self,
        batch: Batch,
        reference: Reference | None,
        columns: frozenset[str],
        *,
        predictions: bool,
        groups: str | None,
    ) -> None:
        """Add rows.

        Args:
            batch: the rows.
            reference: gives the types; where there is none, rows are only counted.
            columns: inputs that are watched.
            predictions: whether predictions are watched.
            groups: input whose groups are compared; None compares none.
        """
        self.rows += batch.rows
        if reference is None:
            return
        for name, sketch in reference.baseline.features.items():
            if name in columns and name in batch.inputs:
                current = self.features.setdefault(name, Sketch(sketch.dtype))
                _update(current, batch.inputs[name], f"input {name!r}")
        # Each by itself: what the one needs of the outputs, the other may do without.
        if predictions:
            with _as_far_as_captured():
                self._add_predictions(batch, reference)
        if groups is not None and groups in batch.inputs:
            with _as_far_as_captured():
                self._add_groups(batch, reference, groups)

    def _add_predictions(self, batch: Batch, reference: Reference) -> None:
        values, dtype = prediction_values(
            batch.outputs, task=reference.task, classes=reference.classes, positive_class=reference.positive_class
        )
        if self.prediction is None:
            self.prediction = Sketch(dtype)
        _update(self.prediction, values, "prediction")

    def _add_groups(self, batch: Batch, reference: Reference, column: str) -> None:
        numbers = decisions(
            batch.outputs, task=reference.task, classes=reference.classes, positive_class=reference.positive_class
        )
        added = Groups(column)
        added.add(batch.inputs[column], numbers)
        self._merge_groups(added)

    def _merge_groups(self, other: Groups) -> None:
        if self.groups is None or self.groups.column != other.column:  # another column is watched since
            self.groups = Groups(other.column)
        self.groups.merge(other)

    def merge(self, other: Observed) -> None:
        """Add all rows of another observation of the same version."""
        self.rows += other.rows
        for name, sketch in other.features.items():
            self.features.setdefault(name, Sketch(sketch.dtype)).merge(sketch)
        if other.prediction is not None:
            if self.prediction is None:
                self.prediction = Sketch(other.prediction.dtype)
            self.prediction.merge(other.prediction)
        if other.groups is not None:
            self._merge_groups(other.groups)

    def to_json(self) -> dict[str, Any]:
        """The observation as JSON values."""
        return {
            "rows": self.rows,
            "features": {name: sketch.to_json() for name, sketch in self.features.items()},
            "prediction": None if self.prediction is None else self.prediction.to_json(),
            "groups": None if self.groups is None else self.groups.to_json(),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The observation that `to_json` wrote."""
        prediction, groups = document["prediction"], document["groups"]
        return cls(
            document["rows"],
            {name: Sketch.from_json(sketch) for name, sketch in document["features"].items()},
            None if prediction is None else Sketch.from_json(prediction),
            None if groups is None else Groups.from_json(groups),
        )


@dataclass
class Window:
    """One window.

    Attributes:
        start: seconds since 1970.
        end: seconds since 1970.
        versions: captured rows by model version.
        late_rows: rows of earlier windows that were completed too late for them, and count here.
        traffic: all requests, also those that were not captured.
        scrapes: how often the endpoint's metrics were read.
        failed_scrapes: how often they could not be read.
        first_look: when that was first tried, seconds since 1970.
        last_look: when that was last tried, seconds since 1970.
    """

    start: float
    end: float
    versions: dict[str, Observed] = field(default_factory=dict)
    late_rows: int = 0
    traffic: Counters = field(default_factory=Counters)
    scrapes: int = 0
    failed_scrapes: int = 0
    first_look: float | None = None
    last_look: float | None = None

    def look(self, moment: float) -> None:
        """Note that the endpoint's metrics were read, or tried to be."""
        self.first_look = moment if self.first_look is None else self.first_look
        self.last_look = moment

    def watched(self, tolerance: float) -> bool:
        """Whether the endpoint was looked at from the beginning to the end, but for some seconds at each."""
        if self.first_look is None or self.last_look is None:
            return False
        return self.first_look <= self.start + tolerance and self.last_look >= self.end - tolerance

    @property
    def rows(self) -> int:
        """Captured rows."""
        return sum(observed.rows for observed in self.versions.values())

    @property
    def observed(self) -> bool:
        """Whether anything was looked at: not so where the monitor itself was down."""
        return bool(self.versions) or self.first_look is not None

    def merge_rows(self, versions: Mapping[str, Observed]) -> None:
        """Add captured rows."""
        for version, observed in versions.items():
            self.versions.setdefault(version, Observed()).merge(observed)

    def to_json(self) -> dict[str, Any]:
        """The window as JSON values."""
        return {
            "start": self.start,
            "end": self.end,
            "versions": {version: observed.to_json() for version, observed in self.versions.items()},
            "late_rows": self.late_rows,
            "traffic": self.traffic.to_json(),
            "scrapes": self.scrapes,
            "failed_scrapes": self.failed_scrapes,
            "first_look": self.first_look,
            "last_look": self.last_look,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The window that `to_json` wrote."""
        return cls(
            document["start"],
            document["end"],
            {version: Observed.from_json(observed) for version, observed in document["versions"].items()},
            document["late_rows"],
            Counters.from_json(document["traffic"]),
            document["scrapes"],
            document["failed_scrapes"],
            document["first_look"],
            document["last_look"],
        )


@contextmanager
def _as_far_as_captured() -> Iterator[None]:
    try:
        yield
    except (KeyError, ValueError) as error:
        _log.warning("captured outputs don't fit the model's task and were left out: %s", error)


def _update(sketch: Sketch, values: Any, what: str) -> None:
    try:
        sketch.update(values)
    except ValueError as error:
        _log.warning("captured values of %s were left out: %s", what, error)
