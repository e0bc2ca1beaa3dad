"""The static record: the original's eight features of fixed length, masks and swaps included.

Shape suffixes: B batch, S sequence, P predictions.

Source: write_instance_to_example_files of the original's create_pretraining_data.py.
"""

from collections.abc import Mapping

import numpy as np

from albert_core.records.example_encoder import encode_examples
from albert_core.tokenization import SpecialIds

PIECE_FEATURES = ("input_ids", "input_mask", "segment_ids", "token_boundary")
PREDICTION_FEATURES = ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
LABEL_FEATURE = "next_sentence_labels"


def encode_static(
    batch: Mapping[str, np.ndarray], *, word_starts: np.ndarray, special_ids: SpecialIds
) -> list[bytes]:
    """Serialise a masked batch, as `mask_pairs` returns it, under the original's names."""
    masked = {name: values for name, values in batch.items() if name != "sentence_order_labels"}
    return encode_examples(
        masked
        | {
            "token_boundary": token_boundaries(batch, word_starts, special_ids),
            LABEL_FEATURE: batch["sentence_order_labels"][:, None],
        }
    )


def unmasked(batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the pieces [B, S] as they were before masking."""
    pieces = batch["input_ids"].copy()
    rows, slots = np.nonzero(batch["masked_lm_weights"])
    pieces[rows, batch["masked_lm_positions"][rows, slots]] = batch["masked_lm_ids"][rows, slots]
    return pieces


def token_boundaries(
    batch: Mapping[str, np.ndarray], word_starts: np.ndarray, special_ids: SpecialIds
) -> np.ndarray:
    """Return where words and special pieces begin, int32 [B, S]."""
    pieces = unmasked(batch)
    is_boundary = word_starts[pieces] | np.isin(pieces, (special_ids.cls, special_ids.sep))
    return (is_boundary & (batch["input_mask"] > 0)).astype(np.int32)
