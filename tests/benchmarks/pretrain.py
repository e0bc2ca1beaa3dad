"""Speed of a pretraining update beside Hugging Face's, and beside this machine's matrix products.

    python tests/benchmarks/pretrain.py --peer .venv-interop/bin/python

An update is forward, backward and optimizer without dropout, on batches that are there already.
The peer is AlbertForPreTraining of transformers under PyTorch, in bfloat16 autocast, with and
without torch.compile, in the environment that `make test-interop` makes; without --peer it is left
out. All take turns, `ROUNDS` times; medians count, and of several settings of one side the best.
The rate in FLOP/s is tokens/s times the formula of albert_core.training.flops; the limit is the
largest rate of a bfloat16 matrix product seen in the same run. The backend is KERAS_BACKEND's;
with JAX, TensorFlow is not needed. CLOCK=cpu in the environment tells time by the seconds that the
cores work for a process, which other work on a shared machine moves less than the time of day.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 3
SECONDS_PER_TURN = 15.0
MATRIX_SIZES = {"cpu": (2048, 4096), "gpu": (4096, 8192)}
PRODUCTS_IN_A_ROW = 8


@dataclasses.dataclass(frozen=True)
class Shape:
    """A model and the batches it is trained on."""

    preset: str
    batch_size: int
    sequence_length: int
    num_predictions: int

    def __str__(self) -> str:
        return f"{self.preset}, {self.batch_size} x {self.sequence_length}"


OURS = (
    {"jit_compile": False, "precision": "bfloat16"},
    {"jit_compile": True, "precision": "bfloat16"},
    {"jit_compile": True, "precision": "float32"},
)
OURS_WITH_JAX = ({"jit_compile": True, "precision": "bfloat16"},)
PEERS = ({"is_compiled": False}, {"is_compiled": True})


@dataclasses.dataclass(frozen=True)
class Setup:
    """What is compared on a kind of device, and what we want to reach.

    Attributes:
        shapes: What is trained.
        peers: Settings of the peer.
        peer_ratio: Our rate over the peer's.
        matrix_share: Our rate over that of matrix products.
    """

    shapes: tuple[Shape, ...]
    peers: tuple[Mapping[str, Any], ...]
    peer_ratio: float
    matrix_share: float


ON_CPU = Setup(
    shapes=(Shape("base_v2", 16, 128, 20), Shape("small", 16, 64, 10)),
    peers=PEERS,
    peer_ratio=1.4,
    matrix_share=0.65,
)
ON_GPU = Setup(
    shapes=(
        Shape("base_v2", 256, 128, 20),
        Shape("base_v2", 64, 512, 77),
        Shape("large_v2", 128, 128, 20),
        Shape("large_v2", 32, 512, 77),
    ),
    peers=PEERS[1:],
    peer_ratio=1.3,
    matrix_share=0.5,
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", help="Python of an environment with torch and transformers")
    parser.add_argument("--gpu", action="store_true", help="the shapes and bars meant for a GPU")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--preset", help="only the shapes of this model")
    parser.add_argument("--length", type=int, help="only the shapes of this sequence length")
    parser.add_argument("--worker", help=argparse.SUPPRESS)  # what a turn starts
    arguments = parser.parse_args()
    if arguments.worker:
        work = json.loads(arguments.worker)
        function = {"ours": time_ours, "peer": time_peer, "matrix": time_matrices}[work.pop("who")]
        print(json.dumps(function(**work)))
        return
    setup = ON_GPU if arguments.gpu else ON_CPU
    for shape in setup.shapes:
        is_wanted = arguments.preset in (None, shape.preset)
        if is_wanted and arguments.length in (None, shape.sequence_length):
            compare(shape, arguments.peer, arguments.rounds, setup)


def compare(shape: Shape, peer: str | None, rounds: int, setup: Setup) -> None:
    """Let all take turns on a shape and print what came out."""
    from albert_core.presets import preset
    from albert_core.training.flops import training_flops_per_token

    sizes = dataclasses.asdict(shape)
    settings = OURS_WITH_JAX if os.environ.get("KERAS_BACKEND") == "jax" else OURS
    contestants = [(sys.executable, {"who": "ours", **sizes, **setting}) for setting in settings]
    if peer:
        contestants += [(peer, {"who": "peer", **sizes, **setting}) for setting in setup.peers]
    rates: dict[str, list[float]] = {}
    matrix_rate = 0.0
    for _ in range(rounds):
        matrix_rate = max(matrix_rate, turn(sys.executable, {"who": "matrix"}))
        for python, work in contestants:
            name = ", ".join(str(v) for k, v in work.items() if k not in sizes)
            rates.setdefault(name, []).append(turn(python, work))
    model = preset(shape.preset, vocab_size=30_000)
    flops = training_flops_per_token(model, shape.sequence_length, shape.num_predictions)
    print(f"\n{shape}: {flops / 1e9:.3f} GFLOP a token")
    print(f"  matrix product in bfloat16: {matrix_rate / 1e9:,.0f} GFLOP/s")
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, median in medians.items():
        share = median * flops / matrix_rate
        print(f"  {name}: {median:,.0f} tokens/s, {median * flops / 1e9:,.0f} GFLOP/s, {share:.0%}")
    ours = max(value for name, value in medians.items() if name.startswith("ours"))
    share = ours * flops / matrix_rate
    print(f"  of the matrix rate: {share:.1%} (at least {setup.matrix_share:.0%})")
    if peer:
        theirs = max(value for name, value in medians.items() if name.startswith("peer"))
        print(
            f"  over the peer: {ours / theirs:.2f} times (at least {setup.peer_ratio})", flush=True
        )


def turn(python: str, work: Mapping[str, Any]) -> float:
    """Return what a worker of this file measures in a process of its own."""
    return turn_of(__file__, python, work)


def turn_of(script: str, python: str, work: Mapping[str, Any]) -> float:
    """Return the number that a script's worker prints last."""
    command = [python, script, "--worker", json.dumps(work)]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": path},
    )
    if result.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{result.stderr}")
    return float(result.stdout.splitlines()[-1])


def tokens_per_second(update: Callable[[int], None], tokens: int) -> float:
    """Return the rate of a function that makes so many updates and waits for the last."""
    update(2)
    started = clock()
    update(1)
    seconds = float(os.environ.get("SECONDS_PER_TURN", SECONDS_PER_TURN))
    num_updates = max(3, int(seconds / (clock() - started)))
    started = clock()
    update(num_updates)
    return num_updates * tokens / (clock() - started)


def clock() -> float:
    """Return seconds of the day, or with CLOCK=cpu of this process, as if all cores were its."""
    if os.environ.get("CLOCK") == "cpu":
        return time.process_time() / (os.cpu_count() or 1)
    return time.perf_counter()


def examples(shape: Shape, vocab_size: int) -> dict[str, Any]:
    """Return a batch of random pieces, as frequent as in text by Zipf's law.

    On a GPU the time for the gradient of the embeddings depends on how often pieces repeat.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    frequencies = 1.0 / np.arange(1, vocab_size + 1)

    def draw_pieces(*shape: int) -> Any:
        pieces = rng.choice(vocab_size, shape, p=frequencies / frequencies.sum())
        return pieces.astype("int32")

    size, length, predictions = shape.batch_size, shape.sequence_length, shape.num_predictions
    positions = np.stack([rng.permutation(length)[:predictions] for _ in range(size)])
    return {
        "input_ids": draw_pieces(size, length),
        "input_mask": np.ones((size, length), "int32"),
        "segment_ids": np.repeat([[0, 1]], length // 2, axis=1).repeat(size, 0).astype("int32"),
        "masked_lm_positions": np.sort(positions).astype("int32"),
        "masked_lm_ids": draw_pieces(size, predictions),
        "masked_lm_weights": np.ones((size, predictions), "float32"),
        "sentence_order_labels": rng.integers(0, 2, size, dtype="int32"),
    }


def time_ours(*, jit_compile: bool, precision: Any, **sizes: Any) -> float:
    """Return the tokens/s of `fit` with our model."""
    from albert_core.presets import preset
    from albert_core.pretraining.compilation import compiled_model
    from albert_core.pretraining.config import PretrainingConfig
    from albert_core.training.devices import set_precision, use_devices

    shape = Shape(**sizes)
    config = PretrainingConfig(batch_size=shape.batch_size, jit_compile=jit_compile)
    model_config = preset(shape.preset, vocab_size=30_000)
    batch = examples(shape, model_config.vocab_size)
    inputs = {name: batch.pop(name) for name in list(batch)[:4]}
    with use_devices("single") as devices:
        set_precision(precision)
        phases = config.resolved_phases(shape.sequence_length)
        model = compiled_model(model_config, config, phases, devices)

        def update(times: int) -> None:
            batches = repeated((inputs, batch), times)
            model.fit(batches, steps_per_epoch=times, epochs=1, verbose=0)

        return tokens_per_second(update, shape.batch_size * shape.sequence_length)


def repeated(batch: Any, times: int) -> Any:
    """Return a batch so many times; TensorFlow knows its shapes, as those of records."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return (batch for _ in range(times))
    import tensorflow as tf

    return tf.data.Dataset.from_tensors(batch).repeat(times)


def time_peer(*, is_compiled: bool, **sizes: Any) -> float:
    """Return the tokens/s of Hugging Face's model."""
    import torch
    import transformers

    shape = Shape(**sizes)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = peer_config(shape.preset)
    model = transformers.AlbertForPreTraining(config).to(device).train()
    batch = examples(shape, config.vocab_size)
    labels = torch.full((shape.batch_size, shape.sequence_length), -100)
    labels.scatter_(
        1,
        torch.from_numpy(batch["masked_lm_positions"]).long(),
        torch.from_numpy(batch["masked_lm_ids"]).long(),
    )
    inputs = {
        "input_ids": torch.from_numpy(batch["input_ids"]).long().to(device),
        "attention_mask": torch.from_numpy(batch["input_mask"]).to(device),
        "token_type_ids": torch.from_numpy(batch["segment_ids"]).long().to(device),
        "labels": labels.to(device),
        "sentence_order_label": torch.from_numpy(batch["sentence_order_labels"]).long().to(device),
    }
    update = peer_update(model, inputs, device, is_compiled=is_compiled)
    return tokens_per_second(update, shape.batch_size * shape.sequence_length)


def peer_update(
    model: Any,
    inputs: Mapping[str, Any],
    device: str,
    *,
    is_compiled: bool,
    precision: str = "bfloat16",
) -> Callable[[int], None]:
    """Return a function that makes so many updates of a model of transformers, with AdamW."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    forward = torch.compile(model) if is_compiled else model

    def update(times: int) -> None:
        for _ in range(times):
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
                loss = forward(**inputs).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        loss.item()

    return update


def peer_config(name: str) -> Any:
    """Return transformers' configuration of one of our presets."""
    import transformers

    from albert_core.presets import preset

    ours = preset(name, vocab_size=30_000)
    shared = ("vocab_size", "embedding_size", "hidden_size", "num_hidden_layers")
    more = ("num_attention_heads", "intermediate_size", "max_position_embeddings", "hidden_act")
    values = {field: getattr(ours, field) for field in shared + more}
    return transformers.AlbertConfig(
        **{**values, "hidden_act": "gelu_new"},
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def time_matrices() -> float:
    """Return the largest rate of a bfloat16 matrix product, in FLOP/s."""
    from albert_core.training.devices import set_precision, use_devices
    from albert_core.training.flops import measured_matrix_flops

    with use_devices("single") as devices:
        set_precision("bfloat16")
        sizes = MATRIX_SIZES["cpu" if devices.name.lower() == "cpu" else "gpu"]
        return max(
            measured_matrix_flops(size=size, num_products=PRODUCTS_IN_A_ROW) for size in sizes
        )


if __name__ == "__main__":
    main()
