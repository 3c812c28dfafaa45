"""TCP ports that sources outside of a platform's own network are read at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import urlsplit

from pulumi_mlops.spec.data import Source

HTTPS: Final = 443

_SQL_PORTS: Final = {
    "postgresql": 5432,
    "mysql": 3306,
    "mariadb": 3306,
    "mssql": 1433,
    "oracle": 1521,
    "snowflake": HTTPS,
    "bigquery": HTTPS,
    "redshift": 5439,
    "clickhouse": 8123,
    "trino": 8080,
}
"""Ports of databases whose URL names none."""


def ports(sources: Iterable[Source]) -> list[int]:
    """The ports of some sources' databases, and of what the user's functions call; each once."""
    return sorted(set(_ports(sources)))


def _ports(sources: Iterable[Source]) -> Iterator[int]:
    for source in sources:
        if source.kind == "sql":
            dialect = source.uri.partition(":")[0].partition("+")[0]
            yield urlsplit(source.uri).port or _SQL_PORTS.get(dialect, HTTPS)
        elif source.kind == "python":
            yield HTTPS
