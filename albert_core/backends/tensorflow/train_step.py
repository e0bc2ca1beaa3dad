"""The train step of `GradientAccumulationModel` for TensorFlow."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from albert_core.backends.portable.micro_batches import split_micro_batches


class TrainStep:
    """`train_step` as `keras.Model.fit` calls it, once in each replica."""

    def train_step(self: Any, data: Any) -> dict[str, Any]:
        """Make one step, which changes the variables; return the metrics by name.

        Loss and gradient are sums over all micro-batches and replicas; the norm of the whole
        gradient is clipped, if the optimizer says so.

        Args:
            data: Inputs, targets and, if there are any, weights of the examples of this replica.
                Their number must be a multiple of `num_micro_batches`.
        """
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        totals = _sum_over_replicas(self.batch_totals(inputs, targets, weights))
        if self.num_micro_batches == 1:
            targets_with_totals = self.with_totals(targets, totals)
            loss, gradients = self._compute_gradients(inputs, targets_with_totals, weights)
        else:
            # Without a None in the place of weights, which cannot be cut.
            data = (inputs, targets) if weights is None else (inputs, targets, weights)
            loss, gradients = self._accumulate_gradients(data, totals)
        loss, gradients = _sum_over_replicas((loss, gradients))
        # `apply_gradients` sums over the replicas, and here the sum is made already, because the
        # norm must be clipped of the whole gradient: each replica hands in its fraction of it.
        fraction = 1.0 / tf.distribute.get_strategy().num_replicas_in_sync
        clip_norm = self.optimizer.global_clipnorm
        if fraction < 1.0 and clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, clip_norm)
        if fraction < 1.0:
            gradients = [tf.math.scalar_mul(fraction, gradient) for gradient in gradients]
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self._loss_tracker.update_state(loss)
        return self.compute_metrics(inputs, targets, None)

    def _compute_gradients(
        self: Any, inputs: Mapping[str, Any], targets: Any, weights: Any
    ) -> tuple[Any, list[Any]]:
        """Run a (micro-)batch in training mode; return its loss and its gradient by each weight.

        The gradients are in the order of `trainable_weights`, neither scaled nor applied; those of
        `sliced_weights` are IndexedSlices, all others dense. The model's `compute_loss` may update
        metrics.

        Args:
            inputs: Inputs of the batch.
            targets: Targets of the batch, and the totals that its losses are divided by.
            weights: Weights of the examples, or None.

        Raises:
            ValueError: The loss does not depend on one of the dense weights.
        """
        with tf.GradientTape() as tape:
            outputs = self(inputs, training=True)
            loss = self.compute_loss(inputs, targets, outputs, sample_weight=weights)
        gradients = tape.gradient(loss, self.trainable_weights)
        return loss, [
            gradient if is_sliced else tf.convert_to_tensor(gradient)
            for gradient, is_sliced in zip(gradients, self._find_sliced(), strict=True)
        ]

    def _find_sliced(self: Any) -> list[bool]:
        """Tell of each trainable weight whether it is one of `sliced_weights`."""
        sliced = {id(weight) for weight in self.sliced_weights}
        return [id(weight) in sliced for weight in self.trainable_weights]

    def _accumulate_gradients(
        self: Any, data: Any, totals: Mapping[str, Any]
    ) -> tuple[Any, list[Any]]:
        """Run a batch as micro-batches, one after the other; return its loss and its gradients.

        Both are sums over the micro-batches, not means, as each loss is already divided by the
        totals of the whole batch. The gradients are float32, in the order of `trainable_weights`.
        Those of `sliced_weights` are IndexedSlices: the slices of the first micro-batch, then those
        of the next, and so on, so that a row may occur several times. All others are dense.

        Args:
            data: The whole batch of this replica, as `train_step` gets it, but without a None in
                the place of weights. The number of examples is a multiple of `num_micro_batches`.
            totals: The numbers that losses are divided by, summed over all replicas.

        Raises:
            ValueError: The loss does not depend on one of the dense weights.
        """
        num_micro_batches = self.num_micro_batches
        micro_batches = tf.nest.map_structure(
            lambda tensor: split_micro_batches(tensor, num_micro_batches), data
        )

        def add(index: Any, loss_sum: Any, gradient_sums: list[Any]) -> tuple[Any, Any, list[Any]]:
            """Add loss and gradients of micro-batch `index` to the sums; return the next index.

            They come divided by the totals of the whole batch, so that the sums need no average.
            """
            micro_batch = tf.nest.map_structure(lambda tensor: tensor[index], micro_batches)
            inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(micro_batch)
            targets = self.with_totals(targets, totals)
            loss, gradients = self._compute_gradients(inputs, targets, weights)
            gradient_sums = [
                _add_gradient(total, gradient, index)
                for total, gradient in zip(gradient_sums, gradients, strict=True)
            ]
            return index + 1, loss_sum + loss, gradient_sums

        zeros = [
            _new_slices(weight.shape[1], num_micro_batches)
            if is_sliced
            else tf.zeros(weight.shape, tf.float32)
            for weight, is_sliced in zip(self.trainable_weights, self._find_sliced(), strict=True)
        ]
        # One at a time: two micro-batches in flight would need the memory this is to save.
        _, loss, gradients = tf.while_loop(
            lambda index, *_: index < num_micro_batches,
            add,
            (0, 0.0, zeros),
            parallel_iterations=1,
        )
        return loss, [
            _join_slices(gradient, [*weight.shape]) if isinstance(gradient, tuple) else gradient
            for gradient, weight in zip(gradients, self.trainable_weights, strict=True)
        ]


def _new_slices(width: int, num_micro_batches: int) -> tuple[tf.TensorArray, tf.TensorArray]:
    """Return arrays for the values [N, width] and row numbers [N] of each micro-batch's slices."""
    values = tf.TensorArray(tf.float32, num_micro_batches, element_shape=(None, width))
    return values, tf.TensorArray(tf.int32, num_micro_batches, element_shape=(None,))


def _add_gradient(total: Any, gradient: Any, index: Any) -> Any:
    """Return a sum with a dense gradient added, or arrays of slices with those of a micro-batch.

    Args:
        total: The sum, or what `_new_slices` returned.
        gradient: Gradient of the micro-batch.
        index: Number of the micro-batch.
    """
    if not isinstance(total, tuple):
        return total + gradient
    values, rows = total
    indices = tf.cast(gradient.indices, tf.int32)
    return values.write(index, gradient.values), rows.write(index, indices)


def _join_slices(
    slices: tuple[tf.TensorArray, tf.TensorArray], shape: list[int]
) -> tf.IndexedSlices:
    """Return the slices of all micro-batches, one behind the other, as one gradient of a shape.

    Rows that occur several times are not added up.
    """
    values, rows = slices
    return tf.IndexedSlices(
        tf.reshape(values.stack(), (-1, shape[1])),
        tf.reshape(rows.stack(), (-1,)),
        tf.constant(shape),
    )


def _sum_over_replicas(tensors: Any) -> Any:
    """Return tensors, in any nesting, summed over the replicas; as they are if there is one."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tensors
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def sync_variables(model: Any) -> None:
    """Do nothing: with TensorFlow every step writes into the variables."""


def broadcast_from_first_process(value: float) -> float:
    """Return the value: there is one process."""
    return value
