"""Statistics of masked records: fractions, lengths of masked runs, balance of labels.

Shape suffixes: B batch, S sequence, P predictions, V vocabulary.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from albert_core.processes.kernels import kernel
from albert_core.records.static import unmask
from albert_core.records.word_borders import begins_word
from albert_core.tokenization import SpecialIds

_LONGEST_RUN = 10  # longer ones count as this

Counts = dict[str, Any]


def count_batch(
    batch: Mapping[str, np.ndarray], *, word_starts: np.ndarray, special_ids: SpecialIds
) -> Counts:
    """Count records, tokens, predicted tokens, swaps and masked runs of a batch of `mask_pairs`.

    The counts of batches add up (`add_counts`), so that no worker needs to see all records;
    `masking_statistics` divides them in the end.

    Args:
        batch: The batch, not changed.
        word_starts: uint8 [V], as `Tokenizer.word_borders` returns it.
        special_ids: The ids of [CLS], [SEP] and [MASK].

    Returns:
        Integers: `num_records`, `num_positions` (with padding), `num_tokens` (without it, special
        tokens included), `num_predicted` (also permuted ones), of these `num_mask` (shown as
        [MASK]) and `num_unchanged`, and `num_not_in_order` (records); and `num_runs_of_words`, a
        list of ten: unbroken runs of 1, 2, ... predicted words, the last for longer ones.
    """
    token_ids = unmask(batch)
    is_predicted = np.zeros(token_ids.shape, bool)
    rows, slots = np.nonzero(batch["masked_lm_weights"])
    positions = batch["masked_lm_positions"][rows, slots]
    is_predicted[rows, positions] = True
    shown, hidden = batch["input_ids"][rows, positions], batch["masked_lm_ids"][rows, slots]
    lengths = batch["input_mask"].sum(axis=1)
    runs = np.zeros(_LONGEST_RUN, np.int64)
    _count_runs(
        token_ids, is_predicted, lengths, word_starts, special_ids.cls, special_ids.sep, runs
    )
    return {
        "num_records": len(token_ids),
        "num_positions": int(token_ids.size),
        "num_tokens": int(lengths.sum()),
        "num_predicted": len(rows),
        "num_mask": int(np.sum(shown == special_ids.mask)),
        "num_unchanged": int(np.sum((shown == hidden) & (shown != special_ids.mask))),
        "num_not_in_order": int(batch["sentence_order_labels"].sum()),
        "num_runs_of_words": runs.tolist(),
    }


@kernel()
def _count_runs(
    token_ids: Any, is_predicted: Any, lengths: Any, word_starts: Any, cls: int, sep: int, runs: Any
) -> None:
    """Count the unbroken runs of predicted words by their number of words.

    Args:
        token_ids: int32 [B, S], the tokens as they were before masking.
        is_predicted: bool [B, S].
        lengths: int64 [B], lengths without padding.
        word_starts: uint8 [V], as `Tokenizer.word_borders` returns it.
        cls: Id of [CLS].
        sep: Id of [SEP].
        runs: Receives int64 [R], added to: runs of 1, 2, ... words; the last counts longer ones.
    """
    for row in range(len(token_ids)):
        num_words = 0
        for position in range(1, lengths[row]):
            token, previous = token_ids[row, position], token_ids[row, position - 1]
            # Masked n-grams may run across the [SEP] between the segments, as in the original,
            # so it ends no run; the [SEP] at the end does.
            if token == sep and position < lengths[row] - 1:
                continue
            if is_predicted[row, position] and token != sep:
                is_start = begins_word(word_starts, token, previous) or previous in (cls, sep)
                num_words += num_words == 0 or is_start
            elif num_words:
                runs[min(num_words, len(runs)) - 1] += 1
                num_words = 0


def add_counts(total: Counts, counts: Mapping[str, Any]) -> None:
    """Add counts to the totals of the same names in place; a missing total counts as 0.

    Lists are added item by item.

    Raises:
        ValueError: Two lists of the same name differ in length.
    """
    for name, value in counts.items():
        before = total.get(name)
        if isinstance(value, list):
            total[name] = [a + b for a, b in zip(before or [0] * len(value), value, strict=True)]
        else:
            total[name] = (before or 0) + value


def masking_statistics(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics of masks, from counts of `count_batch`: `num_records` and fractions.

    The fraction of padding is one of all positions, `predicted_fraction` of tokens,
    `not_in_order_fraction` of records; the others are fractions of predicted tokens. Fractions are
    rounded to four digits; a fraction of nothing is 0. `run_length_fractions` is a list of
    fractions of all runs, for those of 1, 2, ... words, the last for longer ones.
    """

    def fraction(part: float, whole: float) -> float:
        return round(part / whole, 4) if whole else 0.0

    num_predicted, runs = counts["num_predicted"], counts["num_runs_of_words"]
    num_mask, num_unchanged = counts["num_mask"], counts["num_unchanged"]
    num_padding = counts["num_positions"] - counts["num_tokens"]
    return {
        "num_records": counts["num_records"],
        "padding_fraction": fraction(num_padding, counts["num_positions"]),
        "predicted_fraction": fraction(num_predicted, counts["num_tokens"]),
        "mask_token_fraction": fraction(num_mask, num_predicted),
        "unchanged_fraction": fraction(num_unchanged, num_predicted),
        "random_fraction": fraction(num_predicted - num_mask - num_unchanged, num_predicted),
        "not_in_order_fraction": fraction(counts["num_not_in_order"], counts["num_records"]),
        "run_length_fractions": [fraction(run, sum(runs)) for run in runs],
    }
