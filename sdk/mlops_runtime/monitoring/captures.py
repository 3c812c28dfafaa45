"""Captured requests, each file read once, however often the monitor is started again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any, Self

import orjson

_log = logging.getLogger(__name__)

KEEP_DAYS = 7
"""Days after which a day's folder counts as complete: no server completes a file that old."""

_BATCH_ROWS = 20_000
_DAY = "%Y-%m-%d"

Record = dict[str, Any]


def day_of(moment: float) -> str:
    """Name of the folder of a moment's captures (seconds since 1970): its UTC day."""
    return datetime.fromtimestamp(moment, UTC).strftime(_DAY)


def place(path: PurePath) -> tuple[str, str]:
    """Day (`YYYY-MM-DD`) of a capture file, and its name among the day's.

    Args:
        path: the file: `<day>/<name>.jsonl`, or SageMaker's `<yyyy>/<mm>/<dd>/<hh>/<name>.jsonl`.
    """
    folder = path.parent
    if len(folder.name) != len("HH"):
        return folder.name, path.stem
    year, month, day = folder.parts[-4:-1]
    return f"{year}-{month}-{day}", f"{folder.name}/{path.stem}"


@dataclass
class Position:
    """Which capture files were read.

    Attributes:
        complete_before: days before this one (`YYYY-MM-DD`) are read.
        files: names of the files read, by day.
    """

    complete_before: str = ""
    files: dict[str, set[str]] = field(default_factory=dict)

    def pending(self, directory: Path) -> Iterator[Path]:
        """Complete files that were not read yet, oldest first."""
        for folder in sorted(directory.iterdir()) if directory.is_dir() else ():
            if not folder.is_dir() or folder.name < self.complete_before:
                continue
            yield from (path for path in sorted(folder.glob("*.jsonl")) if not self.has(path))

    def has(self, path: PurePath) -> bool:
        """Whether a file was read."""
        day, name = place(path)
        return day < self.complete_before or name in self.files.get(day, ())

    def mark(self, path: Path) -> None:
        """Note that a file was read."""
        day, name = place(path)
        self.files.setdefault(day, set()).add(name)

    def forget(self, now: float) -> None:
        """Let go of the names of days long past (`now` in seconds since 1970); call it when nothing is pending."""
        self.complete_before = max(self.complete_before, day_of(now - KEEP_DAYS * 86_400))
        self.files = {day: names for day, names in self.files.items() if day >= self.complete_before}

    def to_json(self) -> dict[str, Any]:
        """The position as JSON values."""
        files = {day: sorted(names) for day, names in self.files.items()}
        return {"complete_before": self.complete_before, "files": files}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The position that `to_json` wrote."""
        return cls(document["complete_before"], {day: set(names) for day, names in document["files"].items()})


@dataclass
class Batch:
    """Rows of one version and window.

    Attributes:
        rows: number of rows.
        inputs: values by column.
        outputs: values by output; a list for each row where an output has several values.
    """

    rows: int = 0
    inputs: dict[str, list[Any]] = field(default_factory=dict)
    outputs: dict[str, list[Any]] = field(default_factory=dict)


def batches(
    path: Path, window_s: float, translate: Callable[[Record], Record | None] = lambda record: record
) -> Iterator[tuple[float, str, Batch]]:
    """Rows of a capture file, in batches of bounded size.

    Args:
        path: the file; see `mlops_runtime.serving.capture` for its format.
        window_s: length of a window, seconds.
        translate: from a line that somebody else wrote to one in that format, or None where it doesn't count; it may
            raise what a line raises that can't be read.

    Returns:
        Start of the window (seconds since 1970), model version, and rows. Lines that can't be read are logged and left
        out.
    """
    # By what they hold, too: where answers have not all outputs, values would stand beside those of other rows.
    waiting: dict[tuple[float, str, frozenset[str]], Batch] = {}
    held = bad = 0
    with path.open("rb") as file:
        for line in file:
            try:
                record = translate(orjson.loads(line))
                if record is None:
                    continue
                rows, inputs, outputs = int(record["rows"]), record["inputs"].items(), record["outputs"].items()
                names = frozenset({*record["inputs"], *record["outputs"]})
                key = (record["ts"] // window_s * window_s, str(record["version"]), names)
            except (ValueError, LookupError, TypeError, AttributeError):
                bad += 1
                continue
            batch = waiting.setdefault(key, Batch())
            batch.rows += rows
            for name, values in inputs:
                batch.inputs.setdefault(name, []).extend(values)
            for name, values in outputs:
                batch.outputs.setdefault(name, []).extend(values)
            held += rows
            if held >= _BATCH_ROWS:
                yield from ((start, version, batch) for (start, version, _), batch in waiting.items())
                waiting, held = {}, 0
    if bad:
        _log.warning("%d lines of %s can't be read and were left out", bad, path)
    yield from ((start, version, batch) for (start, version, _), batch in waiting.items())
