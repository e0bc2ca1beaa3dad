"""The base of the models for tasks: the encoder, its inputs, the mean loss.

Shape suffixes: B batch, S sequence.
"""

from typing import Any, NamedTuple

from keras import ops

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.model.encoder import AlbertEncoder
from albert_core.model.gradient_accumulation import GradientAccumulationModel
from albert_core.model.layers import ConfigSerializable
from albert_core.model.pretraining import Tensors

ENCODER_INPUTS = ("input_ids", "input_mask", "segment_ids")


class TargetsWithTotal(NamedTuple):
    """Targets of a batch or micro-batch, as a training step hands them to `compute_loss`.

    Attributes:
        targets: As the data holds them.
        total_weight: Sum of the weights of all losses in the whole batch, a scalar.
    """

    targets: Any
    total_weight: Any


class AlbertWithHead(ConfigSerializable, GradientAccumulationModel):
    """Base of the models for tasks: the encoder, and a loss that is a mean over examples.

    Subclasses add the head, `call` and `example_losses`, or `compute_loss` where the loss is no
    such mean, and call `build` when they are made.

    Args:
        config: The architecture.
    """

    def __init__(self, config: AlbertConfig) -> None:
        """Make the encoder, not built; subclasses add the head."""
        super().__init__()
        self.config = config
        self.bert = AlbertEncoder(config)

    @property
    def sliced_weights(self) -> tuple[Any, ...]:
        """The word embeddings: with their slices the original clips the gradient, too."""
        return (self.bert.embeddings.word_embeddings,)

    def encode(
        self, inputs: Tensors, training: bool | None, *, pooled_only: bool = False
    ) -> dict[str, Any]:
        """Return the encoder's outputs for `input_ids`, `input_mask`, `segment_ids` [B, S].

        Args:
            inputs: The three by name; others are not read.
            training: Whether dropout is on.
            pooled_only: Whether the last layer computes [CLS] alone; `sequence_output` is then
                [B, 1, H].

        Raises:
            InputError: An input does not have the axes [B, S].
        """
        check_axes(inputs, "batch", "sequence")
        ids, mask, segments = (inputs[name] for name in ENCODER_INPUTS)
        return self.bert(
            ids,
            input_mask=mask,
            segment_ids=segments,
            # Position 0 once more: the encoder itself adds [CLS] to any positions.
            output_positions=ops.zeros_like(ids[:, :1]) if pooled_only else None,
            training=training,
        )

    def example_losses(self, targets: Any, outputs: Any) -> Any:
        """Return the loss of each example [B], in float32, for `compute_loss`.

        Subclasses must define it, unless they define `compute_loss`.

        Args:
            targets: What the data holds besides the inputs.
            outputs: Outputs of `call`.
        """
        raise NotImplementedError

    def loss_weights(self, targets: Any, sample_weight: Any) -> Any:
        """Return the weights of the losses in their mean; None where all weigh 1.

        Args:
            targets: What the data holds besides the inputs.
            sample_weight: Weights of the examples [B], or None.
        """
        return sample_weight

    def batch_totals(
        self, inputs: Tensors, targets: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Return `total_weight` of a batch, what the sum of its losses is divided by.

        That is the sum of `loss_weights`, a float32 scalar; without weights the number of examples.
        """
        weights = self.loss_weights(targets, sample_weight)
        if weights is None:
            return {"total_weight": ops.cast(ops.shape(inputs["input_ids"])[0], "float32")}
        return {"total_weight": ops.sum(ops.cast(weights, "float32"))}

    def with_totals(self, targets: Any, totals: Tensors) -> Any:
        """Return targets, which need not have names, and the total as `TargetsWithTotal`."""
        return TargetsWithTotal(targets, totals["total_weight"])

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the mean loss of the examples; with `sample_weight` [B], their weighted mean.

        For a micro-batch, its contribution to the mean over the whole batch.

        Args:
            x: Not used.
            y: Targets; in a training step with the total of the whole batch.
            y_pred: Outputs of `call`.
            sample_weight: Weights of the examples; the loss is 0 if all of them are 0.
            training: Not used.
        """
        targets, total = y if isinstance(y, TargetsWithTotal) else (y, None)
        weights = self.loss_weights(targets, sample_weight)
        return mean_loss(self.example_losses(targets, y_pred), weights, total)


def check_axes(inputs: Tensors, *axes: str) -> None:
    """Refuse inputs of the encoder that do not have as many axes as are named.

    Only the number of axes is compared, not their sizes; a missing input is a KeyError.

    Raises:
        InputError: One of the three inputs has more or fewer axes.
    """
    for name in ENCODER_INPUTS:
        shape = tuple(inputs[name].shape)
        if len(shape) != len(axes):
            raise InputError(f"{name}: got shape {shape}, expected [{', '.join(axes)}]")


def mean_loss(losses_B: Any, weights_B: Any = None, total_weight: Any = None) -> Any:
    """Return the mean of all losses, weighted if there are weights; 0 if all weights are 0.

    Args:
        losses_B: The losses, of any shape.
        weights_B: Their weights, of the same shape; all 1 when not given.
        total_weight: What the sum of the weighted losses is divided by; when not given, the sum of
            the weights, or without weights the number of losses.
    """
    if weights_B is None:
        return ops.mean(losses_B) if total_weight is None else ops.sum(losses_B) / total_weight
    weights_B = ops.cast(weights_B, "float32")
    total_weight = ops.sum(weights_B) if total_weight is None else total_weight
    # Rows of padding weigh 0, and a batch may have no others: no division by 0.
    return ops.divide_no_nan(ops.sum(weights_B * losses_B), total_weight)
