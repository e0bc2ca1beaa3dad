"""Requests a second of `albert serve` beside a Hugging Face pipeline behind FastAPI.

    python tests/benchmarks/serving_comparison.py --peer .venv-interop/bin/python

The same classifier, with random weights, is served as a checkpoint, as ONNX and as ONNX with int8
weights, and by the peer (`serving_peer.py`), one text at a time and all that wait together. One
text a request, from 1, 8 and 64 connections, short and long ones. The limit is onnxruntime alone:
tokens made beforehand, sorted by length, in the fastest of several batch sizes. All take turns,
`ROUNDS` times; medians count. Beside rates by the clock it prints the processor time of the server
for each request, which other work on a shared machine moves less; the client's is not in it, though
it runs on the same cores.
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.benchmarks.serving_load import request_body, send_load
from tests.benchmarks.serving_models import (
    FORMATS,
    SHAPES,
    WORDS,
    make_models,
    make_sequences,
    make_texts,
)
from tests.helpers.served import Server, serving

ROUNDS, SECONDS = 3, 8.0
CONNECTIONS = (1, 8, 64)
SERVED = ("keras", "onnx", "onnx_int8")
PEERS = {"pipeline": (), "pipeline, batched": ("--batched",)}
LIMITS = {"onnx": "onnxruntime", "onnx_int8": "onnxruntime, int8"}
BATCH_SIZES = (1, 8, 32)
PEER_RATIO, LIMIT_SHARE = 1.5, 0.9


@dataclasses.dataclass(frozen=True)
class Turn:
    """What a server did in one turn: requests a second, their times, its processor time for each.

    Attributes:
        rate: Requests, or sequences of the limit, a second.
        p99_ms: Time within which 99 % of the requests were answered; 0 for the limit.
        cpu_ms: Milliseconds of processor time for a request, or a sequence.
    """

    rate: float
    p99_ms: float
    cpu_ms: float


Turns = dict[tuple[str, int], list[Turn]]
"""All turns by contestant and number of connections, 0 for the limit."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peer", help="Python of an environment with torch and transformers")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each load")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--texts", nargs="+", choices=WORDS, default=list(WORDS))
    parser.add_argument("--models", type=Path, help="folder to keep the models in")
    parser.add_argument("--worker", help=argparse.SUPPRESS)  # what a turn of the limit starts
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(run_alone(**json.loads(arguments.worker))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.models or Path(temporary)
        for shape in arguments.shapes:
            if not (root / shape / FORMATS[-1]).exists():
                make_models(root / shape, shape)
            for texts in arguments.texts:
                turns: Turns = {}
                for _ in range(arguments.rounds):
                    take_turns(turns, root / shape, texts, arguments.peer, arguments.seconds)
                print_result(turns, f"{shape}, {texts} texts")


def take_turns(turns: Turns, folder: Path, texts: str, peer: str | None, seconds: float) -> None:
    """Let each contestant have its turn with each number of connections."""
    for name in LIMITS:
        work = {"folder": str(folder), "name": name, "texts": texts, "seconds": seconds}
        command = [sys.executable, __file__, "--worker", json.dumps(work)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        turns.setdefault((LIMITS[name], 0), []).append(Turn(*json.loads(printed)))
    starts: dict[str, Any] = {f"albert serve, {name}": serving(folder / name) for name in SERVED}
    if peer:
        for name, options in PEERS.items():
            starts[name] = peer_serving(peer, folder / "huggingface", *options)
    for name, start in starts.items():
        bodies = [request_body(text, is_for_peer=name in PEERS) for text in make_texts(texts)]
        with start as server:
            send_load(server.port, "/predict", bodies, 8, seconds / 4)  # warms up
            for connections in CONNECTIONS:
                turns.setdefault((name, connections), []).append(
                    measure(server, bodies, connections, seconds)
                )


def measure(server: Server, bodies: list[bytes], connections: int, seconds: float) -> Turn:
    """Send a load to a server; return what it did.

    Raises:
        RuntimeError: A request was not answered well.
    """
    before_s = server.cpu_s()
    load = send_load(server.port, "/predict", bodies, connections, seconds)
    if load.num_errors:
        raise RuntimeError(f"{load.num_errors} of {load.num_answers} requests failed")
    cpu_ms = 1000 * (server.cpu_s() - before_s) / load.num_answers
    return Turn(load.requests_per_s, load.p99_ms, cpu_ms)


@contextlib.contextmanager
def peer_serving(python: str, folder: Path, *options: str) -> Iterator[Server]:
    """Run the peer's server on a free port until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    program = str(Path(__file__).with_name("serving_peer.py"))
    command = [python, program, str(folder), str(port), *options]
    process = subprocess.Popen(command, text=True)
    try:
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            if process.poll() is not None:
                raise RuntimeError(f"the peer ended with {process.returncode}")
            time.sleep(0.2)
        yield Server(port, process)
    finally:
        process.kill()
        process.wait()


def run_alone(*, folder: str, name: str, texts: str, seconds: float) -> tuple[float, float, float]:
    """Return the values of the fastest `Turn` of onnxruntime alone, of several batch sizes.

    With and without threads that spin while they wait.
    """
    import onnxruntime

    sequences = sorted(make_sequences(Path(folder), texts), key=len)
    turns = []
    for spins, batch_size in itertools.product("10", BATCH_SIZES):
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", spins)
        session = onnxruntime.InferenceSession(
            str(Path(folder) / name / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        turns.append(time_batches(session, sequences, batch_size, seconds / 4))
    rate, cpu_ms = max(turns)
    return rate, 0.0, cpu_ms


def time_batches(
    session: Any, sequences: list[list[int]], batch_size: int, seconds: float
) -> tuple[float, float]:
    """Return sequences a second, and milliseconds of processor time of each.

    Batches come in random order, each as long as its longest sequence.
    """
    import numpy as np

    batches = []
    for start in range(0, len(sequences), batch_size):
        part = sequences[start : start + batch_size]
        ids = np.zeros((len(part), len(part[-1])), np.int32)
        mask = np.zeros_like(ids)
        for row, sequence in enumerate(part):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        batches.append({"input_ids": ids, "input_mask": mask, "segment_ids": np.zeros_like(ids)})
    order = np.random.default_rng(0).permutation(len(batches))
    session.run(None, batches[0])
    num_done, started, before_s = 0, time.perf_counter(), time.process_time()
    for number in itertools.cycle(order):
        session.run(None, batches[number])
        num_done += len(batches[number]["input_ids"])
        passed_s = time.perf_counter() - started
        if passed_s > seconds:
            break
    return num_done / passed_s, 1000 * (time.process_time() - before_s) / num_done


def print_result(turns: Turns, title: str) -> None:
    """Print the medians of all turns, and what our servers reach of the peer and of the limit."""
    medians = {
        key: Turn(*map(statistics.median, zip(*map(dataclasses.astuple, own), strict=True)))
        for key, own in turns.items()
    }
    print(f"\n{title}")
    for (name, connections), turn in medians.items():
        who = f"{name}, {connections} connections" if connections else f"{name} alone"
        p99 = f", p99 {turn.p99_ms:,.0f} ms" if connections else ""
        print(f"  {who}: {turn.rate:.1f}/s{p99}, {turn.cpu_ms:.2f} ms of processor each")
    for name, connections in itertools.product(SERVED, CONNECTIONS):
        ours = medians[f"albert serve, {name}", connections]
        peers = [medians[peer, connections] for peer in PEERS if (peer, connections) in medians]
        if peers:
            times = ours.rate / max(peer.rate for peer in peers)
            by_cpu = min(peer.cpu_ms for peer in peers) / ours.cpu_ms
            print(
                f"  {name}, {connections} connections: {times:.2f} times the better peer (at least "
                f"{PEER_RATIO}), {by_cpu:.2f} by processor time"
            )
    for name, limit in LIMITS.items():
        ours, alone = medians[f"albert serve, {name}", CONNECTIONS[-1]], medians[limit, 0]
        print(
            f"  {name}, {CONNECTIONS[-1]} connections: {ours.rate / alone.rate:.0%} of {limit} "
            f"alone (at least {LIMIT_SHARE:.0%}), {alone.cpu_ms / ours.cpu_ms:.0%} by "
            "processor time"
        )


if __name__ == "__main__":
    main()
