"""What `albert serve` does under load: `python tests/benchmarks/serve.py --model FOLDER`.

The load comes from a process of its own; each connection sends one request after the other. Every
request holds one example. Prints requests a second, errors and the times of requests for each
number of connections, and how large the batches were. `serving_comparison.py` compares with others.

With `--half_open 400` it measures a client with a new connection for each request, alone and then
beside so many connections that begin a request and never end it, on a server that may open
`--open_files` (256) files. Whatever the server closes of them is opened again after a second. Each
time it also tells how soon a body that is declared with 100 MB is answered.
"""

import argparse
import concurrent.futures
import contextlib
import http.client
import json
import multiprocessing
import select
import socket
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.serving_load import Load, load_of, send_load
from tests.helpers.served import Server, serving

CONNECTIONS = (1, 8, 64)
SENTENCE = "The harbour master counted 12,400 crates before the storm reached the islands."
VALUES: dict[str, Any] = {
    "text": SENTENCE,
    "text_b": SENTENCE,
    "question": "Who counted the crates?",
    "context": SENTENCE,
    "choices": [SENTENCE, SENTENCE],
}
LONG_BODY = 100_000_000  # bytes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="what `albert serve` serves")
    parser.add_argument("--seconds", type=int, default=60, help="seconds of each load")
    parser.add_argument("--half_open", type=int, help="half-open connections beside one client")
    parser.add_argument("--open_files", type=int, default=256, help="for those: ulimit -n")
    arguments = parser.parse_args()
    if arguments.half_open:
        with serving(arguments.model, open_files=arguments.open_files) as server:
            measure_beside_half_open(server, arguments.half_open, arguments.seconds)
        return
    with serving(arguments.model) as server:
        path, body = request_of(server)
        for connections in CONNECTIONS:
            before = server.metrics()
            load = send_load(server.port, path, [body], connections, arguments.seconds)
            print(
                f"{connections:3} connections: {load.requests_per_s:7.1f} requests/s, "
                f"{load.num_errors} errors, p50 {load.p50_ms:.1f} ms, p99 {load.p99_ms:.1f} ms, "
                f"{mean_batch(before, server.metrics()):.1f} sequences a batch"
            )


def measure_beside_half_open(server: Server, count: int, seconds: int) -> None:
    """Print the times of a client and the processor time of the server, alone and beside them."""
    path, body = request_of(server)
    with concurrent.futures.ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn")
    ) as process:
        for when in ("alone", f"beside {count}"):
            if when != "alone":
                hanging = process.submit(_hang, server.port, count, 2 * seconds + 2)
                time.sleep(2)
            before_s = server.cpu_s()
            load = client_load(server.port, path, body, seconds)
            used_s = server.cpu_s() - before_s
            print(
                f"{when}: {load.requests_per_s:.1f} requests/s, {load.num_errors} errors, "
                f"p50 {load.p50_ms:.1f} ms, p99 {load.p99_ms:.1f} ms, "
                f"processor {used_s / seconds:.0%} of a core"
            )
            status, answer_s = declare_long_body(server.port, path)
            print(f"{when}: a declared body of 100 MB: {status} after {1000 * answer_s:.0f} ms")
        before_s = server.cpu_s()
        time.sleep(seconds / 2)
        used_s = server.cpu_s() - before_s
        print(f"without the client: processor {used_s / (seconds / 2):.1%} of a core")
        print(f"opened: {hanging.result()} half-open connections")


def client_load(port: int, path: str, body: bytes, seconds: int) -> Load:
    """Send 20 requests a second, each on a new connection; times include those of connecting."""
    times, num_errors = [], 0
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            num_errors += connection.getresponse().status != 200
        except OSError:
            num_errors += 1
        finally:
            connection.close()
        times.append(time.perf_counter() - started)
        time.sleep(max(0.0, started + 0.05 - time.perf_counter()))
    return load_of(times, num_errors, seconds)


def declare_long_body(port: int, path: str) -> tuple[int, float]:
    """Declare a body of `LONG_BODY` and send none of it; return the status and its seconds."""
    headers = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {LONG_BODY}\r\n\r\n"
    started = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(headers.encode())
        answer = connection.recv(1000)
    return int(answer.split()[1]), time.perf_counter() - started


def _hang(port: int, count: int, seconds: int) -> int:
    """Keep half-open connections for some seconds; return how many were opened."""
    connections: dict[int, socket.socket] = {}
    num_opened, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        for number in range(count):
            if number not in connections:
                with contextlib.suppress(OSError):
                    connections[number] = socket.create_connection(("127.0.0.1", port), timeout=1)
                    connections[number].sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\n")
                    num_opened += 1
        time.sleep(1)
        for number, connection in [*connections.items()]:
            if select.select([connection], [], [], 0)[0]:  # an answer, or its end
                connections.pop(number).close()
    return num_opened


def request_of(server: Server) -> tuple[str, bytes]:
    """Return a request that fits the model."""
    model = server.get("/model").body
    example = {name: VALUES[name] for name in model["fields"]}
    if model["kind"] == "masked_lm":
        example["text"] = SENTENCE.replace("storm", "[MASK]")
    return model["endpoint"], json.dumps({"examples": [example]}).encode()


def mean_batch(before: dict[str, float], after: dict[str, float]) -> float:
    """Return the mean size of the batches between two looks at the metrics."""
    total, count = (
        after[f"albert_batch_size_{name}"] - before[f"albert_batch_size_{name}"]
        for name in ("sum", "count")
    )
    return total / max(count, 1)


if __name__ == "__main__":
    main()
