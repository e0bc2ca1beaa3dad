"""Devices under TensorFlow, and how they share a batch."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from albert_core.errors import InputError
from albert_core.training.devices import Devices, StrategyName, is_multi_process

STRATEGIES: tuple[StrategyName, ...] = ("single", "mirrored", "tpu")


@contextlib.contextmanager
def use_devices(strategy: StrategyName, model_parallel_size: int, prefix: str) -> Iterator[Devices]:
    """Let models made inside be trained on the devices of a strategy; yield what these are.

    `single` is TensorFlow's default: the first GPU, or the CPU without any. `mirrored` is all GPUs,
    or without any all logical CPUs. `tpu` connects this process to the TPU of TPU_NAME and resets
    it; that is not undone at the end.

    Args:
        strategy: One of `STRATEGIES` (not checked here), or `auto`: `tpu` where TPU_NAME is set,
            else `mirrored` with several GPUs, else `single`. Why it is that one is in the
            `Devices`.
        model_parallel_size: Not used: no strategy here cuts the weights.
        prefix: Not used: no setting of that name is refused here.

    Raises:
        InputError: The environment names several processes, which train together under JAX alone.
    """
    if is_multi_process():
        raise InputError(
            "KERAS_BACKEND: got tensorflow where the environment names several processes "
            "(KERAS_DISTRIBUTION_JOB_ADDRESSES or TPU_WORKER_HOSTNAMES), expected jax, with which "
            "they train together"
        )
    gpus, cpus = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
    why = ""
    if strategy == "auto":
        strategy, why = _choose_strategy(len(gpus))
    if strategy == "tpu":
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        distribution: Any = tf.distribute.TPUStrategy(resolver)
        name = "TPU"
    elif strategy == "mirrored":
        # Logical CPUs, where there is no GPU: so several replicas can be tested on any machine.
        distribution = tf.distribute.MirroredStrategy([device.name for device in gpus or cpus])
        name = _get_device_name(bool(gpus))
    else:
        yield dataclasses.replace(first_device(), why=why)
        return
    with distribution.scope():
        num_devices = distribution.num_replicas_in_sync
        yield Devices(strategy=strategy, num_devices=num_devices, name=name, why=why)


def first_device() -> Devices:
    """Return the device that Keras uses outside `use_devices`."""
    has_gpu = bool(tf.config.list_logical_devices("GPU"))
    return Devices(strategy="single", num_devices=1, name=_get_device_name(has_gpu))


def accelerator_memory_bytes() -> int | None:
    """Return the memory that this process may use of the first GPU; None without one."""
    if not tf.config.list_physical_devices("GPU"):
        return None
    # TensorFlow's public functions tell what is used of it alone.
    from tensorflow.python.client import device_lib

    limits = [
        device.memory_limit for device in device_lib.list_local_devices() if "GPU" in device.name
    ]
    return limits[0] if limits else None


def _choose_strategy(num_gpus: int) -> tuple[StrategyName, str]:
    """Return the strategy that uses every device, and why it is that one.

    It is `tpu` if TPU_NAME is in the environment, `mirrored` for several GPUs, else `single`.
    """
    if os.environ.get("TPU_NAME"):
        return "tpu", "TPU_NAME is set"
    if num_gpus > 1:
        return "mirrored", f"there are {num_gpus} GPUs"
    return "single", "there is one GPU" if num_gpus else "there is no GPU or TPU"


def _get_device_name(has_gpu: bool) -> str:
    """Return the driver's name of the first GPU, `GPU` if it tells none, or `CPU` without one."""
    if not has_gpu:
        return "CPU"
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return details.get("device_name", "GPU")
