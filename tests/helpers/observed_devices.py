"""Which part of a batch each device computes, noted by the encoder while it trains or predicts.

Losses and scores are the same where a batch is spread over devices and where every device computes
all of it, so that they do not tell one from the other.
"""

import contextlib
import functools
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import keras

# What `albert` says last on standard error, before the rows as JSON.
SAID = "rows of devices: "
# Code for a process of its own that runs `albert` with its arguments.
OBSERVED_ALBERT = "from tests.helpers.observed_devices import run_albert; run_albert()"


@contextlib.contextmanager
def observed_rows() -> Iterator[Callable[[], Any]]:
    """Yield a function that returns what encoders inside have computed so far.

    Under JAX a list of (devices, rows of each, rows of the batch), each once, as the compiler
    divides the batches; under TensorFlow the number of all rows that each replica has computed.
    """
    from albert_core.model.encoder import AlbertEncoder

    is_jax = keras.backend.backend() == "jax"
    note, result = _watch_jax() if is_jax else _watch_tensorflow()
    call = AlbertEncoder.call

    @functools.wraps(call)
    def noted_call(self: Any, input_ids: Any, *arguments: Any, **named: Any) -> Any:
        note(input_ids)
        return call(self, input_ids, *arguments, **named)

    AlbertEncoder.call = noted_call
    try:
        with _no_compiled_programs() if is_jax else contextlib.nullcontext():
            yield result
    finally:
        AlbertEncoder.call = call


def run_albert() -> None:
    """Run `albert` with this process's arguments, and say at the end what each device computed."""
    from pipeline.cli.main import main

    with observed_rows() as rows:
        status = main()
    print(f"{SAID}{json.dumps(rows())}", file=sys.stderr)
    sys.exit(status)


def rows_said(said: str) -> Any:
    """Return the rows that `run_albert` said on standard error."""
    return json.loads(said.rpartition(SAID)[2].splitlines()[0])


def _watch_jax() -> tuple[Callable[[Any], None], Callable[[], Any]]:
    import jax

    seen: set[tuple[int, int, int]] = set()

    def note(ids: Any) -> None:
        ids = ids if isinstance(ids, jax.Array) else jax.numpy.asarray(ids)
        shape = ids.shape

        def add(sharding: Any) -> None:
            seen.add((len(sharding.device_set), sharding.shard_shape(shape)[0], shape[0]))

        jax.debug.inspect_array_sharding(ids, callback=add)

    return note, lambda: sorted(seen)


def _watch_tensorflow() -> tuple[Callable[[Any], None], Callable[[], Any]]:
    import tensorflow as tf

    num_rows: Counter[int] = Counter()

    def add(replica: Any, rows: Any) -> None:
        num_rows[int(replica)] += int(rows)

    def note(ids: Any) -> None:
        context = tf.distribute.get_replica_context()
        replica = 0 if context is None else context.replica_id_in_sync_group
        tf.numpy_function(add, [replica, tf.shape(ids)[0]], [])

    return note, lambda: [rows for _, rows in sorted(num_rows.items())]


@contextlib.contextmanager
def _no_compiled_programs() -> Iterator[None]:
    """Let JAX compile everything anew: a program from its folder of compiled ones notes nothing."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    folder = jax.config.jax_compilation_cache_dir

    def use(folder: str | None) -> None:
        jax.config.update("jax_compilation_cache_dir", folder)
        compilation_cache.reset_cache()

    use(None)
    try:
        yield
    finally:
        use(folder)
