"""Uvicorn's HTTP protocol with time limits for clients and bounds on their number.

Uvicorn has no time limit for headers, none for answers that nobody reads, and its limit of
concurrency counts connections without closing any: a few hundred clients that never send a whole
request would take all that there are. These limits need the connection itself, which no ASGI
application sees. The time limit and the length of bodies are in `limits.py`.
"""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any, Literal, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.serving.closing import LingeringTransport, Timer
from pipeline.serving.connections import Bound, ConnectionTable, get_network
from pipeline.serving.errors import RETRY_AFTER, RETRY_AFTER_S, RequestError, closing_response

DropReason = Literal[
    "silent", "headers", "answer", "malformed", "displaced", "refused", "per_address"
]
"""Why the server ended a connection: nothing was sent on it in time, its headers were not whole in
time, its answer was not read in time, it was sent what is not HTTP, it waited for its client while
a new one came, all others were being answered, or there were too many of its address."""

_ACTIVE_S = 1.0
"""For so long a connection is active after it was made, and after each part of a body."""

_TOO_MANY: dict[Bound, tuple[str, str]] = {
    "all": ("in all", "--max_connections"),
    "address": ("from this address", "--max_connections_per_address"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClientLimits:
    """Limits and counters that the connections of a server share.

    Attributes:
        connections: The open ones.
        header_timeout_s: Seconds from a connection, or the first byte of a later request on it, to
            the end of the request's headers.
        answer_timeout_s: Seconds for which a client may read nothing of an answer.
        max_discarded_bytes: Most bytes to read of a request that was refused already.
        on_drop: Called with the reason for each connection that the server ends.
    """

    connections: ConnectionTable
    header_timeout_s: float
    answer_timeout_s: float
    max_discarded_bytes: int
    on_drop: Callable[[DropReason], None]


class LimitedProtocol(H11Protocol):
    """A client's connection under HTTP/1.1, which the server ends where its limits are exceeded.

    Args:
        limits: What all connections share.
        **of_uvicorn: What uvicorn makes its protocols with.
    """

    def __init__(self, limits: ClientLimits, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self.network = ""
        self._is_refused = False
        self._last_part_s = 0.0
        self._limits = limits
        self._headers_timer = Timer(self.loop, limits.header_timeout_s, self._end_slow_headers)
        self._answer_timer = Timer(
            self.loop,
            limits.answer_timeout_s,
            self._end_unread_answer,
            remaining=lambda: self.transport.get_write_buffer_size(),
        )

    @property
    def is_waiting(self) -> bool:
        """Whether the server waits for this client: to send, to read, or to close."""
        cycle = self.cycle
        return (
            cycle is None
            or cycle.response_complete
            or cycle.more_body
            or self.flow.write_paused
            or self.transport.is_closing()
        )

    @property
    def is_active(self) -> bool:
        """Whether the client connected, or sent a part of a body, within the last second.

        False, too, from the end of a request to the next one's headers, and for a connection that
        is closing.
        """
        is_expected = self.cycle is None or self.cycle.more_body
        is_recent = self.loop.time() - self._last_part_s < _ACTIVE_S
        return is_expected and is_recent and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection, and start the time limit of its first request's headers.

        If there are too many connections, in all or from its address, one that waits for its client
        is dropped; if none waits, the new one is answered with 503 and closed.
        """
        self._lingering = LingeringTransport(
            transport,
            self._is_receiving,
            self.loop,
            self._limits.answer_timeout_s,
            self._limits.max_discarded_bytes,
        )
        super().connection_made(cast(asyncio.Transport, self._lingering))
        self._last_part_s = self.loop.time()
        peer = transport.get_extra_info("peername")
        self.network = get_network(peer[0]) if peer else ""
        exceeded = self._limits.connections.admit(self)
        if exceeded is None:
            self._headers_timer.start()
            return
        self._limits.on_drop("per_address" if exceeded == "address" else "refused")
        self._refuse(_too_many(exceeded))

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the connection from the open ones, and stop its time limits."""
        self._limits.connections.remove(self)
        for timer in (self._headers_timer, self._answer_timer, self._lingering):
            timer.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes that have arrived, and pass them to uvicorn, which parses the request.

        The first bytes of a request start the time limit of `header_timeout_s` seconds, which ends
        with its headers. A part of a body makes the connection active for a second. Once the
        connection is closing, bytes are only counted and discarded, and more than
        `max_discarded_bytes` of them end it at once.
        """
        if self.transport.is_closing():
            self._lingering.discard(len(data))
            return
        if self.conn.their_state is h11.IDLE:
            self._headers_timer.start()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._headers_timer.stop()
        if self.conn.their_state is h11.SEND_BODY:
            self._last_part_s = self.loop.time()

    def on_response_complete(self) -> None:
        """Note that the client was answered, and wait for its next request.

        If that has begun to arrive already, the time limit of its headers starts now.
        """
        self._limits.connections.note_answer(self)
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            # The next request has begun already, so the connection is not one that is kept idle.
            self._unset_keepalive_if_required()
            self._headers_timer.start()

    def send_400_response(self, _: str) -> None:
        """Answer bytes that are not HTTP with 400, count that, and close the connection.

        The answer is JSON, as to every other error. An application that still waits for the body
        of a request learns that it ends here.
        """
        self._limits.on_drop("malformed")
        self._write_error(RequestError(400, "request", "bytes that are not HTTP", "HTTP/1.1"))
        self.transport.close()
        self._abandon_request()

    def pause_writing(self) -> None:
        """Hold the rest of an answer back until the client reads.

        If it reads nothing for `answer_timeout_s` seconds, the connection is dropped.
        """
        super().pause_writing()
        self._answer_timer.start()

    def resume_writing(self) -> None:
        """Let the rest of an answer be sent, and stop the time limit for reading it."""
        self._answer_timer.stop()
        super().resume_writing()

    def shutdown(self) -> None:
        """End the connection once it has been answered; one without a request at once.

        One that is closing already ends by itself in time, once its client has read the answer.
        """
        if self.transport.is_closing():
            return
        if self.cycle is None:
            self.transport.abort()
        else:
            super().shutdown()

    def drop(self, bound: Bound) -> None:
        """Close the connection at once, for another; a request that has begun gets 503 if it may.

        Whether the client hears of it depends on what it is sending: nobody waits for it.
        """
        self._limits.on_drop("per_address" if bound == "address" else "displaced")
        if self._can_refuse():
            self._write_error(_too_many(bound))
        self._abandon_request()
        self.transport.abort()

    def _can_refuse(self) -> bool:
        """Return whether the client may expect an answer, and none has begun."""
        is_kept_idle = (
            self.cycle is not None
            and self.conn.their_state is h11.IDLE
            and not self.conn.trailing_data[0]
        )
        return not (
            is_kept_idle
            or self.transport.is_closing()
            or self.flow.write_paused
            or self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE)
        )

    def _abandon_request(self) -> None:
        """Let the application, if it waits for the rest of a body, know that none will come."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _is_receiving(self) -> bool:
        """Return whether the client may be sending the request that was answered."""
        return self._is_refused or self.conn.their_state in (h11.SEND_BODY, h11.ERROR)

    def _end_slow_headers(self) -> None:
        """Close a connection whose headers took too long, with 408 if any have come."""
        if not self.conn.trailing_data[0]:
            self._limits.on_drop("silent")
            self.transport.close()
            return
        self._limits.on_drop("headers")
        expected = f"all of them within {self._limits.header_timeout_s:g} s (--header_timeout_s)"
        self._refuse(RequestError(408, "headers", "no end of them", expected))

    def _end_unread_answer(self) -> None:
        self._limits.on_drop("answer")
        self.transport.abort()

    def _refuse(self, error: RequestError) -> None:
        """Answer with an error before there is a request, and close."""
        self._is_refused = True
        self._write_error(error)
        self.transport.close()

    def _write_error(self, error: RequestError) -> None:
        """Write an answer with an error; the connection is to be closed then."""
        # Of a request whose headers are not whole nothing is known; `scope` is the one's before.
        is_known = self.cycle is not None and not self.cycle.response_complete
        headers, content = closing_response(error, self.scope["path"] if is_known else "")
        if is_known and self.scope["method"] == "HEAD":
            content = b""
        events: tuple[h11.Event, ...] = (
            h11.Response(status_code=error.status, headers=headers),
            h11.Data(data=content),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")


def _too_many(bound: Bound) -> RequestError:
    """Return the error, status 503, for a connection beyond a bound."""
    whose, option = _TOO_MANY[bound]
    got = f"as many {whose} as {option} allows"
    expected = f"fewer; try again in {RETRY_AFTER_S} s, or raise {option}"
    return RequestError(503, "connections", got, expected, RETRY_AFTER)
