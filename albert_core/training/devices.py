"""Which devices train, and how they share the work."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from albert_core.errors import InputError

StrategyName = Literal["auto", "single", "mirrored", "tpu", "data_parallel", "model_parallel"]
Precision = Literal["auto", "float32", "bfloat16"]

_OF_BACKEND: Mapping[str, tuple[StrategyName, ...]] = {
    "tensorflow": ("single", "mirrored", "tpu"),
    "jax": ("single", "data_parallel", "model_parallel"),
}

# How model parallelism cuts the block's kernels and biases: which axis lies over the devices of
# the `model` axis. Heads and the feed-forward's width are spread; one sum follows each pair.
MODEL_PARALLEL_LAYOUT: Mapping[str, tuple[str | None, ...]] = {
    r"self.(query|key|value).kernel": (None, "model"),
    r"self.(query|key|value).bias": ("model",),
    r"attention_1.output.dense.kernel": ("model", None),
    r"intermediate.dense.kernel": (None, "model"),
    r"intermediate.dense.bias": ("model",),
    r"intermediate.output.dense.kernel": ("model", None),
}


_PRODUCT_FLAGS = "--xla_gpu_enable_triton_gemm=false --xla_gpu_dot_merger_threshold_mb=0"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Devices:
    """What a run trains on.

    Attributes:
        strategy: How the devices share the work.
        num_devices: Devices of all processes.
        name: What the driver calls one of them.
        model_parallel_size: Devices that hold one copy of the weights together.
        num_processes: Processes that train together.
        process_index: Which of them this is.
        why: Why this strategy, if it was picked.
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
        """Shares a batch is divided into."""
        return self.num_devices // self.model_parallel_size

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the results."""
        return self.process_index == 0

    def __str__(self) -> str:
        processes = f" in {self.num_processes} processes" if self.num_processes > 1 else ""
        plural = "s" if self.num_devices > 1 else ""
        why = f" ({self.why})" if self.why else ""
        return f"{self.strategy} on {self.num_devices} {self.name} device{plural}{processes}{why}"


@contextlib.contextmanager
def use_devices(strategy: StrategyName, *, model_parallel_size: int = 1) -> Iterator[Devices]:
    """Let models made inside be trained on all devices there are.

    With JAX several processes find each other by `KERAS_DISTRIBUTION_JOB_ADDRESSES`,
    `KERAS_DISTRIBUTION_NUM_PROCESSES` and `KERAS_DISTRIBUTION_PROCESS_ID`; on a TPU slice of
    several hosts by what the slice tells them.

    Args:
        strategy: `auto` takes every device, `single` the first. Of TensorFlow: `mirrored` (GPUs of
            a machine; without any, its logical CPUs) or `tpu`. Of JAX: `data_parallel`, or
            `model_parallel`, which also cuts the weights.
        model_parallel_size: Devices that hold one copy of the weights together.

    Raises:
        InputError: The backend or the devices cannot do that.
    """
    import keras

    backend = keras.backend.backend()
    if strategy != "auto" and strategy not in _OF_BACKEND[backend]:
        raise InputError(
            f"pretraining.strategy: got {strategy}, expected with the {backend} backend auto, "
            f"{', '.join(_OF_BACKEND[backend])}; KERAS_BACKEND chooses the backend"
        )
    if (model_parallel_size > 1) != (strategy == "model_parallel"):
        raise InputError(
            f"pretraining.model_parallel_size: got {model_parallel_size} with strategy {strategy}, "
            "expected 2 or more with model_parallel and 1 with all others"
        )
    use = _use_jax if backend == "jax" else _use_tensorflow
    with use(strategy, model_parallel_size) as devices:
        yield devices


@contextlib.contextmanager
def _use_tensorflow(strategy: StrategyName, _: int) -> Iterator[Devices]:
    import tensorflow as tf

    gpus, cpus = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
    why = ""
    if strategy == "auto":
        strategy, why = _pick_tensorflow(len(gpus))
    if strategy == "tpu":
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        distribution: Any = tf.distribute.TPUStrategy(resolver)
        name = "TPU"
    elif strategy == "mirrored":
        distribution = tf.distribute.MirroredStrategy([device.name for device in gpus or cpus])
        name = _tensorflow_name(bool(gpus))
    else:
        yield Devices(strategy="single", num_devices=1, name=_tensorflow_name(bool(gpus)), why=why)
        return
    with distribution.scope():
        num_devices = distribution.num_replicas_in_sync
        yield Devices(strategy=strategy, num_devices=num_devices, name=name, why=why)


def _pick_tensorflow(num_gpus: int) -> tuple[StrategyName, str]:
    if os.environ.get("TPU_NAME"):
        return "tpu", "TPU_NAME is set"
    if num_gpus > 1:
        return "mirrored", f"there are {num_gpus} GPUs"
    return "single", "there is one GPU" if num_gpus else "there is no GPU or TPU"


def _tensorflow_name(has_gpu: bool) -> str:
    import tensorflow as tf

    if not has_gpu:
        return "CPU"
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return details.get("device_name", "GPU")


@contextlib.contextmanager
def _use_jax(strategy: StrategyName, model_parallel_size: int) -> Iterator[Devices]:
    import keras

    _choose_products()
    if _is_one_of_several():
        keras.distribution.initialize()
    import jax

    devices = jax.devices()
    why = ""
    if strategy == "auto":
        strategy = "data_parallel" if len(devices) > 1 else "single"
        why = f"there are {len(devices)}" if len(devices) > 1 else "there is one"
    if strategy == "single":
        devices = devices[:1]
    if len(devices) % model_parallel_size:
        raise InputError(
            f"pretraining.model_parallel_size: got {model_parallel_size}, expected a divisor of "
            f"the {len(devices)} devices"
        )
    before = keras.distribution.distribution()
    if strategy != "single":
        keras.distribution.set_distribution(_jax_distribution(model_parallel_size))
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


def _choose_products() -> None:
    """Let NVIDIA's library compute a GPU's matrix products, each with its bias, as they stand.

    Left alone, XLA times kernels of its own against it, adds the bias in a pass of its own
    wherever the library's wins, and joins some products at the price of copies. What XLA_FLAGS
    says already wins. On other devices this means nothing, nor once JAX has looked for its own.
    """
    given = os.environ.get("XLA_FLAGS", "")
    if _PRODUCT_FLAGS not in given:
        os.environ["XLA_FLAGS"] = f"{_PRODUCT_FLAGS} {given}".rstrip()


def _jax_distribution(model_parallel_size: int) -> Any:
    import keras

    if model_parallel_size == 1:
        return keras.distribution.DataParallel(auto_shard_dataset=False)
    names = keras.distribution.list_devices()
    shape = (len(names) // model_parallel_size, model_parallel_size)
    mesh = keras.distribution.DeviceMesh(shape, ["data", "model"], names)
    layout = keras.distribution.LayoutMap(mesh)
    for pattern, axes in MODEL_PARALLEL_LAYOUT.items():
        layout[pattern] = axes
    return keras.distribution.ModelParallel(
        layout_map=layout, batch_dim_name="data", auto_shard_dataset=False
    )


def is_led_by_another() -> bool:
    """Whether this is one of several processes that train together, but not the first."""
    return _is_one_of_several() and _process_index() > 0


def _is_one_of_several() -> bool:
    """Tell from the environment: as Keras asks for it, or as a TPU slice of many hosts sets it."""
    by_hand = "KERAS_DISTRIBUTION_JOB_ADDRESSES" in os.environ
    return by_hand or "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")


def _process_index() -> int:
    by_slice = os.environ.get("TPU_WORKER_ID", "0")
    return int(os.environ.get("KERAS_DISTRIBUTION_PROCESS_ID", by_slice))


def use_precision(precision: Precision, device_name: str) -> str:
    """Make `precision` that of models made from now on; return the one that `auto` came to.

    bfloat16 computes in it and keeps weights, moments and losses in float32. It needs no loss
    scale. `auto` takes it on accelerators that compute in it faster.
    """
    import keras

    if precision == "auto":
        is_slow = device_name.lower() == "cpu" or any(
            old in device_name for old in ("V100", "T4", "P100", "K80")
        )
        precision = "float32" if is_slow else "bfloat16"
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    return precision
