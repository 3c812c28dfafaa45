"""Locks between processes that share a store."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock; others wait. The system frees it when the process ends, however it ends.

    Arguments:
        path: the lock's file; it and its folder are made where missing, and stay.

    Raises:
        OSError: the file can't be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
