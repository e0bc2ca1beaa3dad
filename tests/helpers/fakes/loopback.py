"""A server on the loopback that records the calls it gets, and fails when a test says so."""

import collections
import contextlib
import dataclasses
import http.server
import json
import os
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest

Failure = int | Literal["hang", "drop before", "drop after"]
"""A status; no answer at all; the connection closed before or after the work is done."""


@dataclasses.dataclass(frozen=True)
class Call:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What is sent back: JSON of `body`, or bytes as they are."""

    body: Any
    status: int = 200
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


Service = Callable[[Call], Answer]


class Loopback:
    """The running server: its calls so far, and what is to go wrong."""

    def __init__(self, service: Service, port: int, scheme: str = "http") -> None:
        self.service = service
        self.port = port
        self.scheme = scheme
        self.calls: list[Call] = []
        self.is_over = threading.Event()
        self._failures: dict[tuple[str, str], collections.deque[Failure]] = {}
        self._signal: tuple[int, str, str, int] | None = None

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def fail(self, method: str, path_part: str, *failures: Failure) -> None:
        """Let the next calls of that kind fail, each in its way."""
        self._failures[method, path_part] = collections.deque(failures)

    def send_signal(self, number: int, method: str, path_part: str, nth: int) -> None:
        """Send this process a signal when the nth call of a kind comes."""
        self._signal = (number, method, path_part, nth)

    def receive(self, call: Call) -> None:
        self.calls.append(call)
        if self._signal:
            number, method, path_part, nth = self._signal
            if len(self.sent(method, path_part)) >= nth:
                self._signal = None
                os.kill(os.getpid(), number)

    def next_failure(self, call: Call) -> Failure | None:
        for (method, path_part), failures in self._failures.items():
            if call.method == method and path_part in call.path and failures:
                return failures.popleft()
        return None

    def sent(self, method: str, path_part: str = "") -> list[Call]:
        return [call for call in self.calls if call.method == method and path_part in call.path]


@contextlib.contextmanager
def loopback(service: Service, tls: ssl.SSLContext | None = None) -> Iterator[Loopback]:
    """Serve until the block ends; the process's clients go there without a proxy."""
    server = _Server(("127.0.0.1", 0), _Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    running = Loopback(service, server.server_port, "https" if tls else "http")
    server.loopback = running
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        try:
            yield running
        finally:
            running.is_over.set()
            server.shutdown()
            server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that went away before their answer."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        running: Loopback = self.server.loopback
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        call = Call(
            method=self.command,
            path=url.path,
            query=dict(urllib.parse.parse_qsl(url.query)),
            body=_parse_body(content),
            headers={name.lower(): value for name, value in self.headers.items()},
        )
        running.receive(call)
        failure = running.next_failure(call)
        if failure == "hang":
            running.is_over.wait(20)
        elif isinstance(failure, int):
            self._send(refusal(failure))
            return
        elif failure != "drop before":
            answer = running.service(call)
            if failure is None:
                self._send(answer)
                return
        self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

    def _send(self, answer: Answer) -> None:
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        if "Content-Type" not in answer.headers:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _parse_body(content: bytes) -> Any:
    """The JSON; the fields of a form as they are; None for nothing."""
    try:
        return json.loads(content) if content else None
    except ValueError:
        return content.decode()


REFUSALS = {
    400: "Request contains an invalid argument.",
    401: "Request had invalid authentication credentials.",
    403: "Permission 'aiplatform.pipelineJobs.create' denied.",
    404: "The requested resource was not found.",
    409: "The resource already exists.",
    429: "Quota exceeded for quota metric 'Pipeline requests'.",
    500: "Internal error encountered.",
    503: "The service is currently unavailable.",
}


def refusal(status: int) -> Answer:
    """An error as both platforms word it: Google in `error`, Kubeflow beside it."""
    message = REFUSALS[status]
    error = {"code": status, "message": message}
    return Answer({"error": error, "message": message}, status)
