"""What a model gets right and wrong on a dev set: classes, calibration, ROC and mistakes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from albert_core.tasks.class_metrics import ClassCounts

NUM_MISTAKES = 20
MAX_CHARACTERS = 300
MAX_CLASSES = 30
_NUM_BINS = 10
_MAX_CURVE_POINTS = 101

ExampleRow = Mapping[str, Any]
"""A row of `albert_core.finetuning.example_rows`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassQuality:
    """Precision, recall and F1 of one class.

    Attributes:
        label: Its name.
        num_examples: Dev examples of the class.
        num_predicted: Dev examples predicted to be of the class.
        precision: Fraction of the examples predicted to be of the class that are; None if there are
            none.
        recall: Fraction of the examples of the class that are predicted to be; None if there are
            none.
        f1: Harmonic mean of both; None where either is None.
    """

    label: str
    num_examples: int
    num_predicted: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """Examples whose probability lies in one tenth of the range.

    Attributes:
        mean_probability: Mean probability of these examples.
        fraction: Fraction of the examples in which the predicted event happened.
        num_examples: Number of examples.
    """

    mean_probability: float
    fraction: float
    num_examples: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """How well predicted probabilities agree with observed frequencies.

    Attributes:
        of: The event whose probability is predicted, in words.
        bins: Tenths of the range with at least one example, in order.
        error: Mean difference of probability and fraction, each bin weighted by its examples.
    """

    of: str
    bins: Sequence[CalibrationBin]
    error: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class RocCurve:
    """How well probabilities separate two classes.

    Attributes:
        label: The class that counts as positive.
        false_positive_rates: Fractions of the other class at falling thresholds.
        true_positive_rates: Fractions of this class at the same thresholds.
        area: Area under the whole curve, of which at most 101 points are kept.
    """

    label: str
    false_positive_rates: Sequence[float]
    true_positive_rates: Sequence[float]
    area: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class CutText:
    """The beginning of a text, and the number of characters after it that are left out."""

    text: str
    num_left_out: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mistake:
    """A dev example that is predicted wrongly.

    Attributes:
        id: Its id in the file.
        texts: Its texts, shortened; without the choices of multiple choice.
        expected: The right label, choice, score or answer.
        predicted: The prediction.
        confidence: Probability of the prediction, or the highest of several wrong labels or tags;
            None for a regression.
    """

    id: str
    texts: Sequence[CutText]
    expected: CutText
    predicted: CutText
    confidence: float | None


def class_qualities(classification: Mapping[str, Any]) -> list[ClassQuality]:
    """Return precision, recall and F1 of each class, label or type of entities, in their order.

    Precision is None for a class never predicted, recall for one that never occurs, F1 for either.

    Args:
        classification: What `read_classification` returned: with `classes`, or of earlier versions
            with `labels` and `confusion_matrix`, a row for each true class; empty for other tasks.
    """
    rows = classification.get("classes")
    if rows is None:
        matrix = np.asarray(classification.get("confusion_matrix", np.zeros((0, 0), int)))
        counts = ClassCounts(matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0))
        rows = counts.describe(classification.get("labels", ()))
    return [
        ClassQuality(
            label=row["label"],
            num_examples=row["num_examples"],
            num_predicted=row["num_predicted"],
            precision=row["precision"] if row["num_predicted"] else None,
            recall=row["recall"] if row["num_examples"] else None,
            f1=row["f1"] if row["num_predicted"] and row["num_examples"] else None,
        )
        for row in rows
    ]


def calibration(rows: Sequence[ExampleRow], labels: Sequence[str]) -> Calibration | None:
    """Return the calibration of classes, choices or tags; None if rows have no probabilities.

    Whether they have is told by the first row; None, too, without rows. The calibration is that
    of these probabilities: for tags, of each word's predicted tag; for two classes, of the second
    class; for multi-label tasks, of every label; otherwise, of the predicted class or choice. There
    are _NUM_BINS (10) bins of equal width, of which empty ones are left out; the error is the mean
    of the bins' gaps, weighted by examples.

    Args:
        rows: The dev examples.
        labels: Names of the classes; none for choices.
    """
    if rows and "words" in rows[0]:
        probabilities_M = np.concatenate([row["word_probabilities"] for row in rows])
        is_right_M = np.concatenate([np.equal(row["label"], row["prediction"]) for row in rows])
        return _calibrate("each word's tag", probabilities_M, is_right_M)
    if not rows or "probabilities" not in rows[0]:
        return None
    probabilities_MC = np.array([row["probabilities"] for row in rows])
    targets_M = np.array([row["label"] for row in rows])
    if targets_M.ndim > 1:
        of, probabilities_M = "each label", probabilities_MC.ravel()
        is_right_M = targets_M.ravel() == 1
    elif len(labels) == 2:
        of, probabilities_M, is_right_M = labels[1], probabilities_MC[:, 1], targets_M == 1
    else:
        of, probabilities_M = "the prediction", probabilities_MC.max(axis=1)
        is_right_M = probabilities_MC.argmax(axis=1) == targets_M
    return _calibrate(of, probabilities_M, is_right_M)


def _calibrate(of: str, probabilities_M: np.ndarray, is_right_M: np.ndarray) -> Calibration:
    """Return the calibration of probabilities of the event `of`, which each happened or not."""
    bins_M = np.minimum((probabilities_M * _NUM_BINS).astype(int), _NUM_BINS - 1)
    bins = [
        CalibrationBin(
            mean_probability=float(probabilities_M[chosen].mean()),
            fraction=float(is_right_M[chosen].mean()),
            num_examples=int(chosen.sum()),
        )
        for number in range(_NUM_BINS)
        if (chosen := bins_M == number).any()
    ]
    errors = [abs(bin_.mean_probability - bin_.fraction) * bin_.num_examples for bin_ in bins]
    return Calibration(of=of, bins=bins, error=sum(errors) / len(probabilities_M))


def roc_curve(rows: Sequence[ExampleRow], labels: Sequence[str]) -> RocCurve | None:
    """Return the ROC curve of the second of two classes; None unless both occur.

    It has at most _MAX_CURVE_POINTS (101) points; the area is that under the curve of all points.

    Args:
        rows: The dev examples of a classification, with probabilities; that they are not those of
            a multi-label task is not checked.
        labels: Names of the classes.
    """
    if len(labels) != 2 or len({row["label"] for row in rows}) != 2:
        return None
    scores_M = np.array([row["probabilities"][1] for row in rows])
    is_positive_M = np.array([row["label"] == 1 for row in rows])
    order = np.argsort(-scores_M, kind="stable")
    # Examples with the same probability cannot be told apart: the curve has one point for them.
    is_last = np.append(np.diff(scores_M[order]) != 0, True)
    true_positives = np.append(0, np.cumsum(is_positive_M[order])[is_last]) / is_positive_M.sum()
    negatives = ~is_positive_M
    false_positives = np.append(0, np.cumsum(negatives[order])[is_last]) / negatives.sum()
    points = np.linspace(0, len(true_positives) - 1, _MAX_CURVE_POINTS).round().astype(int)
    points = np.unique(points)
    return RocCurve(
        label=labels[1],
        false_positive_rates=false_positives[points].tolist(),
        true_positive_rates=true_positives[points].tolist(),
        area=float(np.trapezoid(true_positives, false_positives)),
    )


def confident_mistakes(
    rows: Sequence[ExampleRow], labels: Sequence[str], *, max_mistakes: int = NUM_MISTAKES
) -> tuple[list[Mistake], int]:
    """Return the most confident mistakes, the most confident first, and the number of all.

    For classes and choices these are wrong predictions, sorted by their probability; for questions,
    answers that score 0; for a regression, the largest differences, where every example that is not
    predicted exactly counts as a mistake. Equally confident ones are in the order of the rows.

    Args:
        rows: The dev examples.
        labels: Names of the classes; none for other tasks.
        max_mistakes: How many to return.
    """
    wrong = [row for row in rows if _is_wrong(row)]
    wrong.sort(key=_severity, reverse=True)
    return [_mistake(row, labels) for row in wrong[:max_mistakes]], len(wrong)


def _is_wrong(row: ExampleRow) -> bool:
    return row["score"] == 0 if "score" in row else row["label"] != row["prediction"]


def _severity(row: ExampleRow) -> float:
    """Return the confidence of a wrong prediction; for a regression, how far it is off."""
    confidence = _confidence(row)
    return abs(row["label"] - row["prediction"]) if confidence is None else confidence


def _confidence(row: ExampleRow) -> float | None:
    """Return the probability of a row's prediction; None for a regression.

    For words with tags it is the highest probability of a wrong tag; for multi-label tasks, that of
    the label that is wrong with the highest probability; for a question that was predicted to have
    no answer, the probability of that.
    """
    if "words" in row:
        tags = zip(row["word_probabilities"], row["label"], row["prediction"], strict=True)
        return max((probability for probability, label, said in tags if label != said), default=0.0)
    if isinstance(row.get("label"), list):
        pairs = zip(row["probabilities"], row["label"], row["prediction"], strict=True)
        wrong = [
            probability if said else 1 - probability
            for probability, label, said in pairs
            if label != said
        ]
        return max(wrong, default=0.0)
    if "probabilities" in row:
        return row["probabilities"][row["prediction"]]
    if not row.get("prediction") and "null_probability" in row:
        return row["null_probability"]
    return row.get("probability")


def _mistake(row: ExampleRow, labels: Sequence[str]) -> Mistake:
    """Return a wrongly predicted row in readable form, its texts shortened by `cut_text`.

    Expected and predicted are names of labels, answers, choices, numbers or the wrongly tagged
    words with their tags, as the task has them; choices are left out of the texts.
    """
    texts = row["texts"]
    if "score" in row:
        expected, predicted = " / ".join(dict.fromkeys(row["answers"])), row["prediction"]
        expected, predicted = expected or "no answer", predicted or "no answer"
    elif "words" in row:
        tags = list(zip(row["words"], row["label"], row["prediction"], strict=True))
        wrong = [tag for tag in tags if tag[1] != tag[2]]
        expected = ", ".join(f"{word} {labels[label]}" for word, label, _ in wrong)
        predicted = ", ".join(f"{word} {labels[said]}" for word, _, said in wrong)
    elif isinstance(row["label"], list):
        expected, predicted = (
            ", ".join(label for label, applies in zip(labels, row[name], strict=True) if applies)
            or "no label"
            for name in ("label", "prediction")
        )
    elif labels:
        expected, predicted = labels[row["label"]], labels[row["prediction"]]
    elif "probabilities" in row:
        expected, predicted = texts[1 + row["label"]], texts[1 + row["prediction"]]
        texts = texts[:1]
    else:
        expected, predicted = f"{row['label']:g}", f"{row['prediction']:.3g}"
    return Mistake(
        id=row["id"],
        texts=[cut_text(text) for text in texts],
        expected=cut_text(expected),
        predicted=cut_text(predicted),
        confidence=_confidence(row),
    )


def cut_text(text: str, *, max_characters: int = MAX_CHARACTERS) -> CutText:
    """Return the first `max_characters` of a text, and the number of characters left out."""
    return CutText(text=text[:max_characters], num_left_out=max(0, len(text) - max_characters))
