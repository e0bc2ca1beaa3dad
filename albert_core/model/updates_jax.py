"""The update step of `albert_core.model.updates` for JAX."""

from collections.abc import Mapping
from typing import Any

import jax


class UpdateStep:
    """`train_step` as `keras.Model.fit` compiles it: a function of state and batch.

    Over several devices it is the same function: JAX sums over the whole batch wherever its rows
    are.
    """

    def train_step(self: Any, state: Any, data: Any) -> tuple[dict[str, Any], Any]:
        """Update once; return the metrics and the next state."""
        trainable, non_trainable, optimizer_variables, metrics = state
        inputs, targets = data[:2]
        totals = self.batch_totals(targets)
        differentiate = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)

        def gradients_of(
            inputs: Mapping[str, Any], targets: Mapping[str, Any], non_trainable: Any, metrics: Any
        ) -> Any:
            (loss, (*_, non_trainable, metrics)), gradients = differentiate(
                trainable,
                non_trainable,
                metrics,
                inputs,
                {**targets, **totals},
                None,
                training=True,
                optimizer_variables=optimizer_variables,
            )
            return loss, gradients, non_trainable, metrics

        if self.num_micro_batches == 1:
            step = gradients_of(inputs, targets, non_trainable, metrics)
        else:
            step = self._accumulated(gradients_of, (inputs, targets), state)
        loss, gradients, non_trainable, metrics = step
        trainable, optimizer_variables = self.optimizer.stateless_apply(
            optimizer_variables, gradients, trainable
        )
        logs, metrics = self._update_metrics_variables(metrics, loss, inputs, targets, None, None)
        return logs, (trainable, non_trainable, optimizer_variables, metrics)

    def _accumulated(self: Any, gradients_of: Any, data: Any, state: Any) -> Any:
        from albert_core.model.updates import in_parts

        trainable, non_trainable, _, metrics = state
        parts = jax.tree.map(lambda t: in_parts(t, self.num_micro_batches), data)

        def add(carried: Any, part: Any) -> Any:
            loss, gradients, *states = carried
            more_loss, more_gradients, *states = gradients_of(*part, *states)
            summed = jax.tree.map(lambda a, b: a + b, gradients, more_gradients)
            return (loss + more_loss, summed, *states), None

        zeros = jax.tree.map(jax.numpy.zeros_like, trainable)
        carried, _ = jax.lax.scan(add, (0.0, zeros, non_trainable, metrics), parts)
        return carried
