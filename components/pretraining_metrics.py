"""The metrics of a pretraining in words, for the page, the card and the terminal.

They are of masked LM by what the model is shown, of replaced-token detection, and effective ranks.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from albert_core.pretraining.objectives import has_detection
from components.number_formats import format_number, format_percent

SHOWN_NAMES: Mapping[str, str] = {
    "mask_token": "[MASK]",
    "random": "random token",
    "unchanged": "unchanged token",
}
"""What the input may have at a predicted position, in words, by the names in the metrics."""

SHOWN_ACCURACIES = tuple(f"masked_lm_{shown}_accuracy" for shown in SHOWN_NAMES)

DETECTION_METRICS: Mapping[str, str] = {
    "replaced_token_accuracy": "Accuracy of the detection",
    "replaced_token_precision": "Precision of the detection",
    "replaced_token_recall": "Recall of the detection",
}
"""What an evaluation has of the detection, in words; each between 0 and 1, larger is better."""

_RANKS = {
    "pooled_output_effective_rank": "pooled output",
    "mean_output_effective_rank": "mean of the tokens",
}


class ShownMetrics(NamedTuple):
    """Masked LM at the positions whose input is of one kind.

    Attributes:
        words: The kind, such as `[MASK]`.
        fraction: Its fraction of the predictions.
        loss: Mean loss; None if missing.
        accuracy: Accuracy.
    """

    words: str
    fraction: float
    loss: float | None
    accuracy: float


def metrics_by_shown(evaluation: Mapping[str, Any]) -> list[ShownMetrics]:
    """Return the metrics for each kind of input that an evaluation tells apart.

    They come in the order of `SHOWN_NAMES`: [MASK], random token, unchanged token. A kind whose
    accuracy the evaluation lacks is left out.

    Args:
        evaluation: A row of `RunSummary.pretraining_history`; those of earlier versions give none.
    """
    return [
        ShownMetrics(
            words=words,
            fraction=evaluation[f"masked_lm_{shown}_fraction"],
            loss=evaluation.get(f"masked_lm_{shown}_loss"),
            accuracy=evaluation[f"masked_lm_{shown}_accuracy"],
        )
        for shown, words in SHOWN_NAMES.items()
        if f"masked_lm_{shown}_accuracy" in evaluation
    ]


def describe_ranks(history: Sequence[Mapping[str, Any]]) -> str:
    """Return the effective ranks of the last evaluation in words; empty if it has none.

    Args:
        history: Rows as of `RunSummary.pretraining_history`, the oldest first; only the last is
            read. A row with ranks must have `max_effective_rank`, too.
    """
    last = history[-1] if history else {}
    ranks = [
        f"{format_number(last[name])} ({words})" for name, words in _RANKS.items() if name in last
    ]
    return f"{', '.join(ranks)} of {last['max_effective_rank']}" if ranks else ""


def masked_lm_title(evaluation: Mapping[str, Any]) -> str:
    """Return the title of an evaluation's masked-LM accuracy, which may be the generator's.

    Args:
        evaluation: A row of `RunSummary.pretraining_history`, or the metrics of a manifest.
    """
    return "Masked LM accuracy" + (" of the generator" if has_detection(evaluation) else "")


def detection_baseline(evaluation: Mapping[str, Any]) -> float:
    """Return the accuracy of taking no token for replaced.

    Raises:
        KeyError: The evaluation is not one of replaced-token detection (`has_detection`).
    """
    return 1 - evaluation["replaced_token_fraction"]


def describe_detection(evaluation: Mapping[str, Any]) -> str:
    """Return in words precision and recall, where measured, and the accuracy to compare with.

    That is the accuracy of taking no token for replaced. The evaluation must be one of
    replaced-token detection (`has_detection`); any other gives a KeyError.
    """
    parts = [
        f"{words} {format_percent(evaluation[name])}"
        for name, words in (
            ("replaced_token_precision", "precision"),
            ("replaced_token_recall", "recall"),
        )
        if name in evaluation
    ]
    baseline = format_percent(detection_baseline(evaluation))
    return "; ".join([*parts, f"taking none for replaced: {baseline}"])
