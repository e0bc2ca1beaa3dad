"""What a pretraining learns: masked LM, or the detection of replaced tokens. No Keras here."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.training.flops import (
    detection_flops_per_token,
    skipped_flops_per_token,
    training_flops_per_token,
)
from albert_core.training.history import best_row

Objective = Literal["masked_lm", "replaced_token_detection"]

GENERATOR_FOLDER = "generator"
"""Folder, in that of a model pretrained by replaced-token detection, of its generator."""

MASKED_LM_MONITOR = "masked_lm_accuracy"
_LAST_MONITOR = "global_step"
_DETECTION_METRIC = "replaced_token_accuracy"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplacedTokenConfig:
    """Settings of replaced-token detection.

    Attributes:
        generator_size: Width of the generator as a fraction of the model's, above 0 and at most 1:
            of its hidden layer, feed-forward and number of attention heads. It has as many layers,
            and shares the embeddings.
        loss_weight: What the loss of the detection is multiplied by, beside that of the generator;
            above 0.
    """

    generator_size: float = 0.25
    loss_weight: float = 50.0

    def __post_init__(self) -> None:
        """Refuse settings out of their range.

        Raises:
            InputError: The size is not above 0 and at most 1, or the weight is not above 0.
        """
        section = "pretraining.replaced_token_detection"
        if not 0 < self.generator_size <= 1:
            raise InputError(
                f"{section}.generator_size: got {self.generator_size}, expected above 0, at most 1"
            )
        if not (math.isfinite(self.loss_weight) and self.loss_weight > 0):
            raise InputError(
                f"{section}.loss_weight: got {self.loss_weight}, expected a number above 0"
            )

    def generator(self, config: AlbertConfig) -> AlbertConfig:
        """Return the architecture of the generator of a model.

        Number of heads and feed-forward are rounded, but 1 at least; the hidden size is rounded to
        a multiple of the heads.
        """
        num_heads = max(1, round(self.generator_size * config.num_attention_heads))
        head_size = max(1, round(self.generator_size * config.hidden_size / num_heads))
        return dataclasses.replace(
            config,
            num_attention_heads=num_heads,
            hidden_size=num_heads * head_size,
            intermediate_size=max(1, round(self.generator_size * config.intermediate_size)),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What a pretraining learns beside the order of sentences.

    Attributes:
        objective: `masked_lm`, or `replaced_token_detection`: a small generator learns masked LM
            and fills the masked positions, and the model learns which tokens are not the text's.
        replaced_token_detection: Settings of the latter.
    """

    objective: Objective = "masked_lm"
    replaced_token_detection: ReplacedTokenConfig = dataclasses.field(
        default_factory=ReplacedTokenConfig
    )

    @property
    def detects_replaced_tokens(self) -> bool:
        """Whether the objective is replaced-token detection."""
        return self.objective == "replaced_token_detection"

    def check_objective(self, *, num_train_steps: int) -> None:
        """Refuse settings of an objective that is not used, and an evaluation without training.

        Args:
            num_train_steps: Steps of training; 0 evaluates only.

        Raises:
            InputError: The objective is masked LM and `replaced_token_detection` is not at its
                defaults, or it is the detection without a step of training.
        """
        if not self.detects_replaced_tokens:
            if self.replaced_token_detection != ReplacedTokenConfig():
                raise InputError(
                    "pretraining.replaced_token_detection: got settings, which the objective "
                    f"{self.objective} does not have; expected the objective "
                    "replaced_token_detection, or no settings of it"
                )
        elif not num_train_steps:
            raise InputError(
                "pretraining.num_train_steps: got 0, which evaluates only, with the objective "
                "replaced_token_detection; expected 1 or more: a model is published without the "
                "head that detects, so there is nothing to evaluate"
            )

    @property
    def monitor(self) -> str:
        """Metric of an evaluation whose largest value marks the weights that are published.

        For replaced-token detection it is the step: while the generator learns, its replacements
        become harder to detect, so that metrics of different steps cannot be compared.
        """
        return _LAST_MONITOR if self.detects_replaced_tokens else MASKED_LM_MONITOR

    @property
    def shown_metric(self) -> str:
        """Metric of an evaluation that is reported while training."""
        return _DETECTION_METRIC if self.detects_replaced_tokens else MASKED_LM_MONITOR

    def flops_per_token(
        self, config: AlbertConfig, sequence_length: int, num_predictions: int
    ) -> float:
        """Return the FLOPs for one token of a training step, forward and backward.

        The backward pass counts as two forward passes; layers that are computed again for the
        gradient are not counted again. For replaced-token detection it is the sum for the generator
        and for the model that detects, whose architecture is `config`.

        Args:
            config: The model's architecture.
            sequence_length: Tokens of a sequence, padding included.
            num_predictions: Slots for masked positions of a sequence; only the generator predicts
                them in replaced-token detection.
        """
        sizes = (sequence_length, num_predictions)
        if not self.detects_replaced_tokens:
            return training_flops_per_token(config, *sizes)
        generator = self.replaced_token_detection.generator(config)
        return training_flops_per_token(
            generator, *sizes, has_pooler=False
        ) + detection_flops_per_token(config, sequence_length)

    def skipped_flops_per_token(
        self, config: AlbertConfig, sequence_length: int, num_predictions: int
    ) -> float:
        """Return the part of `flops_per_token` that the last block of a model skips.

        For replaced-token detection it is the generator's part alone: the model that detects reads
        every position. The arguments are those of `flops_per_token`.
        """
        if self.detects_replaced_tokens:
            config = self.replaced_token_detection.generator(config)
        return skipped_flops_per_token(config, sequence_length, num_predictions)


def has_detection(row: Mapping[str, Any]) -> bool:
    """Return whether metrics of an evaluation or a manifest come from replaced-token detection."""
    return _DETECTION_METRIC in row


def published_row(history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the evaluation of the published weights, by the objective that the last row shows.

    Args:
        history: Rows in the order of the steps, at least one. For masked LM, a row whose accuracy
            is missing or not finite counts as the worst: its accuracy is set to minus infinity.
    """
    if has_detection(history[-1]):
        return best_row(history, _LAST_MONITOR)
    # A history may have gaps (a loss that diverged, a metric that was not measured), and NaN has
    # no order: such an evaluation is the worst of its phase.
    comparable = [
        {**row, MASKED_LM_MONITOR: _finite(row.get(MASKED_LM_MONITOR))} for row in history
    ]
    return best_row(comparable, MASKED_LM_MONITOR)


def _finite(value: float | None) -> float:
    """Return a number, or minus infinity where it is missing, nan or infinite."""
    return value if value is not None and math.isfinite(value) else -math.inf
