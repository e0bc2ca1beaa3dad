"""Speed of exported models beside Hugging Face's under PyTorch.

    python tests/benchmarks/export.py --peer .venv-interop/bin/python

A classifier of base size with random weights, sequences of 128 pieces, on `CORES` cores: the
latency of one sequence and the throughput of batches of 32. The peer is
AlbertForSequenceClassification of transformers in inference mode, in the environment that
`make test-interop` makes; without --peer it is left out. All take turns, `ROUNDS` times, each in a
process of its own; medians count.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pretrain import peer_config, turn_of

ROUNDS = 3
CORES = 2
PRESET, LENGTH, NUM_LABELS = "base_v2", 128, 2
BATCH_SIZES = (1, 32)
SECONDS_PER_TURN = 10.0
FORMATS = ("saved_model", "onnx", "onnx_int8", "litert")

Run = Callable[[dict[str, np.ndarray]], Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", help="Python of an environment with torch and transformers")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)  # what a turn starts
    arguments = parser.parse_args()
    if arguments.worker:
        print(seconds_per_batch(**json.loads(arguments.worker)))
        return
    with tempfile.TemporaryDirectory() as root:
        for name in arguments.formats:
            write_model(name, Path(root) / name)
        for batch_size in BATCH_SIZES:
            compare(arguments.formats, arguments.peer, Path(root), batch_size)


def compare(formats: list[str], peer: str | None, root: Path, batch_size: int) -> None:
    """Let all take turns at a batch size and print what came out."""
    contestants = [(sys.executable, name) for name in formats]
    if peer:
        contestants.append((peer, "peer"))
    seconds: dict[str, list[float]] = {}
    for _, (python, name) in itertools.product(range(ROUNDS), contestants):
        work = {"name": name, "folder": str(root / name), "batch_size": batch_size}
        seconds.setdefault(name, []).append(turn_of(__file__, python, work))
    print(f"\n{PRESET}, {batch_size} x {LENGTH}, {CORES} cores")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        speed = f"{1e3 * median:,.1f} ms, {batch_size / median:,.1f} sequences/s"
        times = f", {medians['peer'] / median:.2f} times the peer" if peer else ""
        print(f"  {name}: {speed}{times}")


def write_model(name: str, folder: Path) -> None:
    """Export a classifier with random weights in one of the formats."""
    from albert_core.checkpoints import Checkpoint
    from albert_core.model import AlbertForSequenceClassification
    from albert_core.model.weights import as_arrays, weights_by_name
    from albert_core.presets import preset

    config = preset(PRESET, vocab_size=30_000)
    model = AlbertForSequenceClassification(config, num_labels=NUM_LABELS)
    weights = as_arrays(weights_by_name(model))
    folder.mkdir()
    write, _ = format_functions(name)
    write(Checkpoint(config=config, weights=weights, source="random weights"), folder)


def format_functions(name: str) -> tuple[Callable[..., None], Callable[[Path], Run]]:
    """Return what writes a format and what opens it."""
    if name == "saved_model":
        from albert_core.exports.saved_model import open_saved_model, write_saved_model

        return write_saved_model, open_saved_model
    if name == "litert":
        from albert_core.exports.litert import open_litert, write_litert

        return write_litert, lambda folder: open_litert(folder, num_threads=CORES)
    from albert_core.exports.onnx import open_onnx, write_onnx

    def write(checkpoint: Any, folder: Path) -> None:
        write_onnx(checkpoint, folder, quantized=name == "onnx_int8")

    return write, lambda folder: open_onnx(folder, num_threads=CORES)


def seconds_per_batch(*, name: str, folder: str, batch_size: int) -> float:
    """Return the median time of a batch, in seconds, on the first cores of this process."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    run = open_peer() if name == "peer" else format_functions(name)[1](Path(folder))
    rng = np.random.default_rng(0)
    shape = (batch_size, LENGTH)
    batch = {
        "input_ids": rng.integers(5, 30_000, shape, dtype="int32"),
        "input_mask": np.ones(shape, "int32"),
        "segment_ids": np.zeros(shape, "int32"),
    }
    for _ in range(3):
        run(batch)
    times = []
    started = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - started < SECONDS_PER_TURN:
        begun = time.perf_counter()
        run(batch)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def open_peer() -> Run:
    """Return Hugging Face's model, from arrays to an array."""
    import torch
    import transformers

    torch.set_num_threads(CORES)
    config = peer_config(PRESET)
    config.num_labels = NUM_LABELS
    model = transformers.AlbertForSequenceClassification(config).eval()

    def run(batch: dict[str, np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            outputs = model(
                input_ids=torch.from_numpy(batch["input_ids"]),
                attention_mask=torch.from_numpy(batch["input_mask"]),
                token_type_ids=torch.from_numpy(batch["segment_ids"]),
            )
        return outputs.logits.numpy()

    return run


if __name__ == "__main__":
    main()
