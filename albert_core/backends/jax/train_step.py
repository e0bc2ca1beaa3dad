"""The train step of `GradientAccumulationModel` for JAX."""

import functools
from typing import Any

import jax
import keras

from albert_core.backends.portable.micro_batches import split_micro_batches


class TrainStep:
    """`train_step` as `keras.Model.fit` compiles it: a function of state and batch.

    It is the same function for one device and for several: JAX sums over the whole batch, wherever
    its rows are.
    """

    def make_train_function(self: Any, force: bool = False) -> None:
        """Have the step compiled at its next call; without `force`, unless it is compiled already.

        Args:
            force: Whether it is traced again even for a batch of a known shape: what it computes
                may have changed.
        """
        if force:
            # JAX takes functions that are equal for one, and a model's methods always are.
            self.train_step = functools.partial(type(self).train_step, self)
        keras.Model.make_train_function(self, force=force)

    def train_step(self: Any, state: Any, data: Any) -> tuple[dict[str, Any], Any]:
        """Make one step; return the metrics and the next state.

        Args:
            state: Trainable, non-trainable, optimizer and metrics variables, as Keras passes them.
            data: Inputs, targets and, if there are any, weights of the examples. B must be a
                multiple of `num_micro_batches`.

        Returns:
            Metrics by name, and the four groups of values after the step.
        """
        trainable, non_trainable, optimizer_variables, metrics = state
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        totals = self.batch_totals(inputs, targets, weights)
        differentiate = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)

        def compute_gradients(
            inputs: Any, targets: Any, weights: Any, non_trainable: Any, metrics: Any
        ) -> tuple[Any, Any, Any, Any]:
            """Return the loss of a (micro-)batch, its gradients, and the states after it.

            The totals of the whole batch are among its targets; no weight is changed.
            """
            (loss, (*_, non_trainable, metrics)), gradients = differentiate(
                trainable,
                non_trainable,
                metrics,
                inputs,
                self.with_totals(targets, totals),
                weights,
                training=True,
                optimizer_variables=optimizer_variables,
            )
            return loss, gradients, non_trainable, metrics

        if self.num_micro_batches == 1:
            step = compute_gradients(inputs, targets, weights, non_trainable, metrics)
        else:
            step = self._accumulate_gradients(compute_gradients, (inputs, targets, weights), state)
        loss, gradients, non_trainable, metrics = step
        trainable, optimizer_variables = self.optimizer.stateless_apply(
            optimizer_variables, gradients, trainable
        )
        logs, metrics = self._update_metrics_variables(metrics, loss, inputs, targets, None, None)
        return logs, (trainable, non_trainable, optimizer_variables, metrics)

    def _accumulate_gradients(
        self: Any, compute_gradients: Any, data: Any, state: Any
    ) -> tuple[Any, Any, Any, Any]:
        """Return summed loss, summed gradients, and the last non-trainable and metrics values.

        As each loss is divided by the totals of the whole batch, the sums are the batch's loss and
        gradients: nothing is averaged.

        Args:
            compute_gradients: Function of inputs, targets, weights, non-trainable and metrics
                values; returns loss, gradients, and the last two after it.
            data: Inputs, targets and weights (or None) of the whole batch.
            state: Trainable, non-trainable, optimizer and metrics values; the optimizer's are not
                used.
        """
        trainable, non_trainable, _, metrics = state
        micro_batches = jax.tree.map(
            lambda tensor: split_micro_batches(tensor, self.num_micro_batches), data
        )

        def add(sums: Any, micro_batch: Any) -> tuple[tuple[Any, ...], None]:
            """Add a micro-batch's loss and gradients to the sums; its states replace those before.

            They come divided by the totals of the whole batch, so that the sums need no average.
            """
            loss_sum, gradient_sums, *states = sums
            loss, gradients, *states = compute_gradients(*micro_batch, *states)
            gradient_sums = jax.tree.map(lambda a, b: a + b, gradient_sums, gradients)
            return (loss_sum + loss, gradient_sums, *states), None

        zeros = jax.tree.map(jax.numpy.zeros_like, trainable)
        # Random states and metrics travel with the sums: a loop's body may change nothing else.
        sums, _ = jax.lax.scan(add, (0.0, zeros, non_trainable, metrics), micro_batches)
        return sums


def sync_variables(model: Any) -> None:
    """Write the values of the last step into the model's variables.

    With JAX `fit` passes values from step to step and leaves the variables stale meanwhile.
    """
    model.jax_state_sync()


def broadcast_from_first_process(value: float) -> float:
    """Return the first process's value in all processes, which must call this at the same step.

    With several processes the result is rounded to float32.
    """
    if jax.process_count() == 1:
        return value
    from jax.experimental import multihost_utils

    return float(multihost_utils.broadcast_one_to_all(jax.numpy.float32(value)))
