"""The transport of a connection that lingers on `close`, so that the client can read its answer."""

import asyncio
from collections.abc import Callable
from typing import Any

# Fewer bytes than these in the whole time limit are no progress of a client that sends.
_DISCARDED_BLOCK = 10_000


class Timer:
    """Calls a function once, some seconds after `start`, unless stopped before.

    Args:
        loop: The event loop that calls it.
        seconds: How long after.
        action: The function.
        remaining: Returns how much is left of what is being waited for. If that has become less
            when the seconds are over, they begin again.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        action: Callable[[], None],
        remaining: Callable[[], int] = lambda: 0,
    ) -> None:
        self._loop, self._seconds, self._action = loop, seconds, action
        self._remaining, self._remaining_before = remaining, 0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to count, unless it counts already."""
        if self._handle is None:
            self._remaining_before = self._remaining()
            self._handle = self._loop.call_later(self._seconds, self._end)

    def stop(self) -> None:
        """Count no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _end(self) -> None:
        self._handle = None
        if self._remaining() < self._remaining_before:
            self.start()
        else:
            self._action()


class LingeringTransport:
    """A transport whose close lingers for a limited time.

    A socket that is closed while bytes of its client arrive resets the connection, and the client,
    which may still be sending a long body, loses the answer that was sent. `close` therefore ends
    only the server's side where the client is still sending, and discards what comes until the
    client closes, too. Everything that is not here is the transport's.

    Args:
        transport: The transport.
        is_receiving: Whether the client may still be sending a request.
        loop: The event loop.
        timeout_s: After so many seconds in which the client neither read nor sent, a connection
            that was to be closed is dropped, whether the client has read all of its answer or not.
        max_discarded_bytes: Most bytes to discard; the connection is dropped on the next.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        is_receiving: Callable[[], bool],
        loop: asyncio.AbstractEventLoop,
        timeout_s: float,
        max_discarded_bytes: int,
    ) -> None:
        self._transport, self._is_receiving = transport, is_receiving
        self._is_closing = False
        self._max_discarded_bytes, self._num_discarded = max_discarded_bytes, 0
        self._deadline = Timer(loop, timeout_s, transport.abort, self._remaining)

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
        """Count bytes that arrived after `close`, and close for good if they are too many."""
        self._num_discarded += num_bytes
        if self._num_discarded > self._max_discarded_bytes:
            self._transport.abort()

    def stop(self) -> None:
        """Stop the timer; for a connection that is lost."""
        self._deadline.stop()

    def _remaining(self) -> int:
        """Return a number that becomes smaller as long as the client reads or sends."""
        return self._transport.get_write_buffer_size() - self._num_discarded // _DISCARDED_BLOCK
