"""Tables in databases, through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from mlops_runtime import secrets
from mlops_runtime.code import suggestion
from mlops_runtime.definition import Source
from mlops_runtime.errors import BadDataError, BadInputError
from mlops_runtime.stores.tables import canonical, digest_of_rows, first_line

if TYPE_CHECKING:
    import sqlalchemy as sa


def read(source: Source, *, what: str, since: datetime | None) -> pl.DataFrame:
    """Read a query's or table's rows.

    Arguments:
        source: URL, password reference, query or table.
        what: the source's name in errors.
        since: leave out rows up to this time (UTC) where the result has the source's timestamp; None: all rows.

    Raises:
        BadInputError: the driver is missing, the database refuses, or the query is wrong.
        BadDataError: the rows make no table.
    """
    import sqlalchemy as sa

    with _connect(source, what=what) as connection:
        selected = _selected(connection, source, what=what)
        if since is not None and source.timestamp is not None and source.timestamp in selected.c:
            column = selected.c[source.timestamp]
            if isinstance(column.type, sa.DateTime):
                # A column without zone holds UTC without saying so.
                bound = since if column.type.timezone else since.astimezone(UTC).replace(tzinfo=None)
                return _fetch(connection, sa.select(selected).where(column > bound), what=what)
        return _fetch(connection, sa.select(selected), what=what)


def fingerprint(source: Source, *, what: str) -> str:
    """Number of rows and newest timestamp; without timestamp in the result, the digest of all rows.

    Raises:
        BadInputError: the driver is missing, the database refuses, or the query is wrong.
        BadDataError: the rows make no table.
    """
    import sqlalchemy as sa

    with _connect(source, what=what) as connection:
        selected = _selected(connection, source, what=what)
        if source.timestamp is None or source.timestamp not in selected.c:
            return digest_of_rows(canonical(_fetch(connection, sa.select(selected), what=what), what=what))
        count = sa.select(sa.func.count(), sa.func.max(selected.c[source.timestamp])).select_from(selected)
        return str(tuple(connection.execute(count).one()))


@contextmanager
def _connect(source: Source, *, what: str) -> Iterator[sa.Connection]:
    import sqlalchemy as sa

    try:
        url = sa.make_url(source.uri)
        if source.password is not None:
            url = url.set(password=secrets.resolve(source.password))
        shown = url.render_as_string(hide_password=True)
        if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
            _require_file(url.database, what=what)
        engine = sa.create_engine(url, poolclass=sa.NullPool)
    except sa.exc.NoSuchModuleError as error:
        raise BadInputError(
            f"{what}: {source.uri}: {error}; is the URL's scheme right, the dialect installed?"
        ) from error
    except sa.exc.ArgumentError as error:
        raise BadInputError(f"{what}: {source.uri} is no SQLAlchemy URL: {first_line(error)}") from error
    except ModuleNotFoundError as error:
        raise BadInputError(f"{what}: the driver {error.name} for {source.uri} is not installed") from error
    try:
        with engine.connect() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        raise BadInputError(f"{what}: {shown}: {first_line(error.orig or error)}") from error
    finally:
        engine.dispose()


def _require_file(database: str, *, what: str) -> None:
    from pathlib import Path

    # SQLite would make an empty database of a misspelled name.
    if not database.startswith("file:") and not Path(database).exists():
        raise BadInputError(f"{what}: {Path(database).absolute()}: no such SQLite database")


def _selected(connection: sa.Connection, source: Source, *, what: str) -> sa.FromClause:
    import sqlalchemy as sa

    if source.query is not None:
        query = source.query.strip().rstrip(";")
        # The query is the user's own, run with the user's own rights.
        names = list(connection.execute(sa.text(f"SELECT * FROM ({query}) AS q WHERE 1 = 0")).keys())  # noqa: S608
        return sa.text(query).columns(*(sa.column(name) for name in names)).subquery("q")
    schema, _, table = (source.table or "").rpartition(".")
    inspector = sa.inspect(connection)
    try:
        return sa.Table(table, sa.MetaData(), schema=schema or None, autoload_with=connection)
    except sa.exc.NoSuchTableError as error:
        known = inspector.get_table_names(schema or None) + inspector.get_view_names(schema or None)
        raise BadInputError(f"{what}: there is no table {source.table}{suggestion(table, known)}") from error


def _fetch(connection: sa.Connection, statement: sa.Select[Any], *, what: str) -> pl.DataFrame:
    result = connection.execute(statement)
    names = list(result.keys())
    try:
        return pl.DataFrame(
            [tuple(row) for row in result], schema=names, orient="row", infer_schema_length=None, strict=True
        )
    except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
        raise BadDataError(f"{what}: a column holds values of different types: {first_line(error)}") from error
