"""Precision, recall and F1 of classes, labels and types of entities, from counts; as scikit-learn.

Shape suffixes: M examples, C classes, labels or types.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class ClassCounts:
    """How often each class is right, true and predicted, int [C].

    A precision, recall or F1 whose denominator is 0 is 0, as with `zero_division=0` in
    scikit-learn.

    Attributes:
        right: Predictions that are right.
        true: Examples of the class.
        predicted: Examples taken for it.
    """

    right: np.ndarray
    true: np.ndarray
    predicted: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        """Fraction of the predictions of each class that are right, float [C]; 0 without any."""
        return _ratio(self.right, self.predicted)

    @property
    def recall(self) -> np.ndarray:
        """Fraction of the examples of each class that are taken for it, float [C]; 0 of none."""
        return _ratio(self.right, self.true)

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of precision and recall of each class, float [C]; 0 where both are."""
        return _ratio(2 * self.right, self.true + self.predicted)

    @property
    def total(self) -> "ClassCounts":
        """The counts of all classes together, [1], for micro averages."""
        return ClassCounts(*(getattr(self, name).sum(keepdims=True) for name in _COUNTS))

    @property
    def occurring(self) -> "ClassCounts":
        """The counts of the classes that are true or predicted at least once."""
        occurs_C = self.true + self.predicted > 0
        return ClassCounts(*(getattr(self, name)[occurs_C] for name in _COUNTS))

    def describe(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Return a row of plain values for each class, in their order.

        Args:
            labels: Names of the classes [C].

        Returns:
            `label`, `precision`, `recall`, `f1`, `num_examples`, `num_predicted` and `num_right`.
        """
        columns = {
            "label": list(labels),
            "precision": self.precision.tolist(),
            "recall": self.recall.tolist(),
            "f1": self.f1.tolist(),
            "num_examples": self.true.tolist(),
            "num_predicted": self.predicted.tolist(),
            "num_right": self.right.tolist(),
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


_COUNTS = tuple(field.name for field in dataclasses.fields(ClassCounts))


def count_classes(
    targets: np.ndarray, predicted: np.ndarray, num_classes: int | None = None
) -> ClassCounts:
    """Count how often each class is right, true and predicted.

    Args:
        targets: Class numbers [M], or 1 and 0 for each label [M, C].
        predicted: Predictions in the same form.
        num_classes: Number of classes C, above every number that occurs (not checked); None or 0:
            one more than the highest number that occurs, which needs at least one example. Not read
            for labels [M, C].
    """
    if targets.ndim > 1:
        is_true_MC, is_predicted_MC = targets > 0, predicted > 0
        counted = (is_true_MC & is_predicted_MC, is_true_MC, is_predicted_MC)
        return ClassCounts(*(is_MC.sum(axis=0) for is_MC in counted))
    true, claimed = targets.astype(int), predicted.astype(int)
    size = num_classes or 1 + int(max(true.max(), claimed.max()))
    counted = (true[true == claimed], true, claimed)
    return ClassCounts(*(np.bincount(numbers, minlength=size) for numbers in counted))


def averaged(average: str, score: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """Return a function of targets and predictions that averages a score over the classes.

    The function takes arrays as `count_classes` does, of at least one example.

    Args:
        average: `micro` counts all classes together; `macro` is the mean over the classes: with
            class numbers over the classes that occur or are predicted, with labels [M, C] over all.
        score: `precision`, `recall` or `f1`.
    """

    def compute(targets: np.ndarray, predicted: np.ndarray) -> float:
        counts = count_classes(targets, predicted)
        if average == "micro":
            counts = counts.total
        elif targets.ndim == 1:
            counts = counts.occurring
        return float(np.mean(getattr(counts, score)))

    return compute


def _ratio(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Return quotients in float64; 0 where a denominator is 0."""
    return numerators / np.maximum(denominators, 1)
