"""Whether a model is better than the accepted one."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

from components.promote.config import RetrainingConfig
from components.promote.model_registry import AcceptedModel, ComparableScore

# Scores have four decimals, but differences of floats come out as 0.00099999: a gain of exactly
# min_gain must count.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """The scores of the new and the accepted model on one task's dev set.

    Attributes:
        task: Name of the task.
        metric: Its first metric.
        score: The new model's score.
        accepted_score: The accepted model's; None if it was not scored on the same data.
    """

    task: str
    metric: str
    score: float
    accepted_score: float | None

    @property
    def gain(self) -> float | None:
        """Score of the new model minus that of the accepted one, or None."""
        return None if self.accepted_score is None else self.score - self.accepted_score


@dataclasses.dataclass(frozen=True, kw_only=True)
class Promotion:
    """The decision on a new model.

    Attributes:
        date: Date of its run.
        is_promoted: Whether it was accepted.
        reason: Why, or why not, in words.
        accepted_date: Date of the model it was compared with; None for the first model.
        comparisons: Both models' scores, by task.
    """

    date: str
    is_promoted: bool
    reason: str
    accepted_date: str | None
    comparisons: Sequence[Comparison]

    @property
    def mean_gain(self) -> float | None:
        """Mean gain over the tasks with a gain; None if no task has one."""
        gains = [comparison.gain for comparison in self.comparisons if comparison.gain is not None]
        return statistics.fmean(gains) if gains else None


def decide(
    scores: Mapping[str, ComparableScore],
    accepted: AcceptedModel | None,
    config: RetrainingConfig,
    *,
    date: str,
) -> Promotion:
    """Decide whether a new model replaces the accepted one.

    It does if its mean gain over the tasks that can be compared is `config.min_gain` or more and no
    task loses more than `config.max_loss`. It does not if no task can be compared. If no model was
    accepted before, it always does. Writes nothing.

    Args:
        scores: The new model's scores, by task.
        accepted: The accepted model; None if there is none yet.
        config: The bounds.
        date: Date of the new model's run.
    """
    promotion = Promotion(
        date=date,
        is_promoted=True,
        reason="the first model",
        accepted_date=accepted.date if accepted else None,
        comparisons=[_comparison(task, score, accepted) for task, score in scores.items()],
    )
    if accepted is None:
        return promotion
    objections = _objections(promotion, config)
    return dataclasses.replace(
        promotion,
        is_promoted=not objections,
        reason="; ".join(objections) or "better than the model before",
    )


def _comparison(task: str, score: ComparableScore, accepted: AcceptedModel | None) -> Comparison:
    """Return both models' scores on a task.

    That of the accepted model is None if there is no such model, or if it was not scored on the
    task with the same metric and data.
    """
    other = accepted.scores.get(task) if accepted else None
    # A dev set that was extended, or another metric, would pass for a gain or a loss of the model.
    is_same_test = other and (other.metric, other.data) == (score.metric, score.data)
    return Comparison(
        task=task,
        metric=score.metric,
        score=score.score,
        accepted_score=other.score if other and is_same_test else None,
    )


def _objections(promotion: Promotion, config: RetrainingConfig) -> list[str]:
    """Return the reasons against the new model, in words; empty if it is to be accepted.

    One for each task that lost more than allowed and one for too small a mean gain; if no task can
    be compared, that alone.

    Args:
        promotion: With comparisons to an accepted model; the decision in it is not looked at.
        config: The bounds.
    """
    mean = promotion.mean_gain
    if mean is None:
        return [
            "no task has the data and metric that the accepted model was scored on; choose another "
            "retraining.accepted to begin anew"
        ]
    objections = [
        f"{comparison.task} changed by {_points(comparison.gain)}, at most "
        f"{_points(-config.max_loss)} is allowed"
        for comparison in promotion.comparisons
        if comparison.gain is not None and comparison.gain < -config.max_loss - _ROUNDING
    ]
    if mean < config.min_gain - _ROUNDING:
        objections.append(
            f"mean gain {_points(mean)}, at least {_points(config.min_gain)} is needed"
        )
    return objections


def _points(difference: float) -> str:
    """Return a difference of scores times 100, with its sign and two decimals."""
    return f"{100 * difference:+.2f}"
