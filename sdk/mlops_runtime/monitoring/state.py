"""What a monitor must not forget: open windows, and what of the captures and counters is in them, written as one."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from mlops_runtime.monitoring.captures import Position, day_of
from mlops_runtime.monitoring.traffic import Counters
from mlops_runtime.monitoring.windows import Observed, Window
from mlops_runtime.stores.layout import write_atomically

_log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the file."""


@dataclass
class State:
    """The memory of a monitor.

    Attributes:
        closed_until: end of the last window that was judged, seconds since 1970; rows before it are late.
        began: when the monitor first started; rows before it are not its own.
        windows: open windows by their start.
        position: capture files that are in the windows.
        counters: the endpoint's counters when they were last read, and are in the windows.
        counters_at: when that was, seconds since 1970.
        day: UTC day of `day_versions`, as its start in seconds since 1970.
        day_versions: captured rows of the day's judged windows, by model version.
        retrained: for each drift signal the alert's beginning and the model version for which a run was asked.
    """

    closed_until: float
    began: float
    windows: dict[float, Window] = field(default_factory=dict)
    position: Position = field(default_factory=Position)
    counters: Counters | None = None
    counters_at: float | None = None
    day: float = 0.0
    day_versions: dict[str, Observed] = field(default_factory=dict)
    retrained: dict[str, list[str]] = field(default_factory=dict)

    def window(self, moment: float, length: float) -> Window:
        """The open window of a moment (seconds since 1970); for one before `closed_until`, the first open window."""
        start = math.floor(max(moment, self.closed_until) / length) * length
        return self.windows.setdefault(start, Window(start, start + length))

    def save(self, path: Path) -> None:
        """Write the state, all or nothing.

        Raises:
            OSError: it can't be written.
        """
        document = {
            "format": FORMAT,
            "closed_until": self.closed_until,
            "began": self.began,
            "windows": [window.to_json() for window in self.windows.values()],
            "position": self.position.to_json(),
            "counters": None if self.counters is None else self.counters.to_json(),
            "counters_at": self.counters_at,
            "day": self.day,
            "day_versions": {version: observed.to_json() for version, observed in self.day_versions.items()},
            "retrained": self.retrained,
        }
        write_atomically(path, json.dumps(document))

    @classmethod
    def load(cls, path: Path, fresh: float) -> Self:
        """Read the state; a monitor without one begins at `fresh`, and a damaged one is put aside."""
        try:
            document = json.loads(path.read_bytes())
            if document["format"] != FORMAT:
                raise ValueError(f"format {document['format']}")
            return cls._parse(document)
        except FileNotFoundError:
            return cls(fresh, fresh, position=Position(day_of(fresh)))
        except (ValueError, KeyError, TypeError) as error:
            aside = path.with_suffix(".damaged.json")
            path.replace(aside)
            _log.error("%s can't be read (%r); the monitor begins anew and keeps it as %s", path, error, aside.name)
            return cls(fresh, fresh, position=Position(day_of(fresh)))

    @classmethod
    def _parse(cls, document: dict[str, Any]) -> Self:
        windows = [Window.from_json(window) for window in document["windows"]]
        return cls(
            document["closed_until"],
            document["began"],
            {window.start: window for window in windows},
            Position.from_json(document["position"]),
            None if document["counters"] is None else Counters.from_json(document["counters"]),
            document["counters_at"],
            document["day"],
            {version: Observed.from_json(observed) for version, observed in document["day_versions"].items()},
            document["retrained"],
        )
