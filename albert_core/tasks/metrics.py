"""Metrics of the tasks, by scikit-learn and SciPy."""

import collections
from collections.abc import Callable, Mapping

import numpy as np

from albert_core.tasks.task import Metric, Task


def compute_metrics(task: Task, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Return the task's metrics.

    Args:
        task: The task.
        outputs: Logits [N, C], or scores [N, 1] for regression.
        targets: Class numbers or scores [N].
    """
    predicted = outputs[:, 0] if task.is_regression else outputs.argmax(axis=-1)
    return {name: _FUNCTIONS[name](targets, predicted) for name in task.metrics}


def constant_prediction_score(task: Task, train: np.ndarray, targets: np.ndarray) -> float:
    """Return the task's first metric when always the commonest training target is predicted."""
    if task.is_regression:
        outputs = np.full((len(targets), 1), train.mean())
    else:
        commonest, _ = collections.Counter(train.astype(int).tolist()).most_common(1)[0]
        outputs = np.tile(np.eye(len(task.labels))[commonest], (len(targets), 1))
    return compute_metrics(task, outputs, targets)[task.metrics[0]]


def _accuracy(targets: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.mean(targets == predicted))


def _f1(targets: np.ndarray, predicted: np.ndarray) -> float:
    import sklearn.metrics

    return float(sklearn.metrics.f1_score(targets, predicted, zero_division=0.0))


def _matthews_correlation(targets: np.ndarray, predicted: np.ndarray) -> float:
    import sklearn.metrics

    return float(sklearn.metrics.matthews_corrcoef(targets, predicted))


def _mean_squared_error(targets: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.mean(np.square(targets - predicted)))


def _pearson(targets: np.ndarray, predicted: np.ndarray) -> float:
    import scipy.stats

    return _or_zero(scipy.stats.pearsonr, targets, predicted)


def _spearman(targets: np.ndarray, predicted: np.ndarray) -> float:
    import scipy.stats

    return _or_zero(scipy.stats.spearmanr, targets, predicted)


def _or_zero(correlation: Callable, targets: np.ndarray, predicted: np.ndarray) -> float:
    """Correlate; 0 where one side is constant and a correlation does not exist."""
    if np.ptp(targets) == 0 or np.ptp(predicted) == 0:
        return 0.0
    return float(correlation(targets, predicted).statistic)


_FUNCTIONS: Mapping[Metric, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews_correlation": _matthews_correlation,
    "mean_squared_error": _mean_squared_error,
    "pearson": _pearson,
    "spearman": _spearman,
}
