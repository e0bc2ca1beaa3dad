"""Limits on the bodies of requests: their size, and the time they may take to arrive."""

import asyncio
import contextlib
import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.serving.errors import RequestError

BODY_TIMEOUT_S = 30.0
_DRAINED_BYTES, _DRAIN_TIMEOUT_S = 64_000_000, 10.0


class LimitedApp:
    """ASGI middleware that reads a request's whole body before it calls the application.

    A body that is too long is refused by its Content-Length, or as soon as too many bytes have
    arrived (413); so is one that is not whole within 30 s (408). Of a long one up to 64 MB more are
    then read and dropped, for up to 10 s: many clients read the response only after they have sent
    everything, and would see a broken connection instead of the reason.

    Args:
        app: The application; not called if the client disconnects before its body is whole.
        max_body_bytes: Longest body.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app, self._max_body_bytes = app, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read a request's whole body and pass it on, unless it is too long or takes too long.

        Such a request is answered here: with 408 after `BODY_TIMEOUT_S` seconds, else with the
        error about its length once the rest of the body has been read. What is not HTTP is passed
        on as it is.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check_length(scope)
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await self._body(receive)
        except TimeoutError:
            slow = RequestError(
                408, "body", "no end of it", f"all of it within {BODY_TIMEOUT_S:g} s"
            )
            await _refuse(slow, receive, send, drains=False)
        except RequestError as error:
            await _refuse(error, receive, send, drains=True)
        else:
            if body is not None:
                await self._app(scope, _make_replay(body, receive), send)

    def _check_length(self, scope: Scope) -> None:
        """Refuse a request whose Content-Length is too large; one without it passes.

        Raises:
            RequestError: It is.
        """
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > self._max_body_bytes:
            raise self._too_long(f"{int(length):,} bytes")

    async def _body(self, receive: Receive) -> bytes | None:
        """Return the body; None if the client has disconnected.

        Raises:
            RequestError: More than the longest body has arrived; the rest is not read here.
        """
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._max_body_bytes:
                raise self._too_long("more than that")
            if not message.get("more_body", False):
                return bytes(body)

    def _too_long(self, got: str) -> RequestError:
        return RequestError(413, "body", got, f"at most {self._max_body_bytes:,} bytes")


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


async def _refuse(error: RequestError, receive: Receive, send: Send, *, drains: bool) -> None:
    """Send an error and close the connection, since the rest of the body may still arrive on it.

    Args:
        error: What to send.
        receive: The request.
        send: The response.
        drains: Whether to read and drop the rest of the body before the response ends.
    """
    content = json.dumps(error.body()).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": True})
    if drains:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                await _drain(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drain(receive: Receive) -> None:
    """Read and drop a body to its end, at most 64 MB of it, or until the client disconnects."""
    num_bytes, has_more = 0, True
    while has_more and num_bytes < _DRAINED_BYTES:
        message = await receive()
        num_bytes += len(message.get("body", b""))
        has_more = message["type"] == "http.request" and message.get("more_body", False)
