"""The bearer token that requests must carry."""

from __future__ import annotations

import hmac
import logging
import time
from pathlib import Path

from mlops_runtime.serving.config import ConfigError

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0


class Token:
    """A token in a file; a new content is taken up within a second, so that it can be rotated under traffic.

    Args:
        path: the file.

    Raises:
        ConfigError: the file cannot be read or is empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._expected = _read(path)
        self._next_look = 0.0

    def allows(self, authorization: bytes) -> bool:
        """Whether the value of an Authorization header carries the token; takes the same time for any wrong one."""
        if (now := time.monotonic()) >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            try:
                self._expected = _read(self._path)
            except ConfigError as error:
                _log.error("%s; the token before it stays valid", error)
        return hmac.compare_digest(authorization, self._expected)


def _read(path: Path) -> bytes:
    try:
        token = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"auth_token_file {path} cannot be read: {error.strerror}") from None
    if not token:
        raise ConfigError(f"auth_token_file {path} is empty")
    return b"Bearer " + token
