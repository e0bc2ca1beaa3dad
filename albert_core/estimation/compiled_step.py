"""Compiles the training step for a slice of TPUs, on a machine without TPUs.

The compiler comes with `jax[tpu]`. It asks the environment what machine it is on, so it runs in
a process of its own: `in_compiler_process`.
"""

import abc
import contextlib
import dataclasses
import importlib.util
import multiprocessing
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Any

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.estimation.accelerators import Accelerator, Slice
from albert_core.estimation.collectives import exchanged_bytes
from albert_core.processes.machine import can_share_semaphores
from albert_core.training.devices import Devices, Precision

# Without these the compiler looks for chips and a metadata server, and fails. With them it takes
# this machine for a host of four chips, and then compiles for any topology.
_ENVIRONMENT = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_MIN_LOG_LEVEL": "4",
    "TPU_STDERR_LOG_LEVEL": "4",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
_GIB = 2**30
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# Two wordings: of the whole program, and of its temporaries alone.
_EXCEEDED = re.compile(r"(?:Used |temporaries \()([\d.]+)([KMGT])\)? (?:of|exceeds)")


DescribeArray = Callable[..., Any]
"""Function of the sizes of an array and its `dtype`, int32 by default, to its description."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepRequest(abc.ABC):
    """A training step to compile.

    Attributes:
        model: The architecture.
        accelerator: What it is compiled for.
    """

    model: AlbertConfig
    accelerator: Accelerator

    @abc.abstractmethod
    def lower(self) -> Any:
        """Return the step traced for the slice, which its `compile()` compiles.

        To be called in a process of `in_compiler_process`, whose precision and random seed it may
        set. The accelerator must be a `Slice`.

        Raises:
            InputError: The step cannot be made with these settings.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompiledStep:
    """A compiled step: its memory, FLOPs and exchange, by the compiler.

    Attributes:
        memory_bytes: Peak use of a chip's memory; where the compiler refused the step for it, what
            its message tells.
        is_within_memory: Whether it fits.
        flops: FLOPs of a chip in a (micro-)batch, loops counted once; 0 if the compiler refused the
            step.
        exchanged_bytes: Bytes a chip sends in a step; 0 if the compiler refused the step.
        seconds: Time it took to trace and compile.
    """

    memory_bytes: float
    is_within_memory: bool
    flops: float
    exchanged_bytes: int
    seconds: float


@contextlib.contextmanager
def in_compiler_process(num_processes: int) -> Iterator[Executor]:
    """Yield an executor whose processes can call `compile_step`; they end with the context.

    Args:
        num_processes: Most steps that are compiled at a time.

    Raises:
        InputError: The compiler is not installed, or the machine has no /dev/shm.
    """
    if importlib.util.find_spec("libtpu") is None:
        raise InputError(
            "albert estimate: the TPU compiler is not installed; expected the package libtpu: "
            "pip install 'albert-pipeline[train,tpu]', from a checkout `make setup-all`"
        )
    if not can_share_semaphores():
        raise InputError(
            "albert estimate: this machine has no /dev/shm, through which its processes work "
            "together; mount one (docker run --shm-size 64m), or estimate on another machine"
        )
    with ProcessPoolExecutor(
        num_processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_prepare_process,
    ) as executor:
        yield executor


def _prepare_process() -> None:
    """Set this process to Keras on JAX on the CPU by its environment, and discard standard error.

    To be called before JAX is imported.
    """
    os.environ.update(_ENVIRONMENT)
    # The libraries print warnings on the file descriptor itself; errors are raised.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)


def compile_step(request: StepRequest) -> CompiledStep:
    """Compile the training step that `fit` runs, for every chip of the slice; nothing is run.

    Must be called in a process of `in_compiler_process`. It sets the precision and the random seed
    of that process. A step that needs more memory than a chip has is no error: the result says so,
    with 0 FLOPs and bytes exchanged if the compiler refused it.

    Raises:
        InputError: The step cannot be made with its settings.
        jax.errors.JaxRuntimeError: The compiler fails for another reason than memory.
    """
    import jax

    started = time.perf_counter()
    lowered = request.lower()
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if not (exceeded := _EXCEEDED.search(str(error))):
            raise
        return CompiledStep(
            memory_bytes=float(exceeded[1]) * _UNITS[exceeded[2]],
            is_within_memory=False,
            flops=0.0,
            exchanged_bytes=0,
            seconds=time.perf_counter() - started,
        )
    memory = compiled.memory_analysis().peak_memory_in_bytes
    return CompiledStep(
        memory_bytes=memory,
        is_within_memory=memory <= request.accelerator.chip.memory_gib * _GIB,
        flops=compiled.cost_analysis()["flops"],
        exchanged_bytes=exchanged_bytes(compiled.as_text()),
        seconds=time.perf_counter() - started,
    )


def submit_single_layer(request: StepRequest, executor: Executor) -> Future[CompiledStep] | None:
    """Begin to compile the step of the model with one layer, if its layers are scanned.

    They are if there are several layers, in one group, without dropout. The compiler counts the
    body of a scan once. The difference between the two models is the body once more, from which
    follow the FLOPs of all layers (`flops_of_all_layers`).

    Args:
        request: The step of the whole model.
        executor: The executor of `in_compiler_process`.

    Returns:
        The compilation under way; None where the layers are not scanned, and nothing is begun.
    """
    model = request.model
    if model.num_hidden_groups > 1 or model.has_dropout or model.num_hidden_layers == 1:
        return None
    single = dataclasses.replace(model, num_hidden_layers=1)
    return executor.submit(compile_step, dataclasses.replace(request, model=single))


def flops_of_all_layers(
    request: StepRequest, compiled: CompiledStep, compiling_single: Future[CompiledStep] | None
) -> float:
    """Return the FLOPs of a chip in a (micro-)batch with a loop's body as often as it runs.

    Waits for the second compilation.

    Args:
        request: The step.
        compiled: What the compiler said of it.
        compiling_single: What `submit_single_layer` returned for it.
    """
    if compiling_single is None:
        return compiled.flops
    layer_flops = compiled.flops - compiling_single.result().flops
    return compiled.flops + (request.model.num_hidden_layers - 2) * layer_flops


def lower_train_step(
    make_model: Callable[[Devices], Any],
    describe_batch: Callable[[DescribeArray], Any],
    *,
    accelerator: Slice,
    model_parallel_size: int,
    precision: Precision,
    seed: int,
) -> Any:
    """Return a model's training step traced for a slice, to be compiled by its `compile()`.

    Must be called in a process of `in_compiler_process`, whose precision and random seed it sets.

    Args:
        make_model: Returns the compiled Keras model, made for these devices.
        describe_batch: Returns inputs and targets of a batch as shapes, each described by the
            function that it is given, whose rows are divided among the chips, or groups of them.
        accelerator: The slice.
        model_parallel_size: Chips that hold one copy of the weights together.
        precision: What to compute in.
        seed: Seed of the weights, which have no effect on the program.
    """
    import jax
    import keras
    from jax.experimental import topologies
    from jax.sharding import NamedSharding, PartitionSpec

    from albert_core.training.compute import precisions_by_speed
    from albert_core.training.devices import set_precision

    shape = (accelerator.num_chips // model_parallel_size, model_parallel_size)
    options = {"chips_per_host_bounds": [1, 1, 1]} if accelerator.num_chips == 1 else {}
    topology = topologies.get_topology_desc(
        platform="tpu", topology_name=accelerator.topology, **options
    )
    mesh = topologies.make_mesh(topology, shape, ("data", "model"))

    def describe(*sizes: int, dtype: str = "int32") -> Any:
        return jax.ShapeDtypeStruct(
            sizes, dtype, sharding=NamedSharding(mesh, PartitionSpec("data"))
        )

    devices = Devices(
        strategy="data_parallel",
        num_devices=accelerator.num_chips,
        name="TPU",
        model_parallel_size=model_parallel_size,
    )
    set_precision(precisions_by_speed(devices)[0] if precision == "auto" else precision)
    keras.utils.set_random_seed(seed)
    model = make_model(devices)
    model.optimizer.build(model.trainable_variables)
    state = _describe_state(model, mesh)
    shardings = jax.tree.map(lambda spec: spec.sharding, state)
    step = jax.jit(model.train_step, donate_argnums=0, out_shardings=(None, shardings))
    return step.lower(state, describe_batch(describe))


def _describe_state(model: Any, mesh: Any) -> tuple[list[Any], ...]:
    """Return shape and sharding of everything that a step changes, as `train_step` groups it.

    The moments and the average of a weight are sharded as the weight is.
    """
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    from albert_core.training.devices import MODEL_PARALLEL_LAYOUT

    def get_axes(path: str) -> tuple[str | None, ...]:
        layouts = (axes for name, axes in MODEL_PARALLEL_LAYOUT.items() if re.search(name, path))
        return next(layouts, ())

    optimizer = model.optimizer
    # Names of moments and averages begin with the weight's; those of numbers have no slash.
    weight_paths = {
        id(variable): name.rpartition("/")[0]
        for name, variable in optimizer.state_by_name().items()
    }

    def spec(variable: Any) -> Any:
        path = weight_paths.get(id(variable), variable.path)
        sharding = NamedSharding(mesh, PartitionSpec(*get_axes(path)))
        return jax.ShapeDtypeStruct(variable.shape, variable.dtype, sharding=sharding)

    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        optimizer.variables,
        model.metrics_variables,
    )
    return tuple([spec(variable) for variable in variables] for variables in groups)
