"""The transport of a connection whose `close` lets the client read its answer first."""

import asyncio
from collections.abc import Callable
from typing import Any

_DISCARDED_BYTES = 64_000_000


class Timer:
    """Calls a function once, some seconds after `start`, unless stopped before.

    Args:
        loop: The event loop that calls it.
        seconds: How long after.
        action: The function.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, action: Callable[[], None]
    ) -> None:
        self._loop, self._seconds, self._action = loop, seconds, action
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to count, unless it counts already."""
        if self._handle is None:
            self._handle = self._loop.call_later(self._seconds, self._end)

    def stop(self) -> None:
        """Count no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _end(self) -> None:
        self._handle = None
        self._action()


class GentleTransport:
    """A transport that is closed for good within a time, and politely where it can be.

    A socket that is closed while bytes of its client arrive resets the connection, and the client,
    which may still be sending a long body, loses the answer that was sent. `close` therefore ends
    only the server's side where the client is still sending, and discards what comes until the
    client closes, too. Everything that is not here is the transport's.

    Args:
        transport: The transport.
        is_receiving: Whether the client may still be sending a request.
        loop: The event loop.
        timeout_s: After so many seconds a connection that was to be closed is dropped, whether the
            client has read all of its answer or not.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        is_receiving: Callable[[], bool],
        loop: asyncio.AbstractEventLoop,
        timeout_s: float,
    ) -> None:
        self._transport, self._is_receiving = transport, is_receiving
        self._is_closing = False
        self._num_discarded = 0
        self._deadline = Timer(loop, timeout_s, transport.abort)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Return whether nothing more can be sent."""
        return self._is_closing or self._transport.is_closing()

    def close(self) -> None:
        """Send what is left to send, then close; a second call changes nothing."""
        if self.is_closing():
            return
        self._is_closing = True
        self._deadline.start()
        if not self._is_receiving():
            self._transport.close()
            return
        try:
            self._transport.write_eof()
        except OSError:  # the client has gone
            self._transport.abort()
        self._transport.resume_reading()

    def discard(self, num_bytes: int) -> None:
        """Count bytes that arrived after `close`, and close for good after 64 MB of them."""
        self._num_discarded += num_bytes
        if self._num_discarded > _DISCARDED_BYTES:
            self._transport.abort()

    def stop(self) -> None:
        """Stop the timer; for a connection that is lost."""
        self._deadline.stop()
