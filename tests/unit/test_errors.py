"""What a full disk looks like, whoever says so."""

from __future__ import annotations

import errno
import sqlite3

import pytest

from mlops_runtime.errors import LimitError, disk_full


def wrapped(cause: Exception) -> Exception:
    try:
        try:
            raise cause
        except Exception as error:
            raise RuntimeError("could not log the model") from error
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/data/x"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        sqlite3.OperationalError("database or disk is full"),
        RuntimeError("IO Error: Could not write: No space left on device"),
        wrapped(OSError(errno.ENOSPC, "No space left on device")),
    ],
)
def test_a_full_disk_is_recognised_and_told_with_its_mending(error):
    found = disk_full(error)
    assert isinstance(found, LimitError)
    assert str(error) in str(found)
    assert "move the data directory" in str(found)


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "Permission denied"), ValueError("disk"), wrapped(KeyError())])
def test_other_errors_are_not_taken_for_one(error):
    assert disk_full(error) is None
