"""Replaced-token detection for the page, the card and the terminal."""

from collections.abc import Mapping
from typing import Any

from albert_core.pretraining.objectives import has_detection
from components.number_formats import format_percent

DETECTION_METRICS: Mapping[str, str] = {
    "replaced_token_accuracy": "Accuracy of the detection",
    "replaced_token_precision": "Precision of the detection",
    "replaced_token_recall": "Recall of the detection",
}
"""What an evaluation has of the detection, in words; each between 0 and 1, larger is better."""


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
