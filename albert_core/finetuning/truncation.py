"""How many examples of a task are longer than the sequences that a model is fine-tuned on."""

import numpy as np

from albert_core.finetuning.features import Features

NUM_TRUNCATED = "num_truncated"
"""Metric of a manifest: training examples that lost tokens to a limit of length."""
LENGTH_FOR_MOST = "sequence_length_for_95_percent"
"""Metric of a manifest: the sequence length in tokens into which 95 % of the examples would fit."""

_WORTH_TELLING = 0.01


def count_truncated(features: Features) -> dict[str, int]:
    """Return the number of examples that lost tokens, and the length that would hold 95 % of all.

    They are `NUM_TRUNCATED` and, in tokens with the special ones, `LENGTH_FOR_MOST`. Empty if no
    example lost any.
    """
    number = int(features.are_truncated.sum())
    if not number:
        return {}
    longest = features.whole_lengths.reshape(-1, features.group_size).max(axis=1)
    length = int(np.percentile(longest, 95, method="higher"))
    return {NUM_TRUNCATED: number, LENGTH_FOR_MOST: length}


def describe_truncation(features: Features, split: str) -> str:
    """Return a note about examples that lost tokens to `finetuning.sequence_length`.

    Args:
        features: The examples of a split.
        split: Its name, for the note.

    Returns:
        One sentence; empty if fewer than 1 % of the examples lost tokens.
    """
    counts = count_truncated(features)
    if not counts or counts[NUM_TRUNCATED] < _WORTH_TELLING * len(features):
        return ""
    number = counts[NUM_TRUNCATED]
    return (
        f"{number:,} of {len(features):,} {split} examples ({number / len(features):.0%}) lose "
        "tokens, since they are longer than finetuning.sequence_length, or their choices than "
        f"finetuning.max_choice_length; 95 % of all would fit into {counts[LENGTH_FOR_MOST]:,} "
        "tokens"
    )
