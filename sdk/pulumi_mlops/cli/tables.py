"""Tables and pairs for people, drawn by Rich."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pulumi_mlops.cli.output import console

_PIPE_WIDTH: Final = 240
"""Columns of text that goes to a file or program, where nothing limits a line."""

STYLES: Final = {"ok": "green", "attention": "yellow", "bad": "red", "off": "dim"}
"""Colour of a state."""


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, styles: Sequence[str | None] = ()) -> None:
    """Print a table.

    Arguments:
        columns: headings; where all are empty, no heading is shown.
        rows: values; None is shown as a dash.
        styles: Rich style of each row.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), show_header=any(columns))
    for name in columns:
        table.add_column(name, overflow="fold")
    for place, row in enumerate(rows):
        # Text, so that brackets in data are never read as markup.
        cells = [Text(show(value)) for value in row]
        table.add_row(*cells, style=styles[place] if place < len(styles) else None)
    target = console()
    if not target.is_terminal:
        target.width = _PIPE_WIDTH
    target.print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print pairs of name and value, one to a line."""
    print_table(("", ""), [(name, value) for name, value in facts.items()])


def show(value: Any) -> str:
    """A value as people read it: a dash for nothing, six digits, lists with commas."""
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, list | tuple):
        return ", ".join(show(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={show(item)}" for key, item in value.items())
    return str(value)


def ago(moment: datetime | str | None) -> str:
    """How long ago a time was ("3 min ago"); a dash for None."""
    if moment is None:
        return "-"
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < 60:
        return "just now"
    for unit, length, limit in (("min", 60, 3600), ("h", 3600, 2 * 86400), ("days", 86400, float("inf"))):
        if seconds < limit:
            return f"{int(seconds // length)} {unit} ago"
    raise AssertionError
