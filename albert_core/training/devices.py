"""The devices that train, how they share the work, and the precision they compute in.

What depends on the backend is in `distribution.py` of `albert_core.backends`. Importing this module
imports neither Keras nor a backend: settings and the pipeline's definition name strategies, too.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Literal

from albert_core.errors import InputError
from albert_core.training.batch_division import rows_of_process

StrategyName = Literal["auto", "single", "mirrored", "tpu", "data_parallel", "model_parallel"]
Precision = Literal["auto", "float32", "bfloat16"]

# Which axis of a block's kernels and biases model parallelism cuts over the devices. The first
# product of each pair is cut by its outputs (heads, the feed-forward's width), the second by its
# inputs, so that devices exchange data once a pair: when they sum the second one's results.
MODEL_PARALLEL_LAYOUT: Mapping[str, tuple[str | None, ...]] = {
    # The biases of the second ones are whole: they are added once, after that sum.
    r"self.(query|key|value).kernel": (None, "model"),
    r"self.(query|key|value).bias": ("model",),
    r"attention_1.output.dense.kernel": ("model", None),
    r"intermediate.dense.kernel": (None, "model"),
    r"intermediate.dense.bias": ("model",),
    r"intermediate.output.dense.kernel": ("model", None),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Devices:
    """The devices of a run, as `use_devices` chose them.

    Attributes:
        strategy: How the devices share the work.
        num_devices: Devices of all processes.
        name: The driver's name of one of them, for example `NVIDIA H100 80GB HBM3` or `CPU`.
        model_parallel_size: Devices that hold one copy of the weights together.
        num_processes: Processes that train together.
        process_index: Index of this process among them.
        why: Reason for the strategy, where `auto` chose it.
    """

    strategy: StrategyName
    num_devices: int
    name: str
    model_parallel_size: int = 1
    num_processes: int = 1
    process_index: int = 0
    why: str = ""

    @property
    def num_data_parallel(self) -> int:
        """Number of parts that a batch is divided into, one for each copy of the weights."""
        return self.num_devices // self.model_parallel_size

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the results."""
        return self.process_index == 0

    def rows_of_process(self, num_rows: int) -> slice:
        """Return the rows of a batch that this process reads; `num_rows` counts those of all."""
        return rows_of_process(
            num_rows, process_index=self.process_index, num_processes=self.num_processes
        )

    def __str__(self) -> str:
        processes = f" in {self.num_processes} processes" if self.num_processes > 1 else ""
        plural = "s" if self.num_devices > 1 else ""
        why = f" ({self.why})" if self.why else ""
        return f"{self.strategy} on {self.num_devices} {self.name} device{plural}{processes}{why}"


@contextlib.contextmanager
def use_devices(
    strategy: StrategyName, *, model_parallel_size: int = 1, prefix: str = "pretraining."
) -> Iterator[Devices]:
    """Let models made inside be trained on the devices of a strategy; yield these devices.

    With JAX several processes find each other by `KERAS_DISTRIBUTION_JOB_ADDRESSES`,
    `KERAS_DISTRIBUTION_NUM_PROCESSES` and `KERAS_DISTRIBUTION_PROCESS_ID`; on a TPU slice of
    several hosts by what the slice tells them. Their connection, XLA's flags, and a TPU that
    TensorFlow has set up stay after the end.

    Args:
        strategy: `auto` takes every device, `single` the first. With TensorFlow: `mirrored` (GPUs
            of a machine; without any, its logical CPUs) or `tpu`. With JAX: `data_parallel`, or
            `model_parallel`, which also cuts the weights.
        model_parallel_size: Devices that hold one copy of the weights together.
        prefix: What the names of these settings begin with, for messages.

    Raises:
        InputError: The backend has no such strategy, the devices do not divide by
            `model_parallel_size`, or strategy or backend are not for several processes.
    """
    import keras

    from albert_core.backends import distribution

    if strategy not in ("auto", *distribution.STRATEGIES):
        raise InputError(
            f"{prefix}strategy: got {strategy}, expected with the {keras.backend.backend()} "
            f"backend auto, {', '.join(distribution.STRATEGIES)}; KERAS_BACKEND chooses the backend"
        )
    if (model_parallel_size > 1) != (strategy == "model_parallel"):
        raise InputError(
            f"{prefix}model_parallel_size: got {model_parallel_size} with strategy {strategy}, "
            "expected 2 or more with model_parallel and 1 with all others"
        )
    with distribution.use_devices(strategy, model_parallel_size, prefix) as devices:
        yield devices


def is_led_by_another() -> bool:
    """Tell whether this is one of several processes that train together, but not the first.

    Read from the environment, because the step runner must know before Keras is imported.
    """
    return is_multi_process() and _get_process_index() > 0


def is_multi_process() -> bool:
    """Tell whether the environment, set by hand or by a TPU slice, names several processes."""
    # A slice of one host names it, too: only a list of several is more than one process.
    is_set_by_hand = "KERAS_DISTRIBUTION_JOB_ADDRESSES" in os.environ
    return is_set_by_hand or "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")


def _get_process_index() -> int:
    """Return this process's index by the environment: Keras's, or the TPU slice's, or 0."""
    index_in_slice = os.environ.get("TPU_WORKER_ID", "0")
    return int(os.environ.get("KERAS_DISTRIBUTION_PROCESS_ID", index_in_slice))


@contextlib.contextmanager
def use_precision(precision: str) -> Iterator[None]:
    """Let models made inside compute in `float32` or `bfloat16`, as by `set_precision`.

    The policy is global: afterwards, also after an error, it is float32, so that what the process
    does next does not compute in bfloat16.
    """
    import keras

    try:
        set_precision(precision)
        yield
    finally:
        keras.config.set_dtype_policy("float32")


def set_precision(precision: str) -> None:
    """Set the precision of models made from now on: `bfloat16`, or for any other value float32.

    With bfloat16, layers compute in it; weights, moments and losses stay in float32, and no loss
    scale is needed.
    """
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
