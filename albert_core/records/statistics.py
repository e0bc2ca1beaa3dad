"""What masked records turned out to be: shares, lengths of runs, balance of labels.

Shape suffixes: B batch, S sequence, P predictions.
"""

from collections.abc import Mapping
from typing import Any

import numba
import numpy as np

from albert_core.records.static import unmasked
from albert_core.tokenization import SpecialIds

_LONGEST_RUN = 10  # longer ones count as this

Counts = dict[str, Any]


def count_batch(
    batch: Mapping[str, np.ndarray], *, word_starts: np.ndarray, special_ids: SpecialIds
) -> Counts:
    """Return the counts of a masked batch, as `mask_pairs` returns it; counts of batches add up."""
    pieces = unmasked(batch)
    is_predicted = np.zeros(pieces.shape, bool)
    rows, slots = np.nonzero(batch["masked_lm_weights"])
    positions = batch["masked_lm_positions"][rows, slots]
    is_predicted[rows, positions] = True
    shown, hidden = batch["input_ids"][rows, positions], batch["masked_lm_ids"][rows, slots]
    lengths = batch["input_mask"].sum(axis=1)
    runs = np.zeros(_LONGEST_RUN, np.int64)
    _count_runs(pieces, is_predicted, lengths, word_starts, special_ids.cls, special_ids.sep, runs)
    return {
        "num_records": len(pieces),
        "num_positions": int(pieces.size),
        "num_tokens": int(lengths.sum()),
        "num_predicted": len(rows),
        "num_mask": int(np.sum(shown == special_ids.mask)),
        "num_kept": int(np.sum((shown == hidden) & (shown != special_ids.mask))),
        "num_not_in_order": int(batch["sentence_order_labels"].sum()),
        "num_runs_of_words": runs.tolist(),
    }


@numba.njit(cache=True)
def _count_runs(
    pieces: Any, is_predicted: Any, lengths: Any, starts: Any, cls: int, sep: int, runs: Any
) -> None:
    """Count the unbroken runs of predicted words by their number of words; [SEP] breaks none."""
    for row in range(len(pieces)):
        words = 0
        for position in range(1, lengths[row]):
            piece = pieces[row, position]
            if piece == sep and position < lengths[row] - 1:
                continue
            before = pieces[row, position - 1]
            if is_predicted[row, position] and piece != sep:
                words += words == 0 or starts[piece] or before in (cls, sep)
            elif words:
                runs[min(words, len(runs)) - 1] += 1
                words = 0


def add_counts(total: Counts, counts: Mapping[str, Any]) -> None:
    """Add counts of the same names to a total, element by element."""
    for name, value in counts.items():
        before = total.get(name)
        if isinstance(value, list):
            total[name] = [a + b for a, b in zip(before or [0] * len(value), value, strict=True)]
        else:
            total[name] = (before or 0) + value


def shares(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the statistics of counted records; a share of nothing is 0."""

    def share(part: float, whole: float) -> float:
        return round(part / whole, 4) if whole else 0.0

    predicted, runs = counts["num_predicted"], counts["num_runs_of_words"]
    return {
        "num_records": counts["num_records"],
        "padding_fraction": share(
            counts["num_positions"] - counts["num_tokens"], counts["num_positions"]
        ),
        "predicted_fraction": share(predicted, counts["num_tokens"]),
        "mask_piece_fraction": share(counts["num_mask"], predicted),
        "kept_fraction": share(counts["num_kept"], predicted),
        "random_fraction": share(predicted - counts["num_mask"] - counts["num_kept"], predicted),
        "not_in_order_fraction": share(counts["num_not_in_order"], counts["num_records"]),
        "run_length_shares": [share(run, sum(runs)) for run in runs],
    }
