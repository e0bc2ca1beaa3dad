"""Whether a model is better than the accepted one."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

from components.promote.config import RetrainingConfig
from components.promote.model_registry import AcceptedModel, TaskScore

_ROUNDING = 1e-9  # of differences of scores, which have four decimals


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two models on one task's dev set.

    Attributes:
        task: Name of the task.
        metric: Its first metric.
        score: The new model's.
        accepted_score: The accepted model's; None where there is none on the same data.
    """

    task: str
    metric: str
    score: float
    accepted_score: float | None

    @property
    def gain(self) -> float | None:
        """How much better the new model is."""
        return None if self.accepted_score is None else self.score - self.accepted_score


@dataclasses.dataclass(frozen=True, kw_only=True)
class Promotion:
    """What became of a new model.

    Attributes:
        date: Date of its run.
        is_promoted: Whether it was accepted.
        reason: Why, or why not, in words.
        accepted_date: Date of the model it was compared with; None of the first.
        comparisons: Both models' scores, by task.
    """

    date: str
    is_promoted: bool
    reason: str
    accepted_date: str | None
    comparisons: Sequence[Comparison]

    @property
    def mean_gain(self) -> float | None:
        """Mean gain over the tasks that can be compared; None where there is none."""
        gains = [one.gain for one in self.comparisons if one.gain is not None]
        return statistics.fmean(gains) if gains else None


def judge(
    scores: Mapping[str, TaskScore],
    accepted: AcceptedModel | None,
    config: RetrainingConfig,
    *,
    date: str,
) -> Promotion:
    """Compare a new model with the accepted one; the first is accepted as it is."""
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


def _comparison(task: str, score: TaskScore, accepted: AcceptedModel | None) -> Comparison:
    other = accepted.scores.get(task) if accepted else None
    is_same_test = other and (other.metric, other.data) == (score.metric, score.data)
    return Comparison(
        task=task,
        metric=score.metric,
        score=score.score,
        accepted_score=other.score if other and is_same_test else None,
    )


def _objections(promotion: Promotion, config: RetrainingConfig) -> list[str]:
    mean = promotion.mean_gain
    if mean is None:
        return [
            "no task has the data and metric that the accepted model was scored on; choose another "
            "retraining.accepted to begin anew"
        ]
    objections = [
        f"{one.task} changed by {_points(one.gain)}, at most {_points(-config.max_loss)} is allowed"
        for one in promotion.comparisons
        if one.gain is not None and one.gain < -config.max_loss - _ROUNDING
    ]
    if mean < config.min_gain - _ROUNDING:
        objections.append(
            f"mean gain {_points(mean)}, at least {_points(config.min_gain)} is needed"
        )
    return objections


def _points(difference: float) -> str:
    return f"{100 * difference:+.2f}"
