"""Differences of two predictions of one dev set, with intervals by the bootstrap and over seeds."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from albert_core.tasks import Task
from albert_core.tasks.metrics import bootstrap_interval, gain_interval
from albert_core.tasks.token_metrics import TagScores

ExampleRow = Mapping[str, Any]
Interval = tuple[float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """A model's score compared with a baseline's; with several seeds, their means.

    Attributes:
        baseline: What it is compared with: `random_weights`, `without_model` or `majority`.
        method: The baseline in words.
        score: The baseline's score.
        gain: The model's score minus the baseline's.
        low: Lower bound of the gain's 95 % interval; None if it is not known.
        high: Its upper bound.
        is_paired: Whether the interval is of both predictions of each example; else it follows
            from the intervals of both scores, and is wider.
        interval: The 95 % interval of the baseline's own score; None if it is not known.
        num_seeds: Trainings whose mean the model's score is.
    """

    baseline: str
    method: str
    score: float
    gain: float
    low: float | None = None
    high: float | None = None
    is_paired: bool = False
    interval: Interval | None = None
    num_seeds: int = 1

    @property
    def model_score(self) -> float:
        """The model's score that is compared, which of several seeds is their mean."""
        return self.score + self.gain

    @property
    def sign(self) -> int:
        """1 or -1 if the interval is wholly above or below 0; else 0."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeedScores:
    """The scores of trainings that differ in nothing but their seed.

    Attributes:
        mean: Their mean.
        std: Their sample standard deviation; 0 for a single training.
        num: How many there are.
    """

    mean: float
    std: float = 0.0
    num: int = 1


def widen_by_seeds(
    interval: Interval, *, around: float, centre: float, seeds: Sequence[SeedScores]
) -> Interval:
    """Return the interval of a mean over seeds, from that of one of its trainings.

    The bootstrap tells how a score depends on the dev examples, and nothing of how it depends on
    the seed: the distances from the bounds and half the width of the interval of the mean over the
    seeds are added as independent errors are, by their squares. Single trainings tell nothing of
    their seeds: without others the interval is only moved.

    Args:
        interval: The bootstrap interval of one training's score, or of the difference of two.
        around: The score or difference.
        centre: The mean score, or the difference of two means.
        seeds: The scores that `centre` is the mean of; two for a difference.
    """
    half = _half_width_over_seeds(seeds)
    low, high = interval
    if not half:
        return low + (centre - around), high + (centre - around)
    return centre - math.hypot(around - low, half), centre + math.hypot(high - around, half)


def _half_width_over_seeds(seeds: Sequence[SeedScores]) -> float:
    """Return half of the 95 % interval of a mean, or of a difference of means, over seeds.

    By Student's t with the degrees of freedom of Welch and Satterthwaite; 0 without spread. A model
    of a single seed adds no variance.
    """
    import scipy.stats

    variances = [
        (seed_scores.std**2 / seed_scores.num, seed_scores.num - 1)
        for seed_scores in seeds
        if seed_scores.num > 1
    ]
    total = math.fsum(variance for variance, _ in variances)
    if not total:
        return 0.0
    freedom = total**2 / math.fsum(variance**2 / count for variance, count in variances)
    return float(scipy.stats.t.ppf(0.975, freedom)) * math.sqrt(total)


def paired_interval(
    task: Task, rows: Sequence[ExampleRow], others: Sequence[Any]
) -> Interval | None:
    """Return the 95 % bootstrap interval of a gain in the task's first metric.

    Examples are drawn together with both of their predictions, so that examples which are hard for
    both do not widen the interval.

    Args:
        task: The task.
        rows: The dev examples with the model's predictions.
        others: The baseline's prediction for each row, in the order of the rows and in the same
            form; for questions its score.

    Returns:
        The interval; None if there are no rows.
    """
    if not rows:
        return None
    if task.kind == "question_answering":
        gains = np.array([row["score"] for row in rows]) - np.array(others)
        return bootstrap_interval(lambda chosen: float(gains[chosen].mean()), len(rows))
    if task.kind == "token_classification":
        return _tags_interval(task, rows, others)
    targets, predicted = (np.array([row[name] for row in rows]) for name in ("label", "prediction"))
    sources = [row["source"] for row in rows]
    return gain_interval(task, targets, predicted, np.array(others), sources)


def _tags_interval(task: Task, rows: Sequence[ExampleRow], others: Sequence[Any]) -> Interval:
    """Return the 95 % bootstrap interval of a gain in the first metric of a task of tags.

    Sentences are drawn, and each draw is scored as a whole, since F1 is no mean over sentences.

    Args:
        task: The task.
        rows: The dev sentences with the model's predictions, at least one.
        others: The baseline's tags of each, as numbers, in the order of the rows.
    """
    targets = [row["label"] for row in rows]
    ours, theirs = (
        TagScores(task, targets, tags) for tags in ([row["prediction"] for row in rows], others)
    )
    metric = task.metrics[0]
    return bootstrap_interval(
        lambda chosen: ours.metrics(chosen)[metric] - theirs.metrics(chosen)[metric], len(rows)
    )


def unpaired_interval(
    gain: float, first: Interval | None, second: Interval | None
) -> Interval | None:
    """Return the interval of a difference from the intervals of two scores; None without both.

    The scores count as independent: the squares of half their intervals' widths add up, and the
    interval has `gain` in its middle.
    """
    if first is None or second is None:
        return None
    middle_first, middle_second = sum(first) / 2, sum(second) / 2
    half = math.hypot(first[1] - middle_first, second[1] - middle_second)
    return gain - half, gain + half


def mean_gain(differences: Sequence[Difference]) -> tuple[float, Interval | None]:
    """Return the mean gain over tasks, and its interval if every gain has one.

    The interval's half width is the root of the sum of the squared half widths, over their number.

    Args:
        differences: Difference of each task, at least one; the tasks' dev sets are independent.
    """
    mean = math.fsum(difference.gain for difference in differences) / len(differences)
    halves = [
        (difference.high - difference.low) / 2
        for difference in differences
        if difference.low is not None and difference.high is not None
    ]
    if len(halves) < len(differences):
        return mean, None
    half = math.hypot(*halves) / len(halves)
    return mean, (mean - half, mean + half)
