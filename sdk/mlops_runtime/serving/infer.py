"""The hot path: `…/infer` as plain ASGI, without the router's and the request object's cost."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from mlops_runtime.serving.capture import Capture, Captured
from mlops_runtime.serving.config import ServingConfig
from mlops_runtime.serving.metrics import Metrics
from mlops_runtime.serving.protocol import InferRequest, RequestError, encode, request_id_problem
from mlops_runtime.serving.token import Token
from mlops_runtime.serving.versions import Served, Versions

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger(__name__)

# A longer body is decoded in a thread: below it, reading the JSON takes less than the hop.
_INLINE_BYTES = 32 << 10
# How much of a body that is too large is read before the answer, so that the client sees it and not a reset.
_DISCARD_SECONDS = 5.0


# A request's id: 80 random bits of this process and a number.
_ID_PREFIX = os.urandom(10).hex()
_id_numbers = itertools.count()


class _DisconnectedError(Exception):
    """The client went away before its request was whole."""


class Infer:
    """ASGI application for `POST /v2/models/{model}[/versions/{version}]/infer`.

    Args:
        config: the endpoint's config.
        versions: has the version that serves.
        metrics: told of every answer.
        capture: takes a sample of the traffic; None keeps none.
        is_draining: whether the process is about to stop; connections are then closed after their answer.

    Attributes:
        token: the bearer token that requests must carry, None for none.
    """

    def __init__(
        self,
        config: ServingConfig,
        versions: Versions,
        metrics: Metrics,
        capture: Capture | None,
        is_draining: Callable[[], bool],
    ) -> None:
        self._model = config.model
        self._max_bytes = config.max_request_bytes
        self._versions = versions
        self._metrics = metrics
        self._capture = capture
        self._is_draining = is_draining
        self.token: Token | None = None

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, model: str, version: str | None
    ) -> None:
        """Answer one request."""
        started = time.perf_counter()
        self._metrics.in_flight += 1
        status, rows, served_version = 200, 0, ""
        request_id = ""
        answer = b""
        captured: tuple[InferRequest, Served, list[Any]] | None = None
        try:
            length, authorization, request_id = _headers(scope)
            if self.token is not None and not self.token.allows(authorization):
                raise RequestError(401, "this endpoint asks for its bearer token (Authorization: Bearer …)")
            if scope["method"] != "POST":
                raise RequestError(405, "infer is a POST")
            message = await receive()
            body = message.get("body", b"")
            if length > self._max_bytes or len(body) > self._max_bytes or message.get("more_body", True):
                body = await self._rest(message, receive, length)
            served = self._versions.served
            if served is None or model != self._model or version is not None:
                served = self._served(model, version)
            served_version = served.model.version
            decode = served.decoder.decode
            request = decode(body) if len(body) <= _INLINE_BYTES else await asyncio.to_thread(decode, body)
            if _is_quick(served, request):
                arrays, answer = _answer(served, request, request_id)
            else:
                arrays, answer = await asyncio.to_thread(_answer, served, request, request_id)
            rows = request.rows
            request_id = request.id or request_id
            captured = request, served, arrays
        except RequestError as error:
            status, answer = error.status, orjson.dumps({"error": error.message})
        except _DisconnectedError:
            status = 499
        except Exception:
            # The cause may quote the client's data: it goes to the log, not into the answer.
            _log.exception("request %s failed", request_id)
            status, answer = 500, orjson.dumps({"error": f"the model failed on request {request_id}; see the log"})
        finally:
            self._metrics.in_flight -= 1
        if status != 499:
            await send(
                {
                    "type": "http.response.start",
                    "status": status,
                    "headers": self._answer_headers(status, answer, request_id),
                }
            )
            await send({"type": "http.response.body", "body": answer})
        seconds = time.perf_counter() - started
        self._metrics.observe(served_version, status, seconds, rows)
        if captured is not None and self._capture is not None and self._capture.wants_next():
            request, served, arrays = captured
            names = [output.name for output in served.model.manifest.outputs]
            self._capture.put(
                Captured(
                    request_id,
                    time.time(),
                    served_version,
                    seconds,
                    rows,
                    request.columns,
                    list(zip(names, arrays, strict=True)),
                )
            )

    def _served(self, model: str, version: str | None) -> Served:
        if model != self._model:
            raise RequestError(404, f"unknown model {model!r}; this endpoint serves {self._model!r}")
        served = self._versions.served
        if served is None:
            refused = self._versions.refused
            if not self._versions.settled:
                raise RequestError(503, f"model {model!r} is loading")
            why = f"version {refused.version} was refused: {refused.reason}" if refused else "nothing is deployed"
            raise RequestError(503, f"no model yet: {why}")
        if version is not None and version != served.model.version:
            raise RequestError(404, f"model {model!r} is served in version {served.model.version}, not {version}")
        return served

    async def _rest(self, message: Message, receive: Receive, length: int) -> bytes:
        """The whole body of a request that came in parts, is too large, or whose client went away."""
        parts: list[bytes] = []
        size = 0
        while True:
            if message["type"] == "http.disconnect":
                raise _DisconnectedError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
            if max(size, length) > self._max_bytes:
                await self._refuse(more, receive)
            if not more:
                return b"".join(parts)
            message = await receive()

    async def _refuse(self, more: bool, receive: Receive) -> None:
        # Read what the client still sends, for a while: an early end would reset its connection and lose the answer.
        try:
            async with asyncio.timeout(_DISCARD_SECONDS):
                while more:
                    more = (await receive()).get("more_body", False)
        except TimeoutError:
            pass
        raise RequestError(413, f"the body is larger than this endpoint's {self._max_bytes} bytes")

    def _answer_headers(self, status: int, answer: bytes, request_id: str) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(answer)),
            (b"x-request-id", request_id.encode("ascii")),
        ]
        if status != 200:
            extra = {401: (b"www-authenticate", b"Bearer"), 405: (b"allow", b"POST"), 503: (b"retry-after", b"1")}
            if status in extra:
                headers.append(extra[status])
            if status == 413:
                headers.append((b"connection", b"close"))
        if self._is_draining():
            headers.append((b"connection", b"close"))
        return headers


def _is_quick(served: Served, request: InferRequest) -> bool:
    if not served.model.is_quick(request.rows):
        return False
    return served.enrichment is None or served.enrichment.is_quick(request.columns, request.rows)


def _answer(served: Served, request: InferRequest, request_id: str) -> tuple[list[Any], bytes]:
    if served.enrichment is not None:
        served.enrichment.complete(request.columns)
    model = served.model
    arrays = model.predict(request.columns, request.rows)
    outputs = model.manifest.outputs
    if request.outputs is None:
        return arrays, encode(model.manifest.model, model.version, request.id or request_id, outputs, arrays)
    places = [[output.name for output in outputs].index(name) for name in request.outputs]
    return arrays, encode(
        model.manifest.model,
        model.version,
        request.id or request_id,
        [outputs[place] for place in places],
        [arrays[place] for place in places],
    )


def _headers(scope: MutableMapping[str, Any]) -> tuple[int, bytes, str]:
    """Content length (0 where not given), authorization, and the request's id, made where it has none."""
    length, authorization, request_id = 0, b"", ""
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value)
        elif name == b"authorization":
            authorization = value
        elif name == b"x-request-id":
            request_id = value.decode("latin-1")
    if not request_id or request_id_problem(request_id):
        request_id = f"{_ID_PREFIX}{next(_id_numbers):012x}"
    return length, authorization, request_id
