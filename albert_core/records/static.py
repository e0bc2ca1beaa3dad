"""The static record: the original's eight features of fixed length, masks and swaps included.

Shape suffixes: B batch, S sequence, P predictions, V vocabulary.

Source: write_instance_to_example_files of the original's create_pretraining_data.py.
"""

from collections.abc import Mapping

import numpy as np

from albert_core.records.example_encoder import encode_examples
from albert_core.tokenization import SpecialIds
from albert_core.tokenization.word_borders import BEGINS_WORD, ENDS_WORD

TOKEN_FEATURES = ("input_ids", "input_mask", "segment_ids", "token_boundary")
PREDICTION_FEATURES = ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
# The original kept BERT's name for the sentence-order label, and its reader asks for it.
LABEL_FEATURE = "next_sentence_labels"


def encode_static(
    batch: Mapping[str, np.ndarray], *, word_starts: np.ndarray, special_ids: SpecialIds
) -> list[bytes]:
    """Serialise a masked batch, as `mask_pairs` returns it, under the original's names.

    Args:
        batch: The batch of `mask_pairs`, not changed.
        word_starts: uint8 [V], as `Tokenizer.word_borders` returns it; for `token_boundary`.
        special_ids: The ids of the special tokens.

    Returns:
        A tf.train.Example of the eight features for each row, in order.
    """
    masked = {name: values for name, values in batch.items() if name != "sentence_order_labels"}
    return encode_examples(
        masked
        | {
            "token_boundary": token_boundaries(batch, word_starts, special_ids),
            LABEL_FEATURE: batch["sentence_order_labels"][:, None],
        }
    )


def unmask(batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return a copy of the token ids int32 [B, S] of a masked batch as they were before masking."""
    token_ids = batch["input_ids"].copy()
    # Weights, not ids, tell which slots are used: 0 is a position and a token id, too.
    rows, slots = np.nonzero(batch["masked_lm_weights"])
    token_ids[rows, batch["masked_lm_positions"][rows, slots]] = batch["masked_lm_ids"][rows, slots]
    return token_ids


def token_boundaries(
    batch: Mapping[str, np.ndarray], word_starts: np.ndarray, special_ids: SpecialIds
) -> np.ndarray:
    """Return 1 where a word begins and at [CLS] and [SEP], else 0, also at padding; int32 [B, S].

    Words are those of the tokens before masking.

    Args:
        batch: A masked batch, as `mask_pairs` returns it.
        word_starts: uint8 [V], as `Tokenizer.word_borders` returns it.
        special_ids: The ids of the special tokens.
    """
    token_ids = unmask(batch)
    # By the true tokens, as in the original: those that replace them say nothing about words.
    is_special = np.isin(token_ids, (special_ids.cls, special_ids.sep))
    previous_ids = np.roll(token_ids, 1, axis=1)  # of [CLS], the first, it does not matter
    is_start = (word_starts[token_ids] & BEGINS_WORD) | (word_starts[previous_ids] & ENDS_WORD)
    is_boundary = (is_start > 0) | is_special
    return (is_boundary & (batch["input_mask"] > 0)).astype(np.int32)
