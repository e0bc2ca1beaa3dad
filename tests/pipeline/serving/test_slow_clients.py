"""Clients that are slow, silent or too many are ended in time, and others answered meanwhile."""

import asyncio
import collections
import contextlib
import functools
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.serving.connections import ConnectionTable
from pipeline.serving.limits import LimitedApp
from pipeline.serving.protocol import ClientLimits, LimitedProtocol
from pipeline.serving.server import make_settings
from tests.helpers.served import Client, half_open, in_a_thread

TIMEOUT_S = 0.5
LONGEST = 10_000
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "


class Served:
    """A small application behind the limits of the server, and what was counted.

    `/` answers, `/held` once `release` is set, and `/long` with more than any buffer holds.
    """

    def __init__(self) -> None:
        self.dropped: collections.Counter[str] = collections.Counter()
        self.num_held = 0
        self.release = threading.Event()
        self.client: Client

    async def answer(self, scope: Any, receive: Any, send: Any) -> None:
        self.num_held += scope["path"] == "/held"
        while scope["path"] == "/held" and not self.release.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000 if scope["path"] == "/long" else 1):
            await send({"type": "http.response.body", "body": bytes(50_000), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def send(self, data: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.client.port), timeout=10)
        connection.sendall(data)
        return connection


@contextlib.contextmanager
def serving_with(**bounds: int) -> Iterator[Served]:
    served = Served()
    limits = ClientLimits(
        connections=ConnectionTable(**{"max_in_all": 50, "max_per_address": 50} | bounds),
        header_timeout_s=TIMEOUT_S,
        answer_timeout_s=TIMEOUT_S,
        on_drop=lambda reason: served.dropped.update([reason]),
    )
    app = LimitedApp(served.answer, max_body_bytes=LONGEST, timeout_s=TIMEOUT_S)
    settings = make_settings(app, functools.partial(LimitedProtocol, limits))
    settings.lifespan = "off"
    with in_a_thread(app, settings) as served.client:
        yield served
        served.release.set()
    assert not len(limits.connections)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving_with() as running:
        yield running


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the server ends the connection; a reset ends it, too."""
    data = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            data += part
    return bytes(data)


def refusal(answer: bytes) -> tuple[int, str]:
    """Return the status of an answer and what its error names."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]["what"]


@pytest.mark.parametrize(
    ("start", "status_and_what"),
    [
        (b"GET / HTTP/1.1\r\nHost:", (408, "headers")),
        (POST + b"100\r\n\r\nhalf", (408, "body")),
        (POST[:-16] + b"Transfer-Encoding: chunked\r\n\r\n4\r\nha", (408, "body")),
        (b"", None),
    ],
)
def test_half_a_request_is_ended_in_time(
    served: Served, start: bytes, status_and_what: tuple[int, str] | None
) -> None:
    began = time.monotonic()
    with served.send(start) as connection:
        answer = read_all(connection)
    assert TIMEOUT_S - 0.05 < time.monotonic() - began < 5 * TIMEOUT_S
    assert (refusal(answer) if answer else None) == status_and_what


def test_a_byte_now_and_then_does_not_help(served: Served) -> None:
    began = time.monotonic()
    with served.send(GET) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.settimeout(0.05)
        received = bytearray()
        for byte in GET[:-2] * 3:
            connection.send(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                part = connection.recv(200_000)
                received += part
                if not part:
                    break
    assert b"HTTP/1.1 408" in received
    assert time.monotonic() - began < 5 * TIMEOUT_S


def test_an_answer_that_nobody_reads_is_dropped(served: Served) -> None:
    before = served.dropped["answer"]
    with served.send(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        deadline = time.monotonic() + 10
        while served.dropped["answer"] == before:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert len(read_all(connection)) < 50_000_000


@pytest.mark.parametrize("sent", [0, 40_000_000])
def test_a_long_body_is_refused_at_once_and_the_client_hears_why(served: Served, sent: int) -> None:
    """Whether the client waits for the answer, or reads it only after it has sent everything."""
    began = time.monotonic()
    with served.send(POST + b"100000000\r\n\r\n") as connection:
        connection.sendall(bytes(sent))
        answer = read_all(connection)
    assert refusal(answer) == (413, "body")
    assert sent or time.monotonic() - began < TIMEOUT_S / 2


def test_a_client_that_waits_to_be_asked_for_a_long_body_is_not(served: Served) -> None:
    with served.send(POST + b"100000000\r\nExpect: 100-continue\r\n\r\n") as connection:
        assert refusal(read_all(connection)) == (413, "body")


def test_a_broken_chunk_is_refused_once_and_counted(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    before = served.dropped["malformed"]
    with served.send(POST[:-16] + b"Transfer-Encoding: chunked\r\n\r\nzzz\r\n") as connection:
        assert read_all(connection).startswith(b"HTTP/1.1 400")
    time.sleep(1.5 * TIMEOUT_S)
    assert served.dropped["malformed"] == before + 1
    assert caplog.text == ""


@pytest.mark.parametrize("bounds", [{"max_in_all": 5}, {"max_per_address": 5}])
def test_half_open_connections_shut_out_nobody(bounds: dict[str, int]) -> None:
    with serving_with(**bounds) as served, half_open(served.client.port, 40):
        for _ in range(10):
            assert served.client.get("/").status == 200
        assert served.dropped["displaced"] >= 35


def test_connections_beyond_those_that_are_answered_are_told_to_come_again() -> None:
    def hold() -> socket.socket:
        num_held = served.num_held
        connection = stack.enter_context(served.send(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n"))
        while served.num_held == num_held:
            time.sleep(0.005)
        return connection

    with serving_with(max_in_all=3) as served, contextlib.ExitStack() as stack:
        held = [hold() for _ in range(3)]
        refused = served.client.get("/")
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.body["error"]["what"] == "connections"
        served.release.set()
        assert held[-1].recv(100).startswith(b"HTTP/1.1 200")
        assert served.client.get("/").status == 200


def test_half_open_connections_do_not_delay_the_end() -> None:
    with serving_with() as served, contextlib.ExitStack() as stack:
        stack.enter_context(half_open(served.client.port, 3))
        stack.enter_context(served.send(POST + b"100000000\r\n\r\n"))
        served.client.get("/")
        began = time.monotonic()
    assert time.monotonic() - began < 5
