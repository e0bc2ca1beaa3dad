"""The update step of `albert_core.model.updates` for TensorFlow."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf


class UpdateStep:
    """`train_step` as `keras.Model.fit` calls it, once in each replica."""

    def train_step(self: Any, data: Any) -> dict[str, Any]:
        """Update once; return the metrics."""
        inputs, targets = data[:2]
        totals = _sum_over_replicas(self.batch_totals(targets))
        if self.num_micro_batches == 1:
            loss, gradients = self._loss_and_gradients(inputs, {**targets, **totals})
        else:
            loss, gradients = self._accumulated(inputs, targets, totals)
        loss, gradients = _sum_over_replicas((loss, gradients))
        # Keras sums over the replicas what is the sum already.
        share = 1.0 / tf.distribute.get_strategy().num_replicas_in_sync
        clip_norm = self.optimizer.global_clipnorm
        if share < 1.0 and clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, clip_norm)
        gradients = [share * gradient for gradient in gradients] if share < 1.0 else gradients
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self._loss_tracker.update_state(loss)
        return self.compute_metrics(inputs, targets, None)

    def _loss_and_gradients(
        self: Any, inputs: Mapping[str, Any], targets: Mapping[str, Any]
    ) -> tuple[Any, list[Any]]:
        with tf.GradientTape() as tape:
            loss = self.compute_loss(inputs, targets, self(inputs, training=True))
        gradients = tape.gradient(loss, self.trainable_weights)
        return loss, [tf.convert_to_tensor(gradient) for gradient in gradients]

    def _accumulated(
        self: Any, inputs: Mapping[str, Any], targets: Mapping[str, Any], totals: Mapping[str, Any]
    ) -> tuple[Any, list[Any]]:
        from albert_core.model.updates import in_parts

        num_parts = self.num_micro_batches
        parts = tf.nest.map_structure(lambda t: in_parts(t, num_parts), (inputs, targets))

        def add(index: Any, loss: Any, gradients: list[Any]) -> Any:
            own_inputs, own_targets = tf.nest.map_structure(lambda part: part[index], parts)
            own_loss, own = self._loss_and_gradients(own_inputs, {**own_targets, **totals})
            summed = [a + b for a, b in zip(gradients, own, strict=True)]
            return index + 1, loss + own_loss, summed

        zeros = [tf.zeros(weight.shape, tf.float32) for weight in self.trainable_weights]
        _, loss, gradients = tf.while_loop(
            lambda index, *_: index < num_parts, add, (0, 0.0, zeros), parallel_iterations=1
        )
        return loss, gradients


def _sum_over_replicas(tensors: Any) -> Any:
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tensors
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)
