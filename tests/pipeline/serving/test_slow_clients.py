"""Clients that are slow, silent or too many are ended in time, and others answered meanwhile."""

import asyncio
import collections
import contextlib
import functools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pipeline.serving.connections import ConnectionTable
from pipeline.serving.limits import LimitedApp
from pipeline.serving.protocol import ClientLimits, LimitedProtocol
from pipeline.serving.server import make_settings
from tests.helpers.served import Client, half_open, in_a_thread

TIMEOUT_S = 0.5
LONG_S = 60.0
LONGEST = 10_000
WHOLE = 30_000_000
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "


class Served:
    """A small application behind the limits of the server, and what was counted.

    `/` answers, `/held` once `release` is set, `/long` with more than any buffer holds, and
    `/whole` with as much at once.
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
        if scope["path"] == "/whole":
            await send({"type": "http.response.body", "body": bytes(WHOLE)})
            return
        for _ in range(1000 if scope["path"] == "/long" else 1):
            await send({"type": "http.response.body", "body": bytes(50_000), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def send(self, data: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.client.port), timeout=LONG_S)
        connection.sendall(data)
        return connection


@contextlib.contextmanager
def serving_with(
    *,
    max_in_all: int = 50,
    max_per_address: int = 50,
    header_timeout_s: float = TIMEOUT_S,
    answer_timeout_s: float = TIMEOUT_S,
) -> Iterator[Served]:
    served = Served()
    limits = ClientLimits(
        connections=ConnectionTable(max_in_all, max_per_address),
        header_timeout_s=header_timeout_s,
        answer_timeout_s=answer_timeout_s,
        max_discarded_bytes=64_000_000,
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


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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
    ("start", "status_and_what", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost:", (408, "headers"), "headers"),
        (POST + b"100\r\n\r\nhalf", (408, "body"), None),
        (POST[:-16] + b"Transfer-Encoding: chunked\r\n\r\n4\r\nha", (408, "body"), None),
        (b"", None, "silent"),
    ],
)
def test_half_a_request_is_ended_in_time(
    served: Served, start: bytes, status_and_what: tuple[int, str] | None, reason: str | None
) -> None:
    began, before = time.monotonic(), served.dropped.copy()
    with served.send(start) as connection:
        answer = read_all(connection)
    assert time.monotonic() - began > TIMEOUT_S - 0.05
    assert (refusal(answer) if answer else None) == status_and_what
    assert served.dropped - before == collections.Counter([reason] if reason else [])


def test_half_of_a_second_request_is_ended_in_time(served: Served) -> None:
    before = served.dropped["headers"]
    with served.send(GET + GET[:20]) as connection:
        answers = read_all(connection)
    assert answers.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answers
    assert served.dropped["headers"] == before + 1


def test_a_body_that_arrives_steadily_may_take_longer(served: Served) -> None:
    """9,000 bytes give it 9 s in addition."""
    with served.send(POST + b"9001\r\nConnection: close\r\n\r\n" + bytes(9_000)) as connection:
        time.sleep(1.5 * TIMEOUT_S)
        connection.sendall(b".")
        assert read_all(connection).startswith(b"HTTP/1.1 200")


def test_a_byte_now_and_then_does_not_help(served: Served) -> None:
    with served.send(GET) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.settimeout(0.05)
        received, part = bytearray(), b"some"
        deadline = time.monotonic() + LONG_S
        while part:
            assert time.monotonic() < deadline
            connection.send(b"G")
            with contextlib.suppress(TimeoutError):
                part = connection.recv(200_000)
                received += part
    assert b"HTTP/1.1 408" in received


def test_an_answer_that_nobody_reads_is_dropped(served: Served) -> None:
    before = served.dropped["answer"]
    with served.send(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        wait_until(lambda: served.dropped["answer"] > before)
        assert len(read_all(connection)) < 50_000_000


@pytest.mark.parametrize("sent", [0, 40_000_000])
def test_a_long_body_is_refused_at_once_and_the_client_hears_why(sent: int) -> None:
    """Whether the client waits for the answer, or reads it only after it has sent everything.

    A server that waited for the body would answer 408.
    """
    with (
        serving_with(answer_timeout_s=LONG_S) as served,
        served.send(POST + b"100000000\r\n\r\n") as connection,
    ):
        connection.sendall(bytes(sent))
        assert refusal(read_all(connection)) == (413, "body")


def test_a_client_that_waits_to_be_asked_for_a_long_body_is_not(served: Served) -> None:
    with served.send(POST + b"100000000\r\nExpect: 100-continue\r\n\r\n") as connection:
        assert refusal(read_all(connection)) == (413, "body")


NO_HTTP = {"what": "request", "got": "bytes that are not HTTP", "expected": "HTTP/1.1"}
BROKEN_CHUNK = b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n"


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"POST / HTTP/1.1\r\n" + BROKEN_CHUNK, NO_HTTP),
        (
            b"POST /v1/models/topic:predict HTTP/1.1\r\n" + BROKEN_CHUNK,
            "request: got bytes that are not HTTP, expected HTTP/1.1",
        ),
        (b"\x16\x03\x01 no HTTP\r\n\r\n", NO_HTTP),
        (GET + b"no HTTP\r\n\r\n", NO_HTTP),
    ],
)
def test_what_is_not_http_is_refused_once_with_json_and_counted(
    served: Served, sent: bytes, error: Any, caplog: pytest.LogCaptureFixture
) -> None:
    before = served.dropped["malformed"]
    with served.send(sent) as connection:
        last = read_all(connection).rpartition(b"HTTP/1.1 400")[2]
    assert json.loads(last.partition(b"\r\n\r\n")[2]) == {"error": error}
    time.sleep(1.5 * TIMEOUT_S)
    assert served.dropped["malformed"] == before + 1
    assert caplog.text == ""


@pytest.fixture
def _loopback_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections of this machine count as those of another one."""
    monkeypatch.setattr("pipeline.serving.protocol.get_network", lambda host: host)


@pytest.mark.usefixtures("_loopback_is_bounded")
@pytest.mark.parametrize(
    ("bound", "reason"), [("max_in_all", "displaced"), ("max_per_address", "per_address")]
)
def test_half_open_connections_shut_out_nobody(bound: str, reason: str) -> None:
    with (
        serving_with(**{bound: 5}, header_timeout_s=LONG_S) as served,
        half_open(served.client.port, 40),
    ):
        for _ in range(10):
            assert served.client.get("/").status == 200
        assert served.dropped[reason] >= 35


def test_an_upload_that_makes_room_is_told_to_come_again() -> None:
    start = POST + b"100\r\nExpect: 100-continue\r\n\r\n"
    with serving_with(max_in_all=1) as served, served.send(start) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        assert served.client.get("/").status == 200
        answer = read_all(connection)
    assert refusal(answer) == (503, "connections")
    assert b"retry-after: 1" in answer.lower()


def test_whoever_asks_and_never_reads_makes_room() -> None:
    def is_answered() -> bool:
        return served.client.get("/").status == 200

    with (
        serving_with(max_in_all=1, answer_timeout_s=2 * LONG_S) as served,
        served.send(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n" * 2),
    ):
        wait_until(is_answered)
        assert served.dropped["answer"] == 0


@pytest.mark.usefixtures("_loopback_is_bounded")
@pytest.mark.parametrize(
    ("bound", "option", "reason"),
    [
        ("max_in_all", "in all as --max_connections", "refused"),
        ("max_per_address", "address as --max_connections_per_address", "per_address"),
    ],
)
def test_connections_beyond_those_that_are_answered_are_told_to_come_again(
    bound: str, option: str, reason: str
) -> None:
    def hold() -> socket.socket:
        num_held = served.num_held
        connection = stack.enter_context(served.send(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n"))
        wait_until(lambda: served.num_held > num_held)
        return connection

    with serving_with(**{bound: 3}) as served, contextlib.ExitStack() as stack:
        held = [hold() for _ in range(3)]
        refused = served.client.get("/")
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.body["error"]["what"] == "connections"
        assert f"{option} allows" in refused.body["error"]["got"]
        assert served.dropped[reason] == 1
        served.release.set()
        assert held[-1].recv(100).startswith(b"HTTP/1.1 200")
        assert served.client.get("/").status == 200


def test_half_open_connections_do_not_delay_the_end() -> None:
    with serving_with(header_timeout_s=LONG_S) as served, contextlib.ExitStack() as stack:
        stack.enter_context(half_open(served.client.port, 3))
        stack.enter_context(served.send(POST + b"100000000\r\n\r\n"))
        served.client.get("/")
        began = time.monotonic()
    assert time.monotonic() - began < LONG_S / 2


def test_an_answer_that_is_being_read_is_sent_to_its_end_when_the_server_stops() -> None:
    def read_later() -> int:
        time.sleep(TIMEOUT_S)
        return len(received + read_all(connection))

    request = b"GET /whole HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with (
        contextlib.ExitStack() as stack,
        ThreadPoolExecutor(1) as threads,
        serving_with(answer_timeout_s=LONG_S) as served,
    ):
        connection = stack.enter_context(served.send(request))
        received = connection.recv(1000)
        num_read = threads.submit(read_later)
    assert num_read.result() > WHOLE
