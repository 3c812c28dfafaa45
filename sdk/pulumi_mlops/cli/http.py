"""Requests to the stack's own servers on loopback."""

from __future__ import annotations

import http.client
import json
from typing import Any


def ask(
    port: int, path: str, body: dict[str, Any] | None = None, *, token: str | None = None, timeout: float = 5.0
) -> tuple[int, Any]:
    """Status and decoded answer of a GET, or of a POST where there is a body.

    Arguments:
        port: TCP port on loopback.
        path: path of the URL.
        body: JSON body.
        token: bearer token.
        timeout: seconds.

    Raises:
        OSError: nothing answers.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"port {port} does not speak HTTP: {error!r}") from error
    finally:
        connection.close()
    try:
        return answer.status, json.loads(content) if content else None
    except ValueError:
        return answer.status, content.decode(errors="replace")
