"""JAX in the processes of tests: compiled with few optimisations, and each program once.

Compilation is most of what tests cost under JAX: a thousand operations of models that take
milliseconds to run.
"""

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator


def compile_cheaply() -> None:
    """Set the variables that JAX reads when it is imported, in tests under JAX.

    For this process and those that it starts; what a variable is set to already stays. The folder
    of compiled programs is removed when this process ends.
    """
    if os.environ.get("KERAS_BACKEND") != "jax":
        return
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

    name = "jax_disable_most_optimizations"
    before = jax.config.read(name)
    jax.clear_caches()  # what is compiled already would be used as it is
    jax.config.update(name, False)
    try:
        yield
    finally:
        jax.config.update(name, before)
