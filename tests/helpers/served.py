"""A server in a process of its own, and a client for it."""

import asyncio
import contextlib
import dataclasses
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = "import sys; from pipeline.cli.main import main; sys.exit(main())"


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


@dataclasses.dataclass(frozen=True)
class Client:
    """Sends requests to a port of this machine, each on a connection of its own."""

    port: int

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        chunked: bool = False,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {}, encode_chunked=chunked)
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, headers, response.read())

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def post(self, path: str, value: Any) -> Answer:
        """Send a value as JSON, or bytes as they are."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.send("POST", path, body, {"Content-Type": "application/json"})

    def metrics(self) -> dict[str, float]:
        """Return the server's metrics by name and labels, as they are exposed."""
        lines = self.get("/metrics").content.decode().splitlines()
        rows = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in rows}


@dataclasses.dataclass(frozen=True)
class Server(Client):
    process: subprocess.Popen[str]

    def cpu_s(self) -> float:
        """Return the seconds of processor time that the server has used."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; return the exit status and what was still printed."""
        self.process.send_signal(number)
        printed, _ = self.process.communicate(timeout=60)
        return self.process.returncode, printed


@contextlib.contextmanager
def serving(model: Path, *options: str, open_files: int | None = None) -> Iterator[Server]:
    """Run `albert serve` on a free port until the block ends.

    Args:
        model: What to serve.
        *options: Further options.
        open_files: Limit of open files (ulimit -n); this process's if not given.
    """
    command = [sys.executable, "-c", _PROGRAM, "serve", str(model), "--port", "0", *options]
    if open_files is not None:
        command = ["sh", "-c", f'ulimit -n {open_files} && exec "$@"', "sh", *command]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        line = process.stdout.readline()
        times = r"loaded in \d+\.\d s, warmed up in \d+\.\d s"
        found = re.search(rf"; {times}\) on http://127\.0\.0\.1:(\d+) ", line)
        assert found, line
        yield Server(int(found.group(1)), process)
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def half_open(
    port: int, count: int, start: bytes = b"POST /predict HTTP/1.1\r\n"
) -> Iterator[list[socket.socket]]:
    """Open connections that begin a request and never end it; closes them when the block ends."""
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=30)
            connections.append(stack.enter_context(connection))
            connection.sendall(start)
        yield connections


@contextlib.contextmanager
def in_a_thread(app: Any, settings: uvicorn.Config | None = None) -> Iterator[Client]:
    """Serve an application in this process, with uvicorn's settings if none are given."""
    listener = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(settings or uvicorn.Config(app, log_config=None, lifespan="on"))
    thread = threading.Thread(target=asyncio.run, args=(running.serve(sockets=[listener]),))
    thread.start()
    while not running.started:
        assert thread.is_alive()
        time.sleep(0.005)
    listener.listen()  # as the server does: uvicorn's number may be a small one
    try:
        yield Client(listener.getsockname()[1])
    finally:
        running.should_exit = True
        thread.join()
        listener.close()
