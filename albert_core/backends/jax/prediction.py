"""Predictions of a model on all devices under JAX."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np

from albert_core.backends.portable.rows import fill_rows
from albert_core.training.batch_division import rows_of_process


def make_predict_function(model: Any) -> Callable[[Any], Any]:
    """Return a function from inputs by name [B, ...] to the model's outputs as arrays.

    The rows are divided among the devices of Keras's distribution. If their number B cannot be
    divided equally, the last row is repeated as often as needed, and the repetitions are left out
    of the outputs. Without a distribution the function is Keras's `predict_on_batch`. With several
    processes, each one passes the inputs of all rows and gets the outputs of all rows, and all must
    call the function at the same time. Every shape of inputs is compiled once.

    Args:
        model: A compiled Keras model.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return model.predict_on_batch
    mesh = distribution.device_mesh
    num_parts = mesh.shape[mesh.axis_names.index(distribution.batch_dim_name)]
    everywhere = jax.sharding.NamedSharding(mesh.backend_mesh, jax.sharding.PartitionSpec())

    # Not Keras's `predict_on_batch`, which cannot read the outputs of other processes' devices.
    @functools.partial(jax.jit, out_shardings=everywhere)
    def predict_all(trainable: Any, non_trainable: Any, inputs: Any) -> Any:
        outputs, _ = model.stateless_call(trainable, non_trainable, inputs, training=False)
        return outputs

    def spread(array: np.ndarray) -> Any:
        """Return an array of all processes' rows, made of each process's part."""
        rows = rows_of_process(
            len(array), process_index=jax.process_index(), num_processes=jax.process_count()
        )
        layout = distribution.get_data_layout(array.shape).backend_layout
        return jax.make_array_from_process_local_data(layout, array[rows], array.shape)

    def predict(inputs: Any) -> Any:
        """Fill the rows up, predict with the weights of now, and return the given rows' outputs."""
        num_rows = len(next(iter(inputs.values())))
        filled = {name: spread(array) for name, array in fill_rows(inputs, num_parts).items()}
        trainable = [variable.value for variable in model.trainable_variables]
        non_trainable = [variable.value for variable in model.non_trainable_variables]
        outputs = predict_all(trainable, non_trainable, filled)
        return jax.tree.map(lambda array: np.asarray(array)[:num_rows], outputs)

    return predict
