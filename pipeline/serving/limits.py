"""Limits on the bodies of requests: their size, and the time they may take to arrive."""

import asyncio
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.serving.compression import decompress_body
from pipeline.serving.errors import RequestError, closing_response

SLOWEST_BYTES_PER_S = 1_000
"""A body that arrives at this rate, or faster, is never too slow."""

_DESCRIPTIONS_OF_BODY = (b"content-encoding", b"content-length", b"transfer-encoding")


class LimitedApp:
    """ASGI middleware that reads a request's whole body before it calls the application.

    A body that is too long is refused by its Content-Length, or as soon as too many bytes have
    arrived (413); so is one that is not whole in time (408). A body that was sent as gzip is passed
    on decompressed, if it is not too long then.

    Args:
        app: The application; not called if the client disconnects before its body is whole.
        max_body_bytes: Longest body.
        timeout_s: Seconds that it may take to arrive, beside those it takes at the slowest rate.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, timeout_s: float) -> None:
        self._app, self._max_body_bytes, self._timeout_s = app, max_body_bytes, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read a request's whole body and pass it on, unless it is too long or takes too long.

        Such a request is answered here, at once, and the connection closed; so is one whose body
        cannot be decompressed (400), or is encoded otherwise than by gzip (415). What is not HTTP
        is passed on as it is.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check_length(scope)
            async with asyncio.timeout(self._timeout_s) as limit:
                body = await self._body(receive, limit)
            if body is None:
                return
            encodings = _content_encodings(scope)
            content = decompress_body(body, encodings, self._max_body_bytes)
        except TimeoutError:
            expected = (
                f"all of it within {self._timeout_s:g} s (--body_timeout_s), and 1 s longer for "
                f"each {SLOWEST_BYTES_PER_S:,} bytes that have arrived"
            )
            await _refuse(RequestError(408, "body", "no end of it", expected), scope, send)
        except RequestError as error:
            await _refuse(error, scope, send)
        else:
            if encodings:
                scope = {**scope, "headers": _headers_without_encoding(scope, len(content))}
            await self._app(scope, _make_replay(content, receive), send)

    def _check_length(self, scope: Scope) -> None:
        """Refuse a request whose Content-Length is too large; one without it passes.

        Raises:
            RequestError: It is.
        """
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > self._max_body_bytes:
            raise self._too_long(f"{int(length):,} bytes")

    async def _body(self, receive: Receive, limit: asyncio.Timeout) -> bytes | None:
        """Return the body; None if the client has disconnected. Each part extends the time limit.

        Raises:
            RequestError: More than the longest body has arrived; the rest is not read here.
        """
        body, first_end = bytearray(), limit.when() or 0.0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._max_body_bytes:
                raise self._too_long("more than that")
            if not message.get("more_body", False):
                return bytes(body)
            limit.reschedule(first_end + len(body) / SLOWEST_BYTES_PER_S)

    def _too_long(self, got: str) -> RequestError:
        return RequestError(413, "body", got, f"at most {self._max_body_bytes:,} bytes")


def _content_encodings(scope: Scope) -> Sequence[str]:
    """Return the names in the Content-Encoding of a request, in lower case."""
    values = (value for name, value in scope["headers"] if name == b"content-encoding")
    names = b",".join(values).decode("latin-1").lower().split(",")
    return [name.strip() for name in names if name.strip()]


def _headers_without_encoding(scope: Scope, length: int) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request, changed to describe its decompressed body."""
    headers = [pair for pair in scope["headers"] if pair[0] not in _DESCRIPTIONS_OF_BODY]
    return [*headers, (b"content-length", str(length).encode())]


def _make_replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already, then what the client sends."""
    is_sent = False

    async def replay() -> Message:
        """Return the whole body in one message; from the second call on what the client sends."""
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _refuse(error: RequestError, scope: Scope, send: Send) -> None:
    """Send an error and close the connection, since the rest of the body may still arrive on it."""
    headers, content = closing_response(error, scope["path"])
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
