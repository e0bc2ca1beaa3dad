"""Predictions of classification, of one or several labels, of regression and multiple choice.

Shape suffixes: C classes or choices.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from albert_core.finetuning.features import make_features
from albert_core.inference.examples import to_text_example
from albert_core.inference.predictions import (
    InvalidExample,
    PredictedChoice,
    PredictedLabel,
    PredictedLabels,
    PredictedScore,
    Prediction,
)
from albert_core.inference.predictor import Predictor
from albert_core.tasks import Example


class TextPredictor(Predictor):
    """Predicts labels, scores or choices."""

    def predict(self, examples: Sequence[Any]) -> list[Prediction | InvalidExample]:
        """Return a prediction for each example, in their order; none is invalid, long ones are cut.

        Raises:
            InputError: An example has not the fields that the model reads.
        """
        parsed = [
            to_text_example(example, number, self.signature)
            for number, example in enumerate(examples)
        ]
        predictions: dict[str, Prediction] = {}
        # Features are arrays: all examples of them have the same number of texts.
        for num_texts in {len(example.texts) for example in parsed}:
            group = [example for example in parsed if len(example.texts) == num_texts]
            for example, prediction in zip(group, self._predict_group(group), strict=True):
                predictions[example.id] = prediction
        return [predictions[example.id] for example in parsed]

    def _predict_group(self, examples: Sequence[Example]) -> list[Prediction]:
        """Return predictions for examples with the same number of texts, in their order.

        Args:
            examples: At least one.
        """
        features = make_features(
            examples,
            self.tokenizer,
            self.settings.sequence_length,
            max_choice_length=self.settings.max_choice_length,
            are_apart=self.model.encodes_apart,
        )
        rows = zip(self.outputs(features)["logits"], features.are_truncated.tolist(), strict=True)
        return [self._prediction(logits_C, is_truncated) for logits_C, is_truncated in rows]

    def _prediction(self, logits_C: np.ndarray, is_truncated: bool) -> Prediction:
        """Return the prediction from an example's logits [C]; for regression the score [1].

        Classes and choices have probabilities by softmax, and the likeliest is the answer (the
        first of equal ones); labels of `multi_label` have theirs each by itself.
        """
        kind, labels = self.signature.kind, self.signature.labels
        if kind == "regression":
            return PredictedScore(score=float(logits_C[0]), is_truncated=is_truncated)
        if kind == "multi_label":
            return _predicted_labels(labels, logits_C, is_truncated)
        probabilities = [float(value) for value in softmax(logits_C)]
        best = int(logits_C.argmax())
        if kind == "multiple_choice":
            return PredictedChoice(
                choice=best,
                probability=probabilities[best],
                probabilities=probabilities,
                is_truncated=is_truncated,
            )
        return PredictedLabel(
            label=labels[best],
            probability=probabilities[best],
            probabilities=dict(zip(labels, probabilities, strict=True)),
            is_truncated=is_truncated,
        )


def _predicted_labels(
    names: Sequence[str], logits_C: np.ndarray, is_truncated: bool
) -> PredictedLabels:
    """Return the prediction from the logits [C] of labels that do not exclude each other.

    The probability of each is the sigmoid of its logit; those above 0.5 apply, the likeliest first.
    """
    probabilities = dict(zip(names, map(float, expit(logits_C.astype(float))), strict=True))
    likeliest_first = sorted(names, key=lambda name: -probabilities[name])
    return PredictedLabels(
        labels=[name for name in likeliest_first if probabilities[name] > 0.5],
        probabilities=probabilities,
        is_truncated=is_truncated,
    )
