"""Metrics: worked out by hand, and the floor of a constant answer."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from albert_core.tasks import TASKS, Task, compute_metrics
from albert_core.tasks.metrics import (
    bootstrap_interval,
    combined_score,
    compute_metric,
    describe_classification,
    scores_by_source,
)


def task_with(metric: str, *labels: str) -> Task:
    kind = "classification" if labels else "regression"
    return Task(name="t", kind=kind, texts=(0,), label=1, labels=labels, metrics=(metric,))


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


def test_linear_correlation_is_scipys() -> None:
    rng = np.random.default_rng(3)
    for size in (2, 3, 400):
        targets, predicted = rng.normal(5.0, 1.0, (2, size))
        expected = scipy.stats.pearsonr(targets, predicted).statistic
        assert compute_metric("pearson", targets, predicted) == pytest.approx(expected, abs=1e-12)
    single = targets.astype(np.float32)
    assert compute_metric("pearson", single, single) == pytest.approx(1.0, abs=1e-12)
    assert compute_metric("pearson", np.ones(4), np.arange(4)) == 0.0


def test_f1_and_correlation_of_classes_are_scikit_learns() -> None:
    rng = np.random.default_rng(3)
    for num_classes in (2, 2, 3, 5):
        targets, predicted = rng.integers(0, num_classes, (2, 50))
        expected = sklearn.metrics.matthews_corrcoef(targets, predicted)
        ours = compute_metric("matthews_correlation", targets.astype(np.float32), predicted)
        assert ours == pytest.approx(expected, abs=1e-12)
        if num_classes == 2:
            expected = sklearn.metrics.f1_score(targets, predicted)
            assert compute_metric("f1", targets, predicted) == pytest.approx(expected, abs=1e-12)
    zeros, ones = np.zeros(4, int), np.ones(4, int)
    assert compute_metric("f1", zeros, zeros) == 0
    assert compute_metric("matthews_correlation", ones, zeros) == 0


def test_scores_are_correlated_as_by_hand() -> None:
    targets, outputs = np.array([0.0, 1.0, 2.0, 3.0]), np.array([[0.0], [1.0], [4.0], [3.0]])
    pearson = compute_metrics(task_with("pearson"), outputs, targets)["pearson"]
    assert pearson == pytest.approx(6 / (5 * 10) ** 0.5)
    spearman = compute_metrics(task_with("spearman"), outputs, targets)["spearman"]
    assert spearman == pytest.approx(1 - 6 * 2 / (4 * 15))


def test_scores_are_compared_as_by_hand() -> None:
    task = Task(
        name="t",
        kind="regression",
        texts=(0,),
        metrics=("pearson", "mean_squared_error"),
    )
    targets, outputs = np.array([0.0, 1.0, 2.0, 3.0]), np.array([[0.5], [1.0], [4.0], [2.0]])
    error = compute_metrics(task, outputs, targets)["mean_squared_error"]
    assert error == pytest.approx((0.25 + 0 + 4 + 1) / 4)


def test_correlation_with_a_constant_is_zero() -> None:
    task = TASKS["sts-b"]
    scores = compute_metrics(task, np.ones((3, 1)), np.array([1.0, 2.0, 3.0]))
    assert scores == {"pearson": 0.0, "spearman": 0.0}


@pytest.mark.parametrize(("name", "overall"), [("mnli", (1.0 + 0.25) / 2), ("race", 0.4)])
def test_files_are_scored_one_by_one_and_together(name: str, overall: float) -> None:
    """GLUE averages the two files of MNLI; RACE counts the questions of both levels."""
    right = np.array([1, 0, 1, 0, 0])
    sources = ["a", "b", "b", "b", "b"]
    scores = scores_by_source(
        TASKS[name], lambda rows: {"accuracy": float(right[rows].mean())}, sources
    )
    assert scores == {"accuracy": overall, "a_accuracy": 1.0, "b_accuracy": 0.25}


def test_score_of_a_task_is_what_glue_averages() -> None:
    scores = {"accuracy": 0.8, "f1": 0.9}
    assert combined_score(TASKS["mrpc"], scores) == pytest.approx(0.85)
    cola = {"matthews_correlation": 0.3, "accuracy": 0.8}
    assert combined_score(TASKS["cola"], cola) == 0.3


AVERAGES = ("macro_f1", "macro_precision", "macro_recall")


@pytest.mark.parametrize("num_classes", [2, 3, 9])
def test_averages_over_classes_are_scikit_learns(num_classes: int) -> None:
    rng = np.random.default_rng(num_classes)
    for size in (1, 5, 200):  # of five examples some classes have none
        targets, predicted = rng.integers(0, num_classes, (2, size))
        expected = dict(
            zip(
                ("macro_precision", "macro_recall", "macro_f1"),
                sklearn.metrics.precision_recall_fscore_support(
                    targets, predicted, average="macro", zero_division=0.0
                ),
                strict=False,
            )
        )
        for name in AVERAGES:
            ours = compute_metric(name, targets.astype(np.float32), predicted)
            assert ours == pytest.approx(expected[name], abs=1e-12)


def test_averages_over_labels_are_scikit_learns() -> None:
    rng = np.random.default_rng(5)
    for size in (1, 4, 100):
        targets, predicted = rng.integers(0, 2, (2, size, 6))
        targets[:, 5] = predicted[:, 5] = 0  # a label that never occurs counts as 0
        for average in ("micro", "macro"):
            scores = sklearn.metrics.precision_recall_fscore_support(
                targets, predicted, average=average, zero_division=0.0
            )
            for name, expected in zip(("precision", "recall", "f1"), scores, strict=False):
                ours = compute_metric(f"{average}_{name}", targets.astype(np.float32), predicted)
                assert ours == pytest.approx(expected, abs=1e-12)


def test_the_scores_of_each_class_are_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    targets = rng.integers(0, 4, 60)  # the last two of six classes never occur
    probabilities = rng.dirichlet(np.ones(6), 60) * [1, 1, 1, 1, 1, 0]
    task = task_with("macro_f1", *"abcdef")
    classes = describe_classification(task, probabilities, targets)["classes"]
    expected = sklearn.metrics.precision_recall_fscore_support(
        targets, probabilities.argmax(axis=1), labels=range(6), zero_division=0.0
    )
    assert [row["label"] for row in classes] == [*"abcdef"]
    for name, values in zip(("precision", "recall", "f1", "num_examples"), expected, strict=True):
        assert [row[name] for row in classes] == pytest.approx(values.tolist(), abs=1e-12)
    assert sum(row["num_predicted"] for row in classes) == 60


def test_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(0).random(400) < 0.7
    low, high = bootstrap_interval(lambda rows: float(values[rows].mean()), 400)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * (0.7 * 0.3 / 400) ** 0.5, rel=0.15)


def test_classes_are_confused_as_by_hand() -> None:
    targets = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]])
    described = describe_classification(task_with("accuracy", "a", "b"), probabilities, targets)
    assert described["labels"] == ["a", "b"]
    assert described["confusion_matrix"] == [[1, 1], [1, 1]]  # a row for each true label
    assert described["roc_curve"] == {
        "fpr": [0.0, 0.0, 0.5, 0.5, 1.0],
        "tpr": [0.0, 0.5, 0.5, 1.0, 1.0],
        "thresholds": [1.0, 0.8, 0.6, 0.4, 0.1],
    }


def test_a_long_curve_keeps_its_ends_and_101_points() -> None:
    rng = np.random.default_rng(0)
    second = rng.random(5000)
    targets = (rng.random(5000) < 0.5).astype(int)
    probabilities = np.stack([1 - second, second], axis=1)
    task = task_with("accuracy", "a", "b")
    curve = describe_classification(task, probabilities, targets)["roc_curve"]
    assert {len(values) for values in curve.values()} == {101}
    assert (curve["fpr"][0], curve["fpr"][-1], curve["tpr"][-1]) == (0.0, 1.0, 1.0)


def test_there_is_no_curve_of_three_classes_or_of_one() -> None:
    three, two = task_with("accuracy", "a", "b", "c"), task_with("accuracy", "a", "b")
    targets = np.array([1, 1])
    assert "roc_curve" not in describe_classification(three, np.eye(3)[[1, 2]], targets)
    assert "roc_curve" not in describe_classification(two, np.eye(2)[[1, 0]], targets)
