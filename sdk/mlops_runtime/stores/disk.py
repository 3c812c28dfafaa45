"""Writing tables: whole or not at all, with one clear error where the disk is full."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from mlops_runtime.errors import LimitError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_table(frame: pl.DataFrame, path: Path, *, metadata: dict[str, str] | None = None) -> None:
    """Write a Parquet file so that a reader sees the old content or the new, never a part.

    Arguments:
        frame: the table.
        path: file; its folder is made where missing.
        metadata: texts kept in the file.

    Raises:
        LimitError: the disk is full, or a quota or limit is reached.
        OSError: the file can't be written for another reason.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with enough_disk(path):
        try:
            frame.write_parquet(temporary, compression="zstd", metadata=metadata)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def enough_disk(path: Path) -> Iterator[None]:
    """Turn the errors of a full disk into one that says so; polars reports them as errors of its own.

    Arguments:
        path: what is written, named in the error.

    Raises:
        LimitError: the disk is full, or a quota or limit is reached.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise _full(path, error.errno) from error
    except pl.exceptions.PolarsError as error:
        match = re.search(r"\(os error (\d+)\)", str(error))
        if match is None:
            raise
        code = int(match[1])
        if code not in _FULL:
            raise OSError(code, os.strerror(code), str(path)) from error
        raise _full(path, code) from error


def _full(path: Path, code: int) -> LimitError:
    return LimitError(
        f"{path} can't be written: {os.strerror(code).lower()}; free some space there, "
        "or set retention on large sources, then run again"
    )
