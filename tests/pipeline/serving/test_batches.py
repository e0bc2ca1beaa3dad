"""Requests that arrive together are run together, and a failure is only that of its own request."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from pipeline.serving.batching import Batcher, BatcherClosedError, QueueFullError


class Doubling:
    """Doubles numbers, slowly, and notes the batches; fails on negative ones."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[int]] = []
        self._seconds = seconds

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        time.sleep(self._seconds)
        if min(items) < 0:
            raise ArithmeticError(min(items))
        return [2 * item for item in items]


async def answers(run: Doubling, *requests: Sequence[int], max_queued: int = 99) -> list[object]:
    """Submit requests at once; return their results or errors."""
    batcher = Batcher(run, max_batch_size=4, max_wait_s=0.05, max_queued=max_queued)
    batcher.start()
    submitted = [asyncio.create_task(batcher.submit(request)) for request in requests]
    results = await asyncio.gather(*submitted, return_exceptions=True)
    await batcher.close()
    assert not batcher.is_running
    return results


def test_requests_share_batches_and_are_not_taken_apart() -> None:
    run = Doubling()
    results = asyncio.run(answers(run, [1], [2, 3], [4, 5], [6, 7, 8, 9, 10]))
    assert results == [[2], [4, 6], [8, 10], [12, 14, 16, 18, 20]]
    assert run.batches == [[1, 2, 3], [4, 5], [6, 7, 8, 9, 10]]


def test_a_full_batch_does_not_wait() -> None:
    started = time.perf_counter()
    batcher = Batcher(Doubling(), max_batch_size=2, max_wait_s=60.0, max_queued=9)

    async def submit() -> Sequence[int]:
        batcher.start()
        return await batcher.submit([1, 2])

    assert asyncio.run(submit()) == [2, 4]
    assert time.perf_counter() - started < 30


def test_a_client_by_itself_does_not_wait() -> None:
    async def ask() -> float:
        batcher = Batcher(Doubling(), max_batch_size=4, max_wait_s=1.0, max_queued=9)
        batcher.start()
        await batcher.submit([0])  # before it, nothing is known of the clients
        started = time.perf_counter()
        for number in range(3):
            assert await batcher.submit([number]) == [2 * number]
        passed_s = time.perf_counter() - started
        await batcher.close()
        return passed_s

    assert asyncio.run(ask()) < 0.9


def test_clients_that_ask_at_a_time_are_run_together() -> None:
    run = Doubling()

    async def ask_three_times(batcher: Batcher[int, int], number: int) -> None:
        for _ in range(3):
            await batcher.submit([number])
            await asyncio.sleep(0.01 * number)  # one after the other

    async def ask() -> None:
        batcher = Batcher(run, max_batch_size=8, max_wait_s=1.0, max_queued=9)
        batcher.start()
        async with asyncio.TaskGroup() as clients:
            for number in (1, 2, 3):
                clients.create_task(ask_three_times(batcher, number))
        await batcher.close()

    started = time.perf_counter()
    asyncio.run(ask())
    assert run.batches == [[1, 2, 3]] * 3
    assert time.perf_counter() - started < 2  # only the first batch had to wait


def test_clients_that_have_gone_are_waited_for_once() -> None:
    run, waited_s = Doubling(), []

    async def ask() -> None:
        batcher = Batcher(run, max_batch_size=8, max_wait_s=0.5, max_queued=9)
        batcher.start()
        await asyncio.gather(batcher.submit([1]), batcher.submit([2]))
        for _ in range(2):
            started = time.perf_counter()
            await batcher.submit([3])
            waited_s.append(time.perf_counter() - started)
        await batcher.close()

    asyncio.run(ask())
    assert run.batches == [[1, 2], [3], [3]]
    assert waited_s[0] > 0.4 > waited_s[1]


def test_only_the_request_that_fails_is_told_so() -> None:
    first, failed, last = asyncio.run(answers(Doubling(), [1], [-1], [3]))
    assert (first, last) == ([2], [6])
    assert isinstance(failed, ArithmeticError)


def test_the_queue_has_an_end() -> None:
    results = asyncio.run(answers(Doubling(), [1, 2], [3, 4], [5], max_queued=4))
    assert results[:2] == [[2, 4], [6, 8]]
    assert isinstance(results[2], QueueFullError)


def test_closing_answers_what_waits() -> None:
    async def close_early() -> Sequence[int]:
        batcher = Batcher(Doubling(0.05), max_batch_size=9, max_wait_s=60.0, max_queued=9)
        batcher.start()
        waiting = asyncio.create_task(batcher.submit([1]))
        await asyncio.sleep(0)
        await batcher.close()
        return await waiting

    assert asyncio.run(close_early()) == [2]


def test_what_comes_after_the_end_is_refused_at_once() -> None:
    async def come_late() -> None:
        batcher = Batcher(Doubling(), max_batch_size=9, max_wait_s=60.0, max_queued=9)
        batcher.start()
        await batcher.close()
        with pytest.raises(BatcherClosedError):
            await asyncio.wait_for(batcher.submit([1]), timeout=5)

    asyncio.run(come_late())


def test_a_client_that_left_disturbs_nobody() -> None:
    async def leave() -> Sequence[int]:
        batcher = Batcher(Doubling(), max_batch_size=9, max_wait_s=0.05, max_queued=9)
        batcher.start()
        gone, stays = (asyncio.create_task(batcher.submit([number])) for number in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        found = await stays
        await batcher.close()
        return found

    assert asyncio.run(leave()) == [4]
