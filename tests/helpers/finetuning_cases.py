"""Fine-tunings in one process with several virtual devices, which all of a test file's cases share.

Virtual devices must be there before the framework first looks for any, so they need a process.
"""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.observed_devices import observed_rows

# Code for a process of its own, whose arguments are those of `main`.
RUN_CASES = "from tests.helpers.finetuning_cases import main; main()"
# What TensorFlow takes for one device is set by a call, not by the environment.
RUN_CASES_ON_TWO_LOGICAL_CPUS = f"""
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
{RUN_CASES}
"""
# Equal on any devices: dropout draws other masks for other micro-batches.
EXACT = {
    "classifier_dropout": 0.0,
    "num_train_steps": 4,
    "num_evaluations": 2,
    "sequence_length": 32,
    "num_probe_examples": 0,
    "precision": "float32",
}

TEXTS = [f"The baker sold {number} crates of warm bread." for number in range(5)]


class InterruptedHereError(Exception):
    """Stands for a kill between two steps."""


def main() -> None:
    """Fine-tune for each case of a file; the arguments are tasks, model, cases and output."""
    tasks, model, cases, output = (Path(argument) for argument in sys.argv[1:])
    for name, case in json.loads(cases.read_text()).items():
        is_evaluated, is_observed = case.pop("evaluate", False), case.pop("observe", False)
        if "interrupt_at" in case:
            with pytest.raises(InterruptedHereError):
                finetune_case(tasks, model, output / name, **case)
            case["interrupt_at"] = -1
        with _rows_in_file(f"{output / name} rows") if is_observed else contextlib.nullcontext():
            finetune_case(tasks, model, output / name, **case)
        if is_evaluated:
            evaluate_case(tasks / case["task"], output / name, case["settings"])


def evaluate_case(data: Path, model: Path, settings: Mapping[str, Any]) -> None:
    """Evaluate a model on one device, and on those of its settings, into folders beside it.

    Also encode texts with it; what each device computed is in files beside the folders.
    """
    import albert_core
    from components.evaluate.step import evaluate

    names = ("strategy", "model_parallel_size")
    spread = {name: settings[name] for name in names if name in settings}
    for number, devices in (("one", {"strategy": "single"}), ("several", spread)):
        with _rows_in_file(f"{model} rows of scores of {number}"):
            evaluate(model=model, data=data, output=f"{model} scores of {number}", **devices)
        with _rows_in_file(f"{model} rows of vectors of {number}"):
            loaded = albert_core.load(model, precision="float32", **devices)
            np.save(f"{model} vectors of {number}.npy", loaded.encode(TEXTS, batch_size=5))


@contextlib.contextmanager
def _rows_in_file(path: str) -> Iterator[None]:
    """Write into a file what each device has computed inside, as `observed_rows` has it."""
    with observed_rows() as rows:
        yield
    Path(path).write_text(json.dumps(rows()))


def finetune_case(
    tasks: Path,
    model: Path,
    output: Path,
    *,
    task: str,
    settings: Mapping[str, Any],
    num_devices: int | None = None,
    interrupt_at: int = -1,
    kill_at: int = -1,
) -> None:
    """Fine-tune on a tiny task, with the settings `EXACT` and others.

    Args:
        tasks: Folder of the tasks' files.
        model: Pretrained model.
        output: Folder to make.
        task: Name of the task.
        settings: Settings of fine-tuning.
        num_devices: Devices that JAX is shown, the first ones; None: all.
        interrupt_at: Step after which it is interrupted.
        kill_at: Step after which this process kills itself with SIGKILL.
    """
    from albert_core.training.callbacks import progress
    from components.finetune.step import finetune
    from tests.helpers.tiny_tasks import TINY_TASKS, tiny_finetuning

    def interrupt(done: int, total: int, text: str) -> None:
        if done == interrupt_at:
            raise InterruptedHereError
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    if max(interrupt_at, kill_at) >= 0:
        progress._REPORT_EVERY_S = -1.0  # after every step, not only after those that take long
    with _shown_devices(num_devices):
        finetune(
            task=TINY_TASKS[task],
            data=tasks / task,
            pretrained=model,
            initialization="pretrained",
            config=tiny_finetuning(**{**EXACT, **settings}),
            output=output,
            progress=interrupt,
        )


@contextlib.contextmanager
def _shown_devices(number: int | None) -> Iterator[None]:
    """Show JAX's first devices only; None: all."""
    if number is None:
        yield
        return
    import jax

    devices = jax.devices
    jax.devices = lambda *arguments, **named: devices(*arguments, **named)[:number]
    try:
        yield
    finally:
        jax.devices = devices


def losses_and_scores(output: Path) -> tuple[list[float], list[float]]:
    """Return the training losses and the dev scores of all evaluations."""
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    others = {"global_step", "phase", "seconds", "train_loss"}
    scores = [value for row in rows for name, value in row.items() if name not in others]
    return [row["train_loss"] for row in rows], scores
