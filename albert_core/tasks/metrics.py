"""Metrics of the tasks, by scikit-learn and SciPy."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from albert_core.tasks.class_metrics import averaged, count_classes
from albert_core.tasks.task import Metric, Task

CLASSIFICATION_NAME = "classification.json"
_MAX_CURVE_POINTS = 101

Scores = dict[str, float]


def compute_metrics(task: Task, outputs: np.ndarray, targets: np.ndarray) -> Scores:
    """Return the task's metrics by name, in its order, from 0 to 1 or -1 to 1, not in percent.

    A mean squared error has no such bounds.

    Args:
        task: A task of classes, labels, scores or choices.
        outputs: Logits [M, C], or scores [M, 1] for regression; at least one example.
        targets: Class numbers, scores or numbers of choices [M]; for `multi_label` 1 or 0 for each
            label [M, C].
    """
    predicted = predicted_values(task, outputs)
    return {name: _FUNCTIONS[name](targets, predicted) for name in task.metrics}


def predicted_values(task: Task, outputs: np.ndarray) -> np.ndarray:
    """Return a model's predictions in the form of the targets, from its outputs.

    A class or choice is that of the highest logit, the first of equal ones; a label of
    `multi_label` is predicted where its logit is above 0.

    Args:
        task: A task of classes, labels, scores or choices.
        outputs: Logits [M, C], or scores [M, 1] for regression.

    Returns:
        Class numbers, scores or numbers of choices [M]; for `multi_label` 1 or 0 for each label [M,
        C].
    """
    if task.kind == "multi_label":
        return (outputs > 0).astype(int)
    return outputs[:, 0] if task.kind == "regression" else outputs.argmax(axis=-1)


def compute_metric(name: Metric, targets: np.ndarray, predicted: np.ndarray) -> float:
    """Return one metric of texts, computed from right answers and predictions.

    Args:
        name: The metric; not one of questions or of tags alone.
        targets: Class numbers, scores or numbers of choices [M]; for `multi_label` 1 or 0 [M, C].
            At least one example.
        predicted: Predictions in the same form.
    """
    return _FUNCTIONS[name](targets, predicted)


def scores_by_source(
    task: Task, compute: Callable[[np.ndarray], Scores], sources: Sequence[str]
) -> Scores:
    """Compute the task's metrics over all rows and, where there are several files, over each.

    If the task has `averages_sources`, the overall metrics are the means of the files' metrics;
    otherwise they are computed over all rows together.

    Args:
        task: The task.
        compute: Function of row numbers; returns the metrics of these rows.
        sources: The name of each row's file; at least one row.

    Returns:
        Metrics by name; those of a file called `matched` have names such as `matched_accuracy`.
        Rows of one file have the overall metrics alone.
    """
    names = np.array(sources)
    rows = {name: np.flatnonzero(names == name) for name in dict.fromkeys(sources)}
    if len(rows) == 1:
        return compute(np.arange(len(sources)))
    by_source = {name: compute(numbers) for name, numbers in rows.items()}
    if task.averages_sources:
        overall: Scores = {
            metric: float(np.mean([scores[metric] for scores in by_source.values()]))
            for metric in task.metrics
        }
    else:
        overall = compute(np.arange(len(sources)))
    return overall | {
        f"{name}_{metric}": scores[metric]
        for name, scores in by_source.items()
        for metric in task.metrics
    }


def combined_score(task: Task, metrics: Mapping[str, float]) -> float:
    """Return the task's one score, as GLUE averages it: the mean of its `combined` metrics.

    Without `combined` it is the first metric.
    """
    return float(np.mean([metrics[name] for name in task.combined or task.metrics[:1]]))


def bootstrap_interval(
    statistic: Callable[[np.ndarray], float],
    num_rows: int,
    *,
    num_samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the bootstrap confidence interval (low, high) of a statistic of rows.

    Args:
        statistic: Function of `num_rows` row numbers, drawn with replacement; called for each
            resample.
        num_rows: Number of rows, 1 or more.
        num_samples: Number of resamples.
        confidence: Fraction of the resampled values inside; as many lie below as above.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng(seed)
    values = [statistic(rng.integers(0, num_rows, num_rows)) for _ in range(num_samples)]
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def gain_interval(
    task: Task,
    targets: np.ndarray,
    predicted: np.ndarray,
    others: np.ndarray,
    sources: Sequence[str],
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval (low, high) of a gain in the task's first metric.

    The gain is the metric of `predicted` less that of `others`. Examples are drawn together with
    both of their predictions, so that examples which are hard for both do not widen the interval.
    If the task has `averages_sources`, the gain is the mean of the files' gains.

    Args:
        task: A task of texts.
        targets: The right answers, as `compute_metric` reads them.
        predicted: The predictions, in the form of the targets.
        others: The predictions with which they are compared.
        sources: The name of each example's file.
    """
    names = np.array(sources)
    groups = np.unique(names) if task.averages_sources else ()
    metric = task.metrics[0]

    def gain(chosen: np.ndarray) -> float:
        """Return the gain on some examples, by their numbers."""
        return compute_metric(metric, targets[chosen], predicted[chosen]) - compute_metric(
            metric, targets[chosen], others[chosen]
        )

    def mean_gain(chosen: np.ndarray) -> float:
        """Return the mean gain over the files, since the task's score is a mean over files, too."""
        parts = [chosen[names[chosen] == name] for name in groups]
        return float(np.mean([gain(part) for part in parts if len(part)]))

    return bootstrap_interval(mean_gain if len(groups) > 1 else gain, len(names))


def describe_classification(
    task: Task, probabilities: np.ndarray, targets: np.ndarray
) -> dict[str, Any]:
    """Return the scores of each class, the confusion matrix and, for two, the ROC curve.

    Args:
        task: A classification.
        probabilities: Probability of each label [M, C].
        targets: Class numbers [M].

    Returns:
        `labels`, the names; `classes`, the scores of each as `ClassCounts.describe` returns them;
        `confusion_matrix`, a row of counts for each true label; and, if the task has two labels and
        both occur, `roc_curve` of the second label with `fpr`, `tpr` and `thresholds`, at most 101
        points spread evenly over the curve. Thresholds above 1 become 1.
    """
    import sklearn.metrics

    numbers = np.arange(len(task.labels))
    matrix = sklearn.metrics.confusion_matrix(
        targets, probabilities.argmax(axis=-1), labels=numbers
    )
    counts = count_classes(targets, probabilities.argmax(axis=-1), len(task.labels))
    description = {
        "labels": list(task.labels),
        "classes": counts.describe(task.labels),
        "confusion_matrix": matrix.tolist(),
    }
    if len(task.labels) == 2 and len(np.unique(targets)) == 2:
        fpr, tpr, thresholds = sklearn.metrics.roc_curve(targets, probabilities[:, 1])
        points = np.linspace(0, len(fpr) - 1, min(len(fpr), _MAX_CURVE_POINTS)).round().astype(int)
        # The first threshold is infinite, which JSON cannot hold.
        curve = {"fpr": fpr, "tpr": tpr, "thresholds": np.minimum(thresholds, 1.0)}
        description["roc_curve"] = {name: values[points].tolist() for name, values in curve.items()}
    return description


def describe_labels(task: Task, predicted: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    """Return the scores of each label of a task of kind `multi_label`.

    Args:
        task: The task.
        predicted: 1 for each label that is predicted, else 0 [M, C].
        targets: 1 for each label that applies, else 0 [M, C].

    Returns:
        `labels`, the names, and `classes`, the scores of each as `ClassCounts.describe` returns
        them.
    """
    counts = count_classes(targets, predicted)
    return {"labels": list(task.labels), "classes": counts.describe(task.labels)}


def _accuracy(targets: np.ndarray, predicted: np.ndarray) -> float:
    """Return the fraction of examples that are right; with several labels, all must be."""
    is_right = targets == predicted
    return float(np.mean(is_right.all(axis=1) if is_right.ndim > 1 else is_right))


# F1, Matthews' and Pearson's correlation in a few operations of NumPy, not by scikit-learn and
# SciPy: their functions check arguments and prepare p-values for up to a millisecond, and a
# bootstrap interval calls them a thousand times.


def _f1(targets: np.ndarray, predicted: np.ndarray) -> float:
    """Return the F1 of class 1; 0 where it neither occurs nor is predicted."""
    hits = np.count_nonzero((targets == 1) & (predicted == 1))
    claims = np.count_nonzero(targets == 1) + np.count_nonzero(predicted == 1)
    return 2 * hits / claims if claims else 0.0


def _matthews_correlation(targets: np.ndarray, predicted: np.ndarray) -> float:
    """Return Matthews' correlation, Gorodkin's for over two classes; 0 where one side is constant.

    Source: Gorodkin 2004, Comparing two K-category assignments by a K-category correlation.
    """
    true, claimed = targets.astype(int), predicted.astype(int)
    num_classes = 1 + max(true.max(), claimed.max())
    true_counts, claimed_counts = (
        np.bincount(classes, minlength=num_classes).astype(float) for classes in (true, claimed)
    )
    total, hits = float(len(true)), float(np.count_nonzero(true == claimed))
    covariance = hits * total - true_counts @ claimed_counts
    scale = (total**2 - true_counts @ true_counts) * (total**2 - claimed_counts @ claimed_counts)
    return float(covariance / np.sqrt(scale)) if scale else 0.0


def _mean_squared_error(targets: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.mean(np.square(targets - predicted)))


def _pearson(targets: np.ndarray, predicted: np.ndarray) -> float:
    """Return the linear correlation; 0 where one side is constant, so that it does not exist."""
    if np.ptp(targets) == 0 or np.ptp(predicted) == 0:
        return 0.0
    first, second = (
        values.astype(np.float64) - np.mean(values, dtype=np.float64)
        for values in (targets, predicted)
    )
    scale = np.linalg.norm(first) * np.linalg.norm(second)
    return float(np.clip(first @ second / scale, -1.0, 1.0)) if scale else 0.0


def _spearman(targets: np.ndarray, predicted: np.ndarray) -> float:
    """Return the correlation of ranks; 0 where one side is constant, so that it does not exist."""
    import scipy.stats

    if np.ptp(targets) == 0 or np.ptp(predicted) == 0:
        return 0.0
    return float(scipy.stats.spearmanr(targets, predicted).statistic)


_FUNCTIONS: Mapping[Metric, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews_correlation": _matthews_correlation,
    "micro_f1": averaged("micro", "f1"),
    "micro_precision": averaged("micro", "precision"),
    "micro_recall": averaged("micro", "recall"),
    "macro_f1": averaged("macro", "f1"),
    "macro_precision": averaged("macro", "precision"),
    "macro_recall": averaged("macro", "recall"),
    "mean_squared_error": _mean_squared_error,
    "pearson": _pearson,
    "spearman": _spearman,
}
