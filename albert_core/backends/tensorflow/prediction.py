"""Predictions of a model on all devices under TensorFlow."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from albert_core.backends.portable.rows import fill_rows


def make_predict_function(model: Any) -> Callable[[Any], Any]:
    """Return a function from inputs by name [B, ...] to the model's outputs as arrays.

    The rows are divided among the replicas of the strategy that the model was made in; where their
    number B cannot be divided, the last one is repeated, and left out of the outputs. With several
    replicas each structure of inputs is traced twice at most: for its first shapes, then once with
    open dimensions for all others. Where the model is compiled with XLA, XLA still compiles for
    every shape. With one replica the function is Keras's `predict_on_batch`.

    Args:
        model: A compiled Keras model.
    """
    strategy = model.distribute_strategy
    num_replicas = strategy.num_replicas_in_sync
    if num_replicas == 1:
        return model.predict_on_batch

    def predict_part(inputs: Any) -> Any:
        """Predict for this replica's rows; all replicas get the inputs of all."""
        index = tf.distribute.get_replica_context().replica_id_in_sync_group

        def take_part(tensor: Any) -> Any:
            """Return this replica's rows of a tensor of all rows."""
            shape = tf.shape(tensor)
            num_rows = shape[0] // num_replicas
            begin = tf.stack([index * num_rows, *[0] * (tensor.shape.rank - 1)])
            # Not by `[begin:end]`: on a TPU, where the index is known late, so would be the length.
            return tf.slice(tensor, begin, tf.concat([[num_rows], shape[1:]], axis=0))

        return model.predict_step((tf.nest.map_structure(take_part, inputs),))

    # Not Keras's `predict_on_batch`: with it every replica would compute all rows.
    @tf.function(reduce_retracing=True, autograph=False)
    def predict_all(inputs: Any) -> Any:
        return tf.nest.map_structure(
            lambda parts: tf.concat(strategy.experimental_local_results(parts), axis=0),
            strategy.run(predict_part, args=(inputs,)),
        )

    def predict(inputs: Any) -> Any:
        """Fill the rows up, predict, and return the outputs of the given rows alone, as arrays."""
        num_rows = len(next(iter(inputs.values())))
        outputs = predict_all(
            {name: tf.constant(array) for name, array in fill_rows(inputs, num_replicas).items()}
        )
        return tf.nest.map_structure(lambda tensor: tensor.numpy()[:num_rows], outputs)

    return predict
