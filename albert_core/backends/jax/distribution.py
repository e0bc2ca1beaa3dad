"""Devices under JAX, and how they share a batch and the weights."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import jax
import keras

from albert_core.errors import InputError
from albert_core.training.devices import (
    MODEL_PARALLEL_LAYOUT,
    Devices,
    StrategyName,
    is_multi_process,
)

STRATEGIES: tuple[StrategyName, ...] = ("single", "data_parallel", "model_parallel")

_XLA_FLAGS = "--xla_gpu_enable_triton_gemm=false --xla_gpu_dot_merger_threshold_mb=0"


@contextlib.contextmanager
def use_devices(strategy: StrategyName, model_parallel_size: int, prefix: str) -> Iterator[Devices]:
    """Let models made inside be trained on the devices of a strategy; yield what these are.

    Keras's distribution is set, and at the end the one of before is restored. XLA's flags, and the
    connection to other processes where the environment names several, stay.

    Args:
        strategy: One of `STRATEGIES` (not checked here), `single` being the first device; or
            `auto`: `data_parallel` over every device, `single` if there is one.
        model_parallel_size: Devices that hold one copy of the weights together; 1 for `single`.
        prefix: What the names of these settings begin with, for messages.

    Raises:
        InputError: The devices of all processes, or of each, do not divide by
            `model_parallel_size`; or there are several processes with `single`.
    """
    _set_xla_flags()
    if is_multi_process() and not jax.distributed.is_initialized():
        # It would take SIGTERM for itself, which then nobody else hears of.
        jax.config.update("jax_enable_preemption_service", False)
        keras.distribution.initialize()  # before anything asks JAX for its devices
    devices = jax.devices()
    why = ""
    if strategy == "auto":
        strategy = "data_parallel" if len(devices) > 1 else "single"
        why = f"there are {len(devices)}" if len(devices) > 1 else "there is one"
    if strategy == "single":
        if jax.process_count() > 1:
            # Each would train a model of its own on its rows of every batch.
            raise InputError(
                f"{prefix}strategy: got single with {jax.process_count()} processes, expected auto "
                "or data_parallel"
            )
        devices = devices[:1]
    if len(devices) % model_parallel_size:
        raise InputError(
            f"{prefix}model_parallel_size: got {model_parallel_size}, expected a divisor of "
            f"the {len(devices)} devices"
        )
    # Each process gives its own rows of a batch, which those of one group would have to share.
    if jax.process_count() > 1 and jax.local_device_count() % model_parallel_size:
        raise InputError(
            f"{prefix}model_parallel_size: got {model_parallel_size}, expected a divisor of the "
            f"{jax.local_device_count()} devices of each of {jax.process_count()} processes"
        )
    before = keras.distribution.distribution()
    if strategy != "single":
        keras.distribution.set_distribution(_make_distribution(model_parallel_size))
    try:
        yield Devices(
            strategy=strategy,
            num_devices=len(devices),
            name=devices[0].device_kind,
            model_parallel_size=model_parallel_size,
            num_processes=jax.process_count(),
            process_index=jax.process_index(),
            why=why,
        )
    finally:
        keras.distribution.set_distribution(before)


def _set_xla_flags() -> None:
    """Put flags for NVIDIA GPUs in front of those in XLA_FLAGS, where a later one wins.

    No effect on other devices, nor once JAX has looked for its devices. A second call adds nothing.
    """
    # Left alone, XLA times Triton kernels of its own against cuBLAS, and wherever cuBLAS wins it
    # adds the bias in a pass of its own; and it joins some products at the price of copies.
    # docs/benchmarks.md has what both are worth.
    given = os.environ.get("XLA_FLAGS", "")
    if _XLA_FLAGS not in given:
        os.environ["XLA_FLAGS"] = f"{_XLA_FLAGS} {given}".rstrip()


def first_device() -> Devices:
    """Return the device that Keras uses outside `use_devices`."""
    return Devices(strategy="single", num_devices=1, name=jax.devices()[0].device_kind)


def accelerator_memory_bytes() -> int | None:
    """Return the memory that a process may use of the first device; None on a CPU."""
    statistics = jax.devices()[0].memory_stats() or {}
    return statistics.get("bytes_limit")


def _make_distribution(model_parallel_size: int) -> Any:
    """Return data parallelism over all devices, or over groups of them that cut the weights.

    Args:
        model_parallel_size: Devices of a group; 1 for none. Their number must be a multiple of it.
    """
    # Records are read for each process by its rows already: Keras must not shard them again.
    if model_parallel_size == 1:
        return keras.distribution.DataParallel(auto_shard_dataset=False)
    names = keras.distribution.list_devices()
    shape = (len(names) // model_parallel_size, model_parallel_size)
    mesh = keras.distribution.DeviceMesh(shape, ["data", "model"], names)
    layout = keras.distribution.LayoutMap(mesh)
    for pattern, axes in MODEL_PARALLEL_LAYOUT.items():
        # Keras compares a pattern with the whole path of a variable; one that fits nothing is no
        # error, and every device would hold all weights.
        layout[f".*{pattern}"] = axes
    return keras.distribution.ModelParallel(
        layout_map=layout, batch_dim_name="data", auto_shard_dataset=False
    )
