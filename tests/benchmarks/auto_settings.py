"""`auto` beside all settings by hand: precision and XLA of pretraining, fine-tuning and prediction.

    python tests/benchmarks/auto_settings.py
    ONEDNN_MAX_CPU_ISA=AVX512_CORE python tests/benchmarks/auto_settings.py

The second command has oneDNN leave out the instructions for bfloat16, as an older CPU has none.
Every way to compute is a model in this process; all take turns, `--rounds` times, 0.4 seconds each,
on batches of full length that are there already. Medians count, in milliseconds a step of wall
time, and of the time of all cores together, which other programs disturb less; the least wall time
stands beside them. `auto` is one of these ways: the one that the program chooses. It is to be at
most 3 % slower than the best. The backend is that of KERAS_BACKEND.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from albert_core.training.compute import ComputeSettings, Purpose, possible_settings
from albert_core.training.devices import Devices, use_devices, use_precision
from tests.benchmarks.pretrain import Shape, examples, repeated

ROUNDS = 7
SECONDS_PER_TURN = 0.4
MOST_STEPS = 50  # that are timed to choose
BAR = 1.03

Update = Callable[[int], None]
"""Function that makes so many steps and waits for the last."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """What is computed: a kind of work with a model, and batches of one shape.

    Attributes:
        kind: `pretraining`, `fine-tuning` or `prediction`.
        model: Name of the model, for the table.
        preset: The model's preset.
        overrides: What differs from it.
        vocab_size: Size of its vocabulary.
        batch_size: Sequences in a step.
        length: Tokens in each.
        num_predictions: Predicted tokens in each, of pretraining.
    """

    kind: str
    model: str
    preset: str
    overrides: Mapping[str, int] = dataclasses.field(default_factory=dict)
    vocab_size: int = 30_000
    batch_size: int
    length: int
    num_predictions: int = 0

    def __str__(self) -> str:
        return f"{self.kind}, {self.model}, {self.batch_size} x {self.length}"


TINIEST: dict[str, Any] = {
    "model": "half of demo.yaml",
    "preset": "tiny",
    "vocab_size": 4000,
    "overrides": {"hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 128},
}
DEMO: dict[str, Any] = {"model": "demo.yaml", "preset": "tiny", "vocab_size": 4000}
SMALL: dict[str, Any] = {
    "model": "small.yaml",
    "preset": "small",
    "vocab_size": 8000,
    "overrides": {
        "hidden_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
    },
}
BASE: dict[str, Any] = {"model": "base_v2", "preset": "base_v2"}
WORKS = (
    Work(kind="pretraining", **DEMO, batch_size=64, length=32, num_predictions=5),
    Work(kind="pretraining", **SMALL, batch_size=32, length=64, num_predictions=13),
    Work(kind="pretraining", **TINIEST, batch_size=64, length=32, num_predictions=5),
    Work(kind="pretraining", **BASE, batch_size=4, length=128, num_predictions=20),
    Work(kind="fine-tuning", **DEMO, batch_size=32, length=32),
    Work(kind="fine-tuning", **TINIEST, batch_size=32, length=32),
    Work(kind="fine-tuning", **SMALL, batch_size=32, length=64),
    Work(kind="fine-tuning", **BASE, batch_size=8, length=64),
    Work(kind="prediction", **DEMO, batch_size=64, length=32),
    Work(kind="prediction", **SMALL, batch_size=1, length=32),
    Work(kind="prediction", **SMALL, batch_size=64, length=64),
    Work(kind="prediction", **BASE, batch_size=1, length=32),
    Work(kind="prediction", **BASE, batch_size=8, length=64),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--only", nargs="+", default=[""], help="only work whose name has one of these texts in it"
    )
    arguments = parser.parse_args()
    for work in WORKS:
        if any(text in str(work) for text in arguments.only):
            compare(work, arguments.rounds)


def compare(work: Work, rounds: int) -> None:
    """Let all ways take turns on a work, and print what came out and which of them is `auto`."""
    with use_devices("single") as devices:
        chosen = choose(work, devices)
        by_hand = list(ways(work))
        measures = measure([new_update(work, one, devices) for one in by_hand], rounds)
    print(f"\n{work} on {devices.name}")
    for one, times_s in zip(by_hand, measures, strict=True):
        wall_ms, least_ms, core_ms = (1000 * time_s for time_s in times_s)
        print(f"  {wall_ms:8.2f} ms, least {least_ms:8.2f}, cores {core_ms:8.2f}  {one}")
    best = [min(column) for column in zip(*measures, strict=True)]
    of_auto = measures[by_hand.index(chosen)]
    wall, least, cores = (one / two for one, two in zip(of_auto, best, strict=True))
    print(
        f"  auto: {chosen}; over the best (at most {BAR}): {wall:.3f}, least {least:.3f}, "
        f"cores {cores:.3f}",
        flush=True,
    )


def ways(work: Work) -> Iterator[ComputeSettings]:
    """Yield all settings that can be given by hand."""
    from albert_core.backends import JITS_VARYING_LENGTHS

    only = () if JITS_VARYING_LENGTHS or work.kind != "pretraining" else (True,)
    for precision in ("float32", "bfloat16"):
        for jit_compile in (JITS_VARYING_LENGTHS, *only):
            yield ComputeSettings(precision=precision, jit_compile=jit_compile)


def choose(work: Work, devices: Devices) -> ComputeSettings:
    """Return what `auto` chooses; where it would time steps, with the functions it does it by."""
    from albert_core.backends import JITS_VARYING_LENGTHS
    from albert_core.progress import quiet
    from albert_core.training.timed_steps import TimedTraining, time_settings

    jit_compile = None if work.kind == "pretraining" else JITS_VARYING_LENGTHS
    purpose: Purpose = "training"
    if work.kind == "prediction":
        purpose = "batches" if work.batch_size > 1 else "single_texts"
    possible = possible_settings(
        devices,
        model_config(work).hidden_size,
        precision="auto",
        jit_compile=jit_compile,
        purpose=purpose,
    )
    if len(possible) == 1 or work.kind == "prediction":  # which times nothing
        return possible[0]

    def new_training(compute: ComputeSettings) -> TimedTraining:
        model, batch = new_model(work, compute, devices)
        return TimedTraining(model, lambda: repeated(batch, MOST_STEPS))

    return time_settings(possible, new_training, seed=0, progress=quiet)


def measure(updates: Sequence[Update], rounds: int) -> list[tuple[float, float, float]]:
    """Return seconds of a step of each: median and least wall time, median of all cores."""
    counts = []
    for update in updates:
        update(1)  # compiles
        started = time.perf_counter()
        update(2)
        counts.append(max(1, int(2 * SECONDS_PER_TURN / (time.perf_counter() - started))))
    wall_s: list[list[float]] = [[] for _ in updates]
    core_s: list[list[float]] = [[] for _ in updates]
    for _ in range(rounds):
        for index, (update, count) in enumerate(zip(updates, counts, strict=True)):
            started, core_started = time.perf_counter(), time.process_time()
            update(count)
            wall_s[index].append((time.perf_counter() - started) / count)
            core_s[index].append((time.process_time() - core_started) / count)
    return [
        (statistics.median(its_wall_s), min(its_wall_s), statistics.median(its_core_s))
        for its_wall_s, its_core_s in zip(wall_s, core_s, strict=True)
    ]


def new_update(work: Work, compute: ComputeSettings, devices: Devices) -> Update:
    """Return what makes steps of a new model that computes as given."""
    from albert_core.model_function import compiled_function

    model, batch = new_model(work, compute, devices)
    if work.kind == "prediction":
        run, (inputs, _) = compiled_function(model), batch

        def predict(times: int) -> None:
            for _ in range(times):
                run(inputs)

        return predict
    return lambda times: model.fit(
        repeated(batch, times), steps_per_epoch=times, epochs=1, verbose=0
    )


def new_model(work: Work, compute: ComputeSettings, devices: Devices) -> tuple[Any, Any]:
    """Return a compiled model that computes as given, and a batch of inputs and targets."""
    import numpy as np

    from albert_core.model import AlbertForSequenceClassification
    from albert_core.optimizers.factory import make_optimizer
    from albert_core.pretraining.compilation import compiled_model
    from albert_core.pretraining.config import PretrainingConfig

    shape = Shape(work.preset, work.batch_size, work.length, max(work.num_predictions, 1))
    batch = examples(shape, work.vocab_size)
    inputs = {name: batch.pop(name) for name in list(batch)[:4]}
    config = model_config(work)
    if work.kind == "pretraining":
        settings = PretrainingConfig(batch_size=work.batch_size, **compute.recorded())
        with use_precision(compute.precision):
            phases = settings.resolved_phases(work.length)
            return compiled_model(config, settings, phases, devices), (inputs, batch)
    del inputs["masked_lm_positions"]
    with use_precision(compute.precision):
        model = AlbertForSequenceClassification(config, num_labels=2)
    optimizer = make_optimizer(
        "adamw", learning_rate=1e-5, num_train_steps=9999, num_warmup_steps=0
    )
    model.compile(optimizer=optimizer, jit_compile=compute.jit_compile)
    return model, (inputs, np.zeros(work.batch_size, np.float32))


def model_config(work: Work) -> Any:
    """Return the architecture."""
    from albert_core.presets import preset

    return preset(work.preset, vocab_size=work.vocab_size, **work.overrides)


if __name__ == "__main__":
    main()
