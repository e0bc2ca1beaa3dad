"""Run the examples of requests that arrive together in one batch, in a thread of its own."""

import asyncio
import collections
import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
ItemResult = TypeVar("ItemResult")


class QueueFullError(Exception):
    """More examples would wait than may; the request can be sent again later."""


class BatcherClosedError(Exception):
    """The batcher is closed: a request would wait for ever."""


@dataclasses.dataclass(frozen=True)
class _PendingRequest(Generic[Item, ItemResult]):
    """A request's examples, its arrival by the event loop's clock, and the future of its results.

    The future gets one result for each example, in their order, or an exception.
    """

    items: Sequence[Item]
    arrived_s: float
    results: "asyncio.Future[Sequence[ItemResult]]"


class Batcher(Generic[Item, ItemResult]):
    """Collects the examples of requests into batches and runs a function on each batch.

    While a batch runs, the next one is collected. It is run at once when it is full or when as many
    examples wait as the batch before had together with those that waited at its end: so many
    clients ask at a time. For fewer it waits for `max_wait_s`, in which clients that were just
    answered ask again. Requests are run in the order of their arrival and never split: one larger
    than a batch is run alone.

    `start` must be called before requests are answered, and all methods from one event loop
    (neither is checked).

    Args:
        run: Function of a batch's examples that returns a result for each, in their order; called
            in one thread. If it raises for several requests, it is called again for each of them
            alone.
        max_batch_size: Most examples in a batch, unless one request has more.
        max_wait_s: Longest time in seconds that a request waits for others while nothing runs.
        max_queued: Most examples that may wait.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[ItemResult]],
        *,
        max_batch_size: int,
        max_wait_s: float,
        max_queued: int,
    ) -> None:
        """Begin with an empty queue and a thread for the model; nothing runs before `start`."""
        self._run = run
        self._max_batch_size, self._max_wait_s = max_batch_size, max_wait_s
        self._max_queued = max_queued
        self._waiting: collections.deque[_PendingRequest[Item, ItemResult]] = collections.deque()
        self._has_changed = asyncio.Event()
        # Examples that come at a time, as far as is known, and when the last batch ended.
        self._num_expected, self._last_end_s = max_batch_size, 0.0
        self._is_closing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._task: asyncio.Task[None] | None = None

    @property
    def num_queued(self) -> int:
        """Number of examples that wait for their batch; those of a running batch do not count."""
        return sum(len(waiting.items) for waiting in self._waiting)

    @property
    def is_running(self) -> bool:
        """Whether requests are answered: after `start`, until `close` has ended or a failure."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Start to run batches, as a task of the running event loop; to be called once."""
        self._task = asyncio.create_task(self._run_batches(), name="batches")

    async def close(self) -> None:
        """Run all that waits, then stop the task and the thread; `submit` refuses from now on."""
        self._is_closing = True
        self._has_changed.set()
        if self._task:
            await self._task
        self._thread.shutdown()

    async def submit(self, items: Sequence[Item]) -> Sequence[ItemResult]:
        """Return the results of a request's examples once their batch has run.

        The results are in the order of the examples. A cancelled call's examples are run all the
        same.

        Raises:
            BatcherClosedError: `close` was called, or the task that runs batches has failed.
            QueueFullError: With these examples more than `max_queued` would wait.
            Exception: What the function raised for these examples alone.
        """
        if self._is_closing or (self._task is not None and self._task.done()):
            raise BatcherClosedError
        if self.num_queued + len(items) > self._max_queued:
            raise QueueFullError
        loop = asyncio.get_running_loop()
        waiting: _PendingRequest[Item, ItemResult] = _PendingRequest(
            items, loop.time(), loop.create_future()
        )
        self._waiting.append(waiting)
        self._has_changed.set()
        return await waiting.results

    async def _run_batches(self) -> None:
        """Run batches until the batcher is closed and nothing waits.

        The requests of a batch that failed are run again one by one, so that only those that fail
        alone get the error. No error ends the loop.
        """
        while batch := await self._next_batch():
            try:
                await self._answer(batch)
            except Exception as error:
                await self._answer_one_by_one(batch, error)
            self._num_expected = self.num_queued + sum(len(waiting.items) for waiting in batch)
            self._last_end_s = asyncio.get_running_loop().time()

    async def _next_batch(self) -> list[_PendingRequest[Item, ItemResult]]:
        """Wait for requests and take the next ones to run together out of the queue, oldest first.

        They have at most `max_batch_size` examples together, except that one larger request runs by
        itself: requests are not split.

        Returns none when the batcher is closed and nothing waits.
        """
        while not self._waiting and not self._is_closing:
            self._has_changed.clear()
            await self._has_changed.wait()
        await self._wait_for_more()
        batch: list[_PendingRequest[Item, ItemResult]] = []
        count = 0
        while self._waiting:
            count += len(self._waiting[0].items)
            if batch and count > self._max_batch_size:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _wait_for_more(self) -> None:
        """Wait until a batch is full, or has all that is expected, or for `max_wait_s`.

        These seconds begin with the first request, or with the end of the batch before if that was
        later. Returns at once where nothing waits, and once `close` is called.
        """
        enough = min(self._num_expected, self._max_batch_size)
        while self._waiting and self.num_queued < enough and not self._is_closing:
            now_s = asyncio.get_running_loop().time()
            begin_s = max(self._waiting[0].arrived_s, self._last_end_s)
            remaining_s = begin_s + self._max_wait_s - now_s
            if remaining_s <= 0:
                return
            self._has_changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._has_changed.wait(), remaining_s)

    async def _answer(self, batch: Sequence[_PendingRequest[Item, ItemResult]]) -> None:
        """Run a batch in the thread and set the results of its requests.

        Raises:
            Exception: What the function raised; no results are set then.
        """
        items = [item for waiting in batch for item in waiting.items]
        loop = asyncio.get_running_loop()
        results = await loop.run_in_executor(self._thread, self._run, items)
        begin = 0
        for waiting in batch:
            end = begin + len(waiting.items)
            if not waiting.results.done():  # it is done if the client has disconnected
                waiting.results.set_result(results[begin:end])
            begin = end

    async def _answer_one_by_one(
        self, batch: Sequence[_PendingRequest[Item, ItemResult]], error: Exception
    ) -> None:
        """After a failure run each request alone, so that only the one that causes it fails.

        Its future gets the exception. A batch of one request is not run again: it gets `error`.
        """
        for waiting in batch:
            try:
                if len(batch) == 1:
                    raise error
                await self._answer([waiting])
            except Exception as request_error:
                if not waiting.results.done():
                    waiting.results.set_exception(request_error)
