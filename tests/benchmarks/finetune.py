"""Speed of fine-tuning beside Hugging Face's, on batches of the lengths a task really has.

    python tests/benchmarks/finetune.py --peer .venv-interop/bin/python

Both train the base model without dropout on the same random sequences: first all padded to the
longest, as the original and most scripts of Hugging Face do, then ours with batches of like length.
Ours computes in the precision that `auto` takes on this machine; the peer in both, with and without
torch.compile, of which the best counts. Lengths are drawn like those of SST-2 (sequence 128, batch
32) and of SQuAD (sequence 384, batch 16); `--batch_size` sets another batch for both, where the
machine is slow. All take turns, three times (`--rounds`); medians count. Without --peer, the
environment of `make test-interop`, only ours is timed. CLOCK=cpu is as in pretrain.py.
"""

import argparse
import dataclasses
import itertools
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.benchmarks.pretrain import clock, peer_config, peer_update, tokens_per_second, turn_of

ROUNDS = 3
NUM_BATCHES = 16
NUM_PADDED_BATCHES = 4  # that are timed: they are all alike
PEER_RATIO = 1.5
VOCAB_SIZE = 30_000


@dataclasses.dataclass(frozen=True)
class Shape:
    """A task's shape: longest sequence, batch, and the lengths that examples have.

    Mean and deviation are those of SST-2's training set and of the windows of SQuAD's dev set with
    the released vocabulary.
    """

    task: str
    sequence_length: int
    batch_size: int
    mean_length: float
    length_deviation: float


SHAPES = (Shape("SST-2", 128, 32, 14.3, 10.6), Shape("SQuAD", 384, 16, 181.6, 69.8))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", help="Python of an environment with torch and transformers")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--task", help="only this task's shape: SST-2 or SQuAD")
    parser.add_argument("--batch_size", type=int, help="examples in a step, of both tasks")
    parser.add_argument("--worker", help=argparse.SUPPRESS)  # what a turn starts
    arguments = parser.parse_args()
    if arguments.worker:
        work = json.loads(arguments.worker)
        function = {"ours": time_ours, "peer": time_peer}[work.pop("who")]
        print(json.dumps(function(Shape(**work.pop("shape")), **work)))
        return
    for shape in SHAPES:
        if arguments.task in (None, shape.task):
            batch_size = arguments.batch_size or shape.batch_size
            shape = dataclasses.replace(shape, batch_size=batch_size)
            compare(shape, arguments.peer, arguments.rounds)


def compare(shape: Shape, peer: str | None, rounds: int) -> None:
    """Let all take turns on a shape and print what came out."""
    contestants: dict[str, tuple[str, dict[str, Any]]] = {
        "ours, padded": (sys.executable, {"who": "ours", "is_bucketed": False}),
        "ours, of like length": (sys.executable, {"who": "ours", "is_bucketed": True}),
    }
    if peer:
        for precision, is_compiled in itertools.product(("bfloat16", "float32"), (False, True)):
            name = f"peer, {precision}{', compiled' if is_compiled else ''}"
            work = {"who": "peer", "precision": precision, "is_compiled": is_compiled}
            contestants[name] = (peer, work)
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _, name in itertools.product(range(rounds), contestants):
        python, work = contestants[name]
        own = {**work, "shape": dataclasses.asdict(shape)}
        rates[name].append(turn_of(__file__, python, own))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"\n{shape.task}, base, sequence {shape.sequence_length}, batch {shape.batch_size}")
    for name, median in medians.items():
        print(f"  {name}: {median:.1f} examples/s")
    if peer:
        theirs = max(median for name, median in medians.items() if name.startswith("peer"))
        ratio = medians["ours, padded"] / theirs
        print(f"  over the peer, padded: {ratio:.2f} times (at least {PEER_RATIO})")
        print(
            f"  with batches of like length: {medians['ours, of like length'] / theirs:.2f} times"
        )


def lengths_of(shape: Shape, count: int) -> Any:
    """Return lengths of examples as the task has them, from a gamma distribution."""
    import numpy as np

    k = (shape.mean_length / shape.length_deviation) ** 2
    drawn = np.random.default_rng(0).gamma(k, shape.mean_length / k, count)
    return np.clip(drawn.round(), 4, shape.sequence_length).astype(int)


def time_ours(shape: Shape, *, is_bucketed: bool) -> float:
    """Return the examples/s of `fit` with our model."""
    import keras
    import numpy as np

    from albert_core.backends import feed_batches
    from albert_core.finetuning.batches import (
        epoch_batches,
        pad_inputs,
        padded_length,
    )
    from albert_core.finetuning.features import Features
    from albert_core.model import AlbertForQuestionAnswering, AlbertForSequenceClassification
    from albert_core.optimizers.factory import make_optimizer
    from albert_core.presets import preset
    from albert_core.training.compute import possible_settings
    from albert_core.training.devices import set_precision, use_devices

    config = preset("base_v2", vocab_size=VOCAB_SIZE)
    jit_compile = keras.backend.backend() == "jax"
    with use_devices("single") as devices:
        compute, *_ = possible_settings(
            devices, config.hidden_size, precision="auto", jit_compile=jit_compile
        )
    set_precision(compute.precision)
    print(compute)
    is_asked = shape.task == "SQuAD"
    model: Any = (
        AlbertForQuestionAnswering(config)
        if is_asked
        else AlbertForSequenceClassification(config, num_labels=2, classifier_dropout=0.0)
    )
    optimizer = make_optimizer(
        "adamw", learning_rate=1e-5, num_train_steps=10_000, num_warmup_steps=0
    )
    model.compile(optimizer=optimizer, jit_compile=jit_compile)
    lengths = lengths_of(shape, NUM_BATCHES * shape.batch_size)
    rng = np.random.default_rng(1)
    features = Features.from_sequences(
        [rng.integers(5, VOCAB_SIZE, length) for length in lengths], lengths, {}
    )
    epoch = epoch_batches(lengths, shape.batch_size, seed=1, epoch=0)
    longest = shape.sequence_length

    def length_of(rows: Any) -> int:
        return padded_length(features, rows, longest) if is_bucketed else longest

    def batch(rows: Any) -> Any:
        zeros = np.zeros(len(rows), np.int32)
        targets = (
            {"start_positions": zeros, "end_positions": zeros}
            if is_asked
            else zeros.astype(np.float32)
        )
        return pad_inputs(features, rows, length_of(rows)), targets

    def update(rows: Sequence[Any]) -> None:
        batches = feed_batches(lambda: map(batch, rows))
        model.fit(batches, steps_per_epoch=len(rows), epochs=1, verbose=0)

    update(list({length_of(rows): rows for rows in epoch}.values()))  # compiles every length
    if not is_bucketed:
        epoch = epoch[:NUM_PADDED_BATCHES]
    started = clock()
    update(epoch)
    return len(epoch) * shape.batch_size / (clock() - started)


def time_peer(shape: Shape, *, precision: str, is_compiled: bool) -> float:
    """Return the examples/s of Hugging Face's model, with AdamW, on padded batches."""
    import numpy as np
    import torch
    import transformers

    config = peer_config("base_v2")
    is_asked = shape.task == "SQuAD"
    kind = (
        transformers.AlbertForQuestionAnswering
        if is_asked
        else transformers.AlbertForSequenceClassification
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = kind(config).to(device).train()
    lengths = lengths_of(shape, shape.batch_size)
    columns = np.arange(shape.sequence_length)
    zeros = torch.zeros(shape.batch_size, dtype=torch.long, device=device)
    targets = {"start_positions": zeros, "end_positions": zeros} if is_asked else {"labels": zeros}
    ids = np.random.default_rng(1).integers(5, VOCAB_SIZE, (shape.batch_size, len(columns)))
    inputs = {
        "input_ids": torch.from_numpy(ids).to(device),
        "attention_mask": torch.from_numpy((columns < lengths[:, None]).astype(int)).to(device),
        **targets,
    }
    update = peer_update(model, inputs, device, is_compiled=is_compiled, precision=precision)
    return tokens_per_second(update, shape.batch_size)


if __name__ == "__main__":
    main()
