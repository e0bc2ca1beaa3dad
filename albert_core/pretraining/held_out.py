"""Evaluation on held-out records: the original's metrics, and those of masked LM by what is shown.

Shape suffixes: B batch, S sequence, P predictions.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from albert_core.model.pretraining import METRIC_NAMES, PretrainingModel
from albert_core.training.signals import has_signal, raise_if_signal

EVALUATION_METRICS = (*METRIC_NAMES, "loss")
"""The original's metrics, the first in eval_results.txt."""

DETECTION_PREFIX = "replaced_token"
"""How the names of the metrics begin that replaced-token detection alone has."""

SHOWN = ("mask_token", "random", "unchanged")
"""What the input may have at a predicted position, by the names that the records' report uses."""

_PREFIX = "masked_lm"
_LOSS = "loss_of_batches"  # not `loss`, as Keras's own mean is called
# Metrics over a part of the tokens, by the metric that says how large that part is.
_DETECTION_PARTS = {
    f"{DETECTION_PREFIX}_precision": f"{DETECTION_PREFIX}_predicted_fraction",
    f"{DETECTION_PREFIX}_recall": f"{DETECTION_PREFIX}_fraction",
}


def shown_weights(inputs: Mapping[str, Any], targets: Mapping[str, Any], mask_id: int) -> Any:
    """Return the weights of the predictions, split by what the input has at their positions.

    A random token that happens to be the label counts as unchanged: nothing tells them apart.

    Args:
        inputs: `input_ids` [B, S] and `masked_lm_positions` [B, P].
        targets: `masked_lm_ids` and `masked_lm_weights` [B, P].
        mask_id: Id of [MASK].

    Returns:
        By the names of `SHOWN`, float32 [B, P]; they add up to `masked_lm_weights`.
    """
    labels_BP = targets["masked_lm_ids"]
    positions_BP = ops.cast(inputs["masked_lm_positions"], "int32")
    shown_BP = ops.take_along_axis(inputs["input_ids"], positions_BP, axis=1)
    is_mask_BP = ops.equal(shown_BP, mask_id)
    is_label_BP = ops.equal(ops.cast(shown_BP, labels_BP.dtype), labels_BP)
    # [MASK] first: where the label itself were [MASK], the model would be shown nothing else.
    is_unchanged_BP = ops.logical_and(ops.logical_not(is_mask_BP), is_label_BP)
    is_random_BP = ops.logical_not(ops.logical_or(is_mask_BP, is_label_BP))
    weights_BP = ops.cast(targets["masked_lm_weights"], "float32")
    return {
        name: weights_BP * ops.cast(chosen_BP, "float32")
        for name, chosen_BP in zip(SHOWN, (is_mask_BP, is_random_BP, is_unchanged_BP), strict=True)
    }


class HeldOutModel(keras.Model):
    """A pretraining model as evaluation runs it, with means of its own and the same weights.

    The means are not the pretraining model's: those belong to its training step and checkpoints.

    Args:
        model: Compiled; its weights are shared.
        mask_id: Id of [MASK].
    """

    def __init__(self, model: PretrainingModel, mask_id: int) -> None:
        """Make a mean for each metric, and compile without an optimizer, by XLA if `model` is.

        Beside the metrics of `model` there are accuracy, loss and fraction for each of `SHOWN`, and
        the loss over batches.
        """
        super().__init__(name="held_out")
        self.model = model
        self._mask_id = mask_id
        # Not Keras's mean of the loss: with several replicas it takes their losses for fractions of
        # the batch's, and multiplies them by the number of replicas.
        names = [*model.metric_names, *model.evaluation_names, _LOSS]
        for shown in SHOWN:
            names += [f"{_PREFIX}_{shown}_{what}" for what in ("accuracy", "loss", "fraction")]
        self.means = {name: keras.metrics.Mean(name=name) for name in names}
        # All variables are made: Keras need not trace the model with a batch to make them.
        self.built = True
        self.compile(optimizer=None, jit_compile=model.jit_compile)

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Return the outputs of the pretraining model."""
        return self.model(inputs, training=training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = False,
    ) -> Any:
        """Return the loss that the pretraining model minimises, weighted so, and update all means.

        Args:
            x: Inputs of the pretraining model.
            y: Its targets.
            y_pred: Its outputs.
            sample_weight: Not used.
            training: Not used.
        """
        losses = self.model.batch_losses(x, y, y_pred)
        values = self.model.metric_values(x, y, y_pred, losses)
        values[_LOSS] = (losses["loss"], ops.shape(y["sentence_order_labels"])[0])
        hits_BP, weights_BP = values[f"{_PREFIX}_accuracy"]
        for shown, chosen_BP in shown_weights(x, y, self._mask_id).items():
            name = f"{_PREFIX}_{shown}"
            values[f"{name}_accuracy"] = (hits_BP, chosen_BP)
            values[f"{name}_loss"] = (losses["masked_lm_example_loss"], chosen_BP)
            # The weights are 1 or 0, so this is the mean of an indicator over the predictions.
            values[f"{name}_fraction"] = (chosen_BP, weights_BP)
        for name, (value, weights) in values.items():
            self.means[name].update_state(value, sample_weight=weights)
        return losses["loss"]

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Return the metrics that `compute_loss` has updated; no argument is used."""
        return self.get_metrics_result()


class _EndAtSignal(keras.callbacks.Callback):
    """Ends an evaluation after a batch, in Keras's way, once a signal has come."""

    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Have Keras end the evaluation if a signal has come."""
        self.model.stop_evaluating = has_signal()


def evaluate_held_out(model: HeldOutModel, batches: object) -> dict[str, float]:
    """Evaluate on held-out batches and return the metrics by name.

    They are `loss` and those of the pretraining model, and for each kind of input in `SHOWN`
    `masked_lm_<kind>_accuracy` and `_loss` over the predictions with that input, and `_fraction`,
    how many of all they are. What has nothing to be measured on is left out: accuracy and loss of a
    kind that does not occur, recall where no token is replaced, precision where none is taken for
    replaced.

    Raises:
        SignalError: A signal has come during the training; the evaluation is left unfinished.
    """
    callbacks = [_EndAtSignal()]
    metrics = model.evaluate(batches, return_dict=True, verbose=0, callbacks=callbacks)
    raise_if_signal()
    metrics["loss"] = metrics[_LOSS]
    names = (*model.model.metric_names, "loss", *model.model.evaluation_names)
    results = {name: float(metrics[name]) for name in names}
    for part, whole in _DETECTION_PARTS.items():
        if results.get(whole) == 0:
            del results[part]
    for shown in SHOWN:
        fraction = float(metrics[f"{_PREFIX}_{shown}_fraction"])
        if fraction:
            for what in ("accuracy", "loss"):
                name = f"{_PREFIX}_{shown}_{what}"
                results[name] = float(metrics[name])
        results[f"{_PREFIX}_{shown}_fraction"] = fraction
    return results


def published_metrics(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an evaluation's values for a manifest: all its held-out metrics, step and masking.

    Numbers are rounded to 4 decimals. The masking is left out where the row has none. A metric of
    the original that is missing in the row, or the step, is a KeyError.

    Args:
        row: A row of the history, with the metrics of `evaluate_held_out`.
    """
    others = [name for name in row if name.startswith((f"{_PREFIX}_", f"{DETECTION_PREFIX}_"))]
    names = dict.fromkeys((*EVALUATION_METRICS, *others, "global_step"))
    masking = {"masking": row["masking"]} if "masking" in row else {}
    return {**{name: round(row[name], 4) for name in names}, **masking}
