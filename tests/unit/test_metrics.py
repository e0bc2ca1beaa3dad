"""Metrics: worked out by hand, and the floor of a constant answer."""

import numpy as np
import pytest

from albert_core.tasks import Task, compute_metrics, constant_prediction_score


def task_with(metric: str, *labels: str) -> Task:
    return Task(name="t", text_columns=(0,), label_column=1, labels=labels, metrics=(metric,))


def logits_of(predictions: list[int]) -> np.ndarray:
    return np.eye(2)[predictions]


@pytest.mark.parametrize(
    ("metric", "expected"),
    # Three true positives, one false positive, two false negatives, four true negatives.
    [("accuracy", 7 / 10), ("f1", 6 / 9), ("matthews_correlation", 10 / 600**0.5)],
)
def test_classes_are_scored_as_by_hand(metric: str, expected: float) -> None:
    targets = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0])
    outputs = logits_of([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    scores = compute_metrics(task_with(metric, "a", "b"), outputs, targets)
    assert scores == {metric: pytest.approx(expected)}


def test_scores_are_correlated_as_by_hand() -> None:
    targets, outputs = np.array([0.0, 1.0, 2.0, 3.0]), np.array([[0.0], [1.0], [4.0], [3.0]])
    pearson = compute_metrics(task_with("pearson"), outputs, targets)["pearson"]
    assert pearson == pytest.approx(6 / (5 * 10) ** 0.5)
    spearman = compute_metrics(task_with("spearman"), outputs, targets)["spearman"]
    assert spearman == pytest.approx(1 - 6 * 2 / (4 * 15))


def test_scores_are_compared_as_by_hand() -> None:
    task = Task(
        name="t", text_columns=(0,), label_column=1, metrics=("pearson", "mean_squared_error")
    )
    targets, outputs = np.array([0.0, 1.0, 2.0, 3.0]), np.array([[0.5], [1.0], [4.0], [2.0]])
    error = compute_metrics(task, outputs, targets)["mean_squared_error"]
    assert error == pytest.approx((0.25 + 0 + 4 + 1) / 4)


@pytest.mark.parametrize(
    ("metric", "labels", "expected"),
    [
        ("accuracy", ("a", "b"), 0.75),
        ("f1", ("a", "b"), 6 / 7),
        ("matthews_correlation", ("a", "b"), 0.0),
        ("pearson", (), 0.0),
        ("spearman", (), 0.0),
    ],
)
def test_constant_prediction_is_the_floor(
    metric: str, labels: tuple[str, ...], expected: float
) -> None:
    train, targets = np.array([1.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.0, 1.0])
    score = constant_prediction_score(task_with(metric, *labels), train, targets)
    assert score == pytest.approx(expected)
