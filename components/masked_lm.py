"""Masked LM by what the model is shown, and effective ranks, for the page and the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.number_formats import format_number

SHOWN_NAMES: Mapping[str, str] = {
    "mask_token": "[MASK]",
    "random": "random token",
    "unchanged": "unchanged token",
}
"""What the input may have at a predicted position, in words, by the names in the metrics."""

SHOWN_ACCURACIES = tuple(f"masked_lm_{shown}_accuracy" for shown in SHOWN_NAMES)

_RANKS = {
    "pooled_output_effective_rank": "pooled output",
    "mean_output_effective_rank": "mean of the tokens",
}


def shown_rows(evaluation: Mapping[str, Any]) -> list[tuple[str, float, float | None, float]]:
    """Return a row for each kind of input that an evaluation tells apart, in a fixed order.

    Args:
        evaluation: A row of `RunSummary.pretraining_history`; those of earlier versions give none.

    Returns:
        The kind in words, its fraction of the predictions, loss (None if missing) and accuracy.
    """
    return [
        (
            words,
            evaluation[f"masked_lm_{shown}_fraction"],
            evaluation.get(f"masked_lm_{shown}_loss"),
            evaluation[f"masked_lm_{shown}_accuracy"],
        )
        for shown, words in SHOWN_NAMES.items()
        if f"masked_lm_{shown}_accuracy" in evaluation
    ]


def describe_ranks(history: Sequence[Mapping[str, Any]]) -> str:
    """Return the effective ranks of the last evaluation in words; empty if it has none."""
    last = history[-1] if history else {}
    ranks = [
        f"{format_number(last[name])} ({words})" for name, words in _RANKS.items() if name in last
    ]
    return f"{', '.join(ranks)} of {last['max_effective_rank']}" if ranks else ""
