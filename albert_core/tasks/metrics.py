"""Metrics of the tasks, by scikit-learn and SciPy."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from albert_core.tasks.task import Metric, Task

CLASSIFICATION_NAME = "classification.json"
_MAX_CURVE_POINTS = 101

Scores = dict[str, float]


def compute_metrics(task: Task, outputs: np.ndarray, targets: np.ndarray) -> Scores:
    """Return the task's metrics.

    Args:
        task: A task of texts.
        outputs: Logits [M, C], or scores [M, 1] for regression.
        targets: Class numbers, scores or numbers of choices [M].
    """
    predicted = outputs[:, 0] if task.kind == "regression" else outputs.argmax(axis=-1)
    return {name: _FUNCTIONS[name](targets, predicted) for name in task.metrics}


def scores_of_sources(
    task: Task, metrics_of: Callable[[np.ndarray], Scores], sources: Sequence[str]
) -> Scores:
    """Return the task's metrics over all rows, and where there are several files, over each.

    Args:
        task: The task.
        metrics_of: Function of the numbers of some rows; returns their metrics.
        sources: The name of each row's file.

    Returns:
        Metrics by name; of a file called `matched`, as `matched_accuracy`.
    """
    names = np.array(sources)
    rows = {name: np.flatnonzero(names == name) for name in dict.fromkeys(sources)}
    if len(rows) == 1:
        return metrics_of(np.arange(len(sources)))
    own = {name: metrics_of(numbers) for name, numbers in rows.items()}
    if task.averages_sources:
        overall: Scores = {
            metric: float(np.mean([scores[metric] for scores in own.values()]))
            for metric in task.metrics
        }
    else:
        overall = metrics_of(np.arange(len(sources)))
    return overall | {
        f"{name}_{metric}": scores[metric]
        for name, scores in own.items()
        for metric in task.metrics
    }


def combined_score(task: Task, metrics: Mapping[str, float]) -> float:
    """Return the one number of a task that GLUE averages: the mean of its `combined` metrics."""
    return float(np.mean([metrics[name] for name in task.combined or task.metrics[:1]]))


def bootstrap_interval(
    statistic: Callable[[np.ndarray], float],
    num_rows: int,
    *,
    num_samples: int = 1000,
    share: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the interval that holds a share of a statistic's values over resampled rows.

    Args:
        statistic: Function of row numbers, some of them several times.
        num_rows: Number of rows.
        num_samples: How often rows are drawn, as many as there are.
        share: What share of the values lies within; as much lies below as above.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng(seed)
    values = [statistic(rng.integers(0, num_rows, num_rows)) for _ in range(num_samples)]
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def describe_classification(
    task: Task, probabilities: np.ndarray, targets: np.ndarray
) -> dict[str, Any]:
    """Return the confusion matrix and, of two labels, the ROC curve of the second one.

    Args:
        task: A classification.
        probabilities: Of each label [M, C].
        targets: Class numbers [M].

    Returns:
        `labels`; `confusion_matrix`, a row of counts for each true label; `roc_curve` with `fpr`,
        `tpr` and `thresholds`, at most 101 points of it, where both labels occur.
    """
    import sklearn.metrics

    numbers = np.arange(len(task.labels))
    matrix = sklearn.metrics.confusion_matrix(
        targets, probabilities.argmax(axis=-1), labels=numbers
    )
    described = {"labels": list(task.labels), "confusion_matrix": matrix.tolist()}
    if len(task.labels) == 2 and len(np.unique(targets)) == 2:
        fpr, tpr, thresholds = sklearn.metrics.roc_curve(targets, probabilities[:, 1])
        kept = np.linspace(0, len(fpr) - 1, min(len(fpr), _MAX_CURVE_POINTS)).round().astype(int)
        curve = {"fpr": fpr, "tpr": tpr, "thresholds": np.minimum(thresholds, 1.0)}  # starts at inf
        described["roc_curve"] = {name: own[kept].tolist() for name, own in curve.items()}
    return described


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
