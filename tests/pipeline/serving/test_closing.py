"""A time limit begins again as long as its client goes on."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from pipeline.serving.closing import LingeringTransport, Timer


class Loop:
    """Keeps the function that is to be called later."""

    def __init__(self) -> None:
        self.later: Callable[[], None] | None = None

    def call_later(self, _: float, action: Callable[[], None]) -> Any:
        self.later = action

    def pass_time(self) -> None:
        action, self.later = self.later, None
        assert action
        action()


class Transport:
    """The parts of a transport that a close needs."""

    def __init__(self) -> None:
        self.num_waiting, self.is_aborted = 100, False

    def is_closing(self) -> bool:
        return self.is_aborted

    def get_write_buffer_size(self) -> int:
        return self.num_waiting

    def write_eof(self) -> None:
        pass

    resume_reading = close = write_eof

    def abort(self) -> None:
        self.is_aborted = True


def test_a_timer_begins_again_while_less_remains() -> None:
    loop, remaining = Loop(), iter([3, 2, 2, 1, 1, 1])
    ended: list[bool] = []
    timer = Timer(
        cast(asyncio.AbstractEventLoop, loop),
        1.0,
        lambda: ended.append(True),
        lambda: next(remaining),
    )
    timer.start()
    for _ in range(2):
        loop.pass_time()
        assert not ended
    loop.pass_time()
    assert ended == [True]


@pytest.mark.parametrize("is_receiving", [False, True])
@pytest.mark.parametrize(
    ("num_read", "num_sent", "is_aborted"),
    [(0, 0, True), (1, 0, False), (0, 1, True), (0, 10_000, False), (0, 1_000_001, True)],
)
def test_a_connection_lingers_while_its_client_reads_or_sends(
    is_receiving: bool, num_read: int, num_sent: int, is_aborted: bool
) -> None:
    loop, transport = Loop(), Transport()
    lingering = LingeringTransport(
        cast(asyncio.Transport, transport),
        lambda: is_receiving,
        cast(asyncio.AbstractEventLoop, loop),
        1.0,
        1_000_000,
    )
    lingering.close()
    transport.num_waiting -= num_read
    lingering.discard(num_sent)
    loop.pass_time()
    assert transport.is_aborted == is_aborted
