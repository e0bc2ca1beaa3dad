"""XLA in the processes of tests: compiled with few optimisations, and under JAX each program once.

Compilation is most of what tests cost where XLA is used: models that take milliseconds to run.
"""

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

# By default every fusion passes through MLIR, which under JAX takes longer than all other
# compilation; tests that compile with XLA under TensorFlow take a fifth less without it.
CHEAP_XLA_FLAGS = "--xla_cpu_use_fusion_emitters=false"
# Under TensorFlow these save as much again. JAX is told by a variable of its own, which
# `optimised_compilation` can take back.
_FEW_OPTIMISATIONS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def compile_cheaply() -> None:
    """Set the variables that XLA reads first, and those that JAX does when it is imported.

    For this process and those that it starts, under either backend; what a variable is set to
    already stays. The folder of compiled programs is removed when this process ends.
    """
    is_jax = os.environ.get("KERAS_BACKEND") == "jax"
    flags = CHEAP_XLA_FLAGS if is_jax else f"{CHEAP_XLA_FLAGS} {_FEW_OPTIMISATIONS}"
    os.environ["XLA_FLAGS"] = f"{flags} {os.environ.get('XLA_FLAGS', '')}".rstrip()
    folder = tempfile.mkdtemp(prefix="jax-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    variables = {
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
        "JAX_COMPILATION_CACHE_DIR": folder,
        # Programs of milliseconds are kept, too; by default those that took a second to compile.
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    for name, value in variables.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def optimised_compilation() -> Iterator[None]:
    """Compile as users do, for comparisons in the last digits; without effect under TensorFlow."""
    if os.environ.get("KERAS_BACKEND") != "jax":
        yield
        return
    import jax
    from jax._src import compiler  # nothing public has settings for operations run one by one

    name = "jax_disable_most_optimizations"
    before, get_options = jax.config.read(name), compiler.get_compile_options

    def with_fusion_emitters(*, env_options_overrides: Any, **settings: Any) -> Any:
        overrides = {**(env_options_overrides or {}), "xla_cpu_use_fusion_emitters": True}
        return get_options(env_options_overrides=overrides, **settings)

    jax.clear_caches()  # what is compiled already would be used as it is
    jax.config.update(name, False)
    compiler.get_compile_options = with_fusion_emitters
    try:
        yield
    finally:
        compiler.get_compile_options = get_options
        jax.config.update(name, before)


def inference_function(model: Any) -> Callable[[Mapping[str, np.ndarray]], Any]:
    """Return a function of what a model computes of inputs, compiled once for each shape.

    Worth its compilation where a model is called a dozen times. Compiled, it refuses no ids.
    """
    if os.environ.get("KERAS_BACKEND") != "jax":
        import tensorflow as tf

        return tf.function(lambda inputs: model(inputs, training=False))
    import jax

    def evaluate(trainable: Any, others: Any, inputs: Any) -> Any:
        return model.stateless_call(trainable, others, inputs, training=False)[0]

    compiled = jax.jit(evaluate)

    def compute(inputs: Mapping[str, np.ndarray]) -> Any:
        variables = (model.trainable_variables, model.non_trainable_variables)
        return compiled(*([variable.value for variable in part] for part in variables), inputs)

    return compute
