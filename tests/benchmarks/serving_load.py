"""A load on an HTTP server of this machine, from a process of its own.

Each connection sends one request after the other. The client is written for little work of its
own, since it shares the cores with the server.
"""

import asyncio
import concurrent.futures
import dataclasses
import itertools
import json
import multiprocessing
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Load:
    """What came of a load: requests a second, answered and failed ones, times in milliseconds."""

    requests_per_s: float
    num_answers: int
    num_errors: int
    p50_ms: float
    p99_ms: float


def send_load(
    port: int, path: str, bodies: Sequence[bytes], connections: int, seconds: float
) -> Load:
    """Send the bodies in turn on so many connections, again and again; return what came of it."""
    with concurrent.futures.ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn")
    ) as process:
        requests = [request_bytes(path, body) for body in bodies]
        sending = process.submit(_send, port, requests, connections, seconds)
        return load_of(*sending.result())


def request_bytes(path: str, body: bytes) -> bytes:
    """Return a request with a JSON body as it is sent."""
    headers = f"Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"POST {path} HTTP/1.1\r\n{headers}\r\n\r\n".encode() + body


def load_of(times: Sequence[float], num_errors: int, seconds: float) -> Load:
    """Return the figures of a load.

    Args:
        times: Seconds of each request.
        num_errors: How many of all were not answered well.
        seconds: How long requests were sent.
    """
    percentiles = statistics.quantiles(times, n=100)
    return Load(
        requests_per_s=len(times) / seconds,
        num_answers=len(times),
        num_errors=num_errors,
        p50_ms=1000 * percentiles[49],
        p99_ms=1000 * percentiles[98],
    )


def _send(
    port: int, requests: Sequence[bytes], connections: int, seconds: float
) -> tuple[list[float], int, float]:
    """Return the seconds of each request that was answered, how many were not, and all seconds."""
    return asyncio.run(_send_on_all(port, itertools.cycle(requests), connections, seconds))


async def _send_on_all(
    port: int, requests: Iterator[bytes], connections: int, seconds: float
) -> tuple[list[float], int, float]:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    clients = [
        _Client(requests, started + seconds, loop.create_future()) for _ in range(connections)
    ]
    for client in clients:
        await loop.create_connection(lambda own=client: own, "127.0.0.1", port)
    await asyncio.gather(*(client.end for client in clients))
    times = [s for client in clients for s in client.times]
    return times, sum(client.num_errors for client in clients), time.perf_counter() - started


class _Client(asyncio.Protocol):
    """A connection that sends a request when the one before is answered, until a time has come.

    Args:
        requests: What to send; shared by all connections.
        until: Time of `perf_counter` from which on nothing is sent.
        end: Gets a result when the last request is answered, or the connection is lost.
    """

    def __init__(self, requests: Iterator[bytes], until: float, end: Any) -> None:
        self.times: list[float] = []
        self.num_errors = 0
        self.end = end
        self._requests, self._until = requests, until
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        """Send the first request."""
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Count an answer that is whole now, and send the next request."""
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not separator or length is None or len(body) < int(length.group(1)):
            return
        if head.startswith(b"HTTP/1.1 200"):
            self.times.append(time.perf_counter() - self._sent)
        else:
            self.num_errors += 1
        self._received = b""
        if time.perf_counter() < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; a request without an answer is an error."""
        self.num_errors += time.perf_counter() < self._until
        if not self.end.done():
            self.end.set_result(None)

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))


def request_body(text: str, *, is_for_peer: bool = False) -> bytes:
    """Return the body of a request for a text, to `albert serve` or to `serving_peer.py`."""
    example = {"text": text}
    return json.dumps(example if is_for_peer else {"examples": [example]}).encode()
