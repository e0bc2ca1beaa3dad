"""What TensorFlow and JAX each do in their own way, under the same names; chosen once, here.

The packages `jax` and `tensorflow` have modules of the same names with the same public names;
`portable` has what is written once with `keras.ops` and serves both. Nothing else asks which
backend runs, and neither package imports the other's library, which need not be installed.

This package imports Keras. What must be known without it (settings, records) does not import this.
"""

from typing import TYPE_CHECKING

import keras

from albert_core.processes.machine import limit_threads

limit_threads()  # before the first computation

# Type checkers read JAX's package: both have the same names and parameters, which a test checks.
if TYPE_CHECKING or keras.backend.backend() == "jax":
    from albert_core.backends.jax import distribution, record_reader
    from albert_core.backends.jax.attention import attend, get_prefix_lengths
    from albert_core.backends.jax.compilation import (
        JITS_VARYING_LENGTHS,
        LENGTH_MULTIPLE,
        compile_loops,
        possible_compilations,
        rank_compute_settings,
        should_jit,
    )
    from albert_core.backends.jax.cross_entropy import cross_entropy, most_likely_class
    from albert_core.backends.jax.dense import SharedDense, cast_weights_once
    from albert_core.backends.jax.feeding import feed_batches
    from albert_core.backends.jax.gelu import gelu
    from albert_core.backends.jax.layer_loop import repeat_layer, save_for_backward
    from albert_core.backends.jax.layer_norm import LayerNormalization
    from albert_core.backends.jax.precision import multiply_in_float32
    from albert_core.backends.jax.prediction import make_predict_function
    from albert_core.backends.jax.train_step import (
        TrainStep,
        broadcast_from_first_process,
        sync_variables,
    )
else:
    from albert_core.backends.tensorflow import distribution, record_reader
    from albert_core.backends.tensorflow.attention import attend, get_prefix_lengths
    from albert_core.backends.tensorflow.compilation import (
        JITS_VARYING_LENGTHS,
        LENGTH_MULTIPLE,
        compile_loops,
        possible_compilations,
        rank_compute_settings,
        should_jit,
    )
    from albert_core.backends.tensorflow.cross_entropy import cross_entropy, most_likely_class
    from albert_core.backends.tensorflow.dense import SharedDense, cast_weights_once
    from albert_core.backends.tensorflow.feeding import feed_batches
    from albert_core.backends.tensorflow.gelu import gelu
    from albert_core.backends.tensorflow.layer_loop import repeat_layer, save_for_backward
    from albert_core.backends.tensorflow.layer_norm import LayerNormalization
    from albert_core.backends.tensorflow.precision import multiply_in_float32
    from albert_core.backends.tensorflow.prediction import make_predict_function
    from albert_core.backends.tensorflow.train_step import (
        TrainStep,
        broadcast_from_first_process,
        sync_variables,
    )

multiply_in_float32()

__all__ = [
    "JITS_VARYING_LENGTHS",
    "LENGTH_MULTIPLE",
    "LayerNormalization",
    "SharedDense",
    "TrainStep",
    "attend",
    "broadcast_from_first_process",
    "cast_weights_once",
    "compile_loops",
    "cross_entropy",
    "distribution",
    "feed_batches",
    "gelu",
    "get_prefix_lengths",
    "make_predict_function",
    "most_likely_class",
    "multiply_in_float32",
    "possible_compilations",
    "rank_compute_settings",
    "record_reader",
    "repeat_layer",
    "save_for_backward",
    "should_jit",
    "sync_variables",
]
