"""Uvicorn's HTTP protocol with time limits for clients and bounds on their number.

Uvicorn has no time limit for headers, none for answers that nobody reads, and its limit of
concurrency counts connections without closing any: a few hundred clients that never send a whole
request would take all that there are. These limits need the connection itself, which no ASGI
application sees. The time limit and the length of bodies are in `limits.py`.
"""

import asyncio
import dataclasses
import json
from collections.abc import Callable
from typing import Any, Literal, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.serving.closing import GentleTransport, Timer
from pipeline.serving.connections import ConnectionTable, get_network
from pipeline.serving.errors import RETRY_AFTER, RETRY_AFTER_S, RequestError

DropReason = Literal["headers", "answer", "malformed", "displaced", "refused"]
"""Why the server ended a connection: its headers were not whole in time, its answer was not read
in time, it was sent what is not HTTP, it waited for its client while a new one came, or all others
were being answered."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClientLimits:
    """What the connections of a server share.

    Attributes:
        connections: The open ones.
        header_timeout_s: Seconds from a connection, or the first byte of a later request on it, to
            the end of the request's headers.
        answer_timeout_s: Seconds for which a client may leave an answer unread.
        on_drop: Called with the reason for each connection that the server ends.
    """

    connections: ConnectionTable
    header_timeout_s: float
    answer_timeout_s: float
    on_drop: Callable[[DropReason], None]


class LimitedProtocol(H11Protocol):
    """A connection.

    Args:
        limits: What all connections share.
        **of_uvicorn: What uvicorn makes its protocols with.
    """

    def __init__(self, limits: ClientLimits, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self.network = ""
        self._is_refused = False
        self._limits = limits
        self._headers_timer = Timer(self.loop, limits.header_timeout_s, self._end_slow_headers)
        self._answer_timer = Timer(self.loop, limits.answer_timeout_s, self._end_unread_answer)

    @property
    def is_waiting(self) -> bool:
        """Whether the server waits for this client: for a request, or to close the connection."""
        cycle = self.cycle
        return (
            cycle is None
            or cycle.response_complete
            or cycle.more_body
            or self.transport.is_closing()
        )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection; refuse it with 503 if there are too many and all are in use."""
        self._gentle = GentleTransport(
            transport, self._is_receiving, self.loop, self._limits.answer_timeout_s
        )
        super().connection_made(cast(asyncio.Transport, self._gentle))
        peer = transport.get_extra_info("peername")
        self.network = get_network(peer[0]) if peer else ""
        if self._limits.connections.admit(self):
            self._headers_timer.start()
            return
        self._is_refused = True
        self._limits.on_drop("refused")
        got, expected = "too many that are being answered", f"fewer; try again in {RETRY_AFTER_S} s"
        self._refuse(RequestError(503, "connections", got, expected, RETRY_AFTER))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._limits.connections.remove(self)
        for timer in (self._headers_timer, self._answer_timer, self._gentle):
            timer.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request; what comes after the last answer is discarded."""
        if self.transport.is_closing():
            self._gentle.discard(len(data))
            return
        if self.conn.their_state is h11.IDLE:
            self._headers_timer.start()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._headers_timer.stop()

    def on_response_complete(self) -> None:
        """Note that the client was answered, and wait for its next request."""
        self._limits.connections.note_answer(self)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; a request whose body it was to be has ended."""
        self._limits.on_drop("malformed")
        super().send_400_response(msg)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def pause_writing(self) -> None:
        """Hold the rest of an answer back until the client reads, for a time."""
        super().pause_writing()
        self._answer_timer.start()

    def resume_writing(self) -> None:
        """Send the rest."""
        self._answer_timer.stop()
        super().resume_writing()

    def shutdown(self) -> None:
        """End the connection once it has been answered; one without a request at once."""
        if self.cycle is None or self.transport.is_closing():
            self.transport.abort()
        else:
            super().shutdown()

    def drop(self) -> None:
        """Close the connection at once, for another."""
        self._limits.on_drop("displaced")
        self.transport.abort()

    def _is_receiving(self) -> bool:
        """Return whether the client may be sending the request that was answered."""
        return self._is_refused or self.conn.their_state in (h11.SEND_BODY, h11.ERROR)

    def _end_slow_headers(self) -> None:
        """Close a connection whose headers took too long, with 408 if any have come."""
        self._limits.on_drop("headers")
        if not self.conn.trailing_data[0]:
            self.transport.close()
            return
        limit_s = self._limits.header_timeout_s
        self._refuse(
            RequestError(408, "headers", "no end of them", f"all of them within {limit_s:g} s")
        )

    def _end_unread_answer(self) -> None:
        self._limits.on_drop("answer")
        self.transport.abort()

    def _refuse(self, error: RequestError) -> None:
        """Answer with an error before there is a request, and close."""
        content = json.dumps(error.body()).encode()
        headers = {
            "content-type": "application/json",
            "content-length": str(len(content)),
            "connection": "close",
            **error.headers,
        }
        events: tuple[h11.Event, ...] = (
            h11.Response(status_code=error.status, headers=list(headers.items())),
            h11.Data(data=content),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
