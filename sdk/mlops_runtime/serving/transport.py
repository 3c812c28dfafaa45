"""uvicorn's HTTP protocol with one write, and so one packet and one wake-up of the client, per answer.

uvicorn writes an answer's head and body separately. For answers of a few hundred bytes the second system call costs
about as much as predicting one row.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD = b"HTTP/1.1 "
_INTERIM = b"HTTP/1.1 1"


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 over httptools; see the module's text."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand uvicorn a transport that joins head and body."""
        super().connection_made(_JoiningTransport(transport))  # type: ignore[arg-type]  # what uvicorn calls is there


class _JoiningTransport:
    """Holds an answer's head back until the write that uvicorn always makes next (the body, also if empty)."""

    __slots__ = ("_head", "_transport", "_write", "is_closing")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._write = transport.write
        self.is_closing = transport.is_closing
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._head:
            self._write(self._head + data)
            self._head = b""
        elif data.startswith(_HEAD) and not data.startswith(_INTERIM):
            self._head = data
        else:
            self._write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            self._write(self._head)
            self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
