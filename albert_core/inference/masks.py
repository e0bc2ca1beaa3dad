"""Tokens for the masks in a text.

Shape suffixes: B batch, P predictions, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from albert_core.finetuning.batches import pad_inputs
from albert_core.finetuning.features import Features
from albert_core.inference.examples import to_text
from albert_core.inference.predictions import (
    FilledText,
    InvalidExample,
    PredictedToken,
    Prediction,
)
from albert_core.inference.predictor import Predictor
from albert_core.model_function import ModelInputs
from albert_core.tokenization.masked import MASK, encode_masked

DEFAULT_TOP_K = 5
MAX_MASKS = 16  # in a text: each costs scores for the whole vocabulary


class MaskPredictor(Predictor):
    """Fills masks with a model that has the head of masked language modelling."""

    def predict(self, examples: Sequence[Any]) -> list[Prediction | InvalidExample]:
        """Return the 5 likeliest tokens for each mask of each text, or what is wrong with a text.

        Raises:
            InputError: An example is no text.
        """
        return self.fill(examples, top_k=DEFAULT_TOP_K)

    def fill(self, examples: Sequence[Any], *, top_k: int) -> list[Prediction | InvalidExample]:
        """Return the `top_k` likeliest tokens for each mask of each text, or what is wrong with it.

        `top_k` is 1 or more (not checked here). The model is run on the usable texts alone, and not
        at all without any.

        Raises:
            InputError: An example is no text.
        """
        texts = [to_text(value, number, self.signature) for number, value in enumerate(examples)]
        encoded = [self._encode(text) for text in texts]
        usable = [ids for ids in encoded if not isinstance(ids, InvalidExample)]
        features = Features.from_sequences(usable, [len(ids) for ids in usable], {})
        outputs = (
            self.outputs(features, self._pad_with_masks) if usable else {"masked_lm_logits": []}
        )
        logits = iter(outputs["masked_lm_logits"])
        return [
            ids if isinstance(ids, InvalidExample) else self._prediction(text, next(logits), top_k)
            for text, ids in zip(texts, encoded, strict=True)
        ]

    def _encode(self, text: str) -> list[int] | InvalidExample:
        """Return a text's token ids with [CLS] and [SEP], or why it cannot be predicted for.

        It has no mask, more than 16, or more tokens than the settings allow: none are cut off.
        """
        num_masks, max_length = text.count(MASK), self.settings.sequence_length
        if not num_masks:
            return InvalidExample(what="text", got="no mask", expected=f"a text with {MASK} in it")
        if num_masks > MAX_MASKS:
            return InvalidExample(
                what="text", got=f"{num_masks} masks", expected=f"at most {MAX_MASKS}"
            )
        special = self.tokenizer.special_ids
        ids = [special.cls, *encode_masked(self.tokenizer, text), special.sep]
        if len(ids) > max_length:
            return InvalidExample(
                what="text",
                got=f"{len(ids) - 2:,} pieces",
                expected=f"at most {max_length - 2:,} of the vocabulary",
            )
        return ids

    def _pad_with_masks(self, features: Features, indices: np.ndarray, length: int) -> ModelInputs:
        """Return a batch's inputs with the positions of its masks, `masked_lm_positions` [B, P].

        P is the largest number of masks in a text of this batch; rows with fewer end in zeros.

        Args:
            features: The sequences of all texts.
            indices: Indices [B] of the examples in the batch.
            length: Tokens that each is padded to.
        """
        inputs = pad_inputs(features, indices, length)
        is_mask_BS = inputs["input_ids"] == self.tokenizer.special_ids.mask
        num_predictions = int(is_mask_BS.sum(axis=1).max())
        positions_BP = np.zeros((len(indices), num_predictions), np.int32)
        for row, is_mask_S in enumerate(is_mask_BS):
            places = np.flatnonzero(is_mask_S)
            positions_BP[row, : len(places)] = places
        return {**inputs, "masked_lm_positions": positions_BP}

    def _prediction(self, text: str, logits_PV: np.ndarray, top_k: int) -> FilledText:
        """Return a text with its masks filled, each with the likeliest token for it alone.

        Args:
            text: The text.
            logits_PV: Scores for its masks in their order; rows beyond these are ignored.
            top_k: Tokens for each mask.
        """
        masks = [self._candidates(row_V, top_k) for row_V in logits_PV[: text.count(MASK)]]
        first, *others = text.split(MASK)
        # Not by replacing one mask after the other: the likeliest token may be [MASK] itself.
        parts = [f"{tokens[0].text}{part}" for tokens, part in zip(masks, others, strict=True)]
        return FilledText(filled="".join([first, *parts]), masks=masks)

    def _candidates(self, logits_V: np.ndarray, count: int) -> list[PredictedToken]:
        """Return the `count` likeliest tokens of the vocabulary for a mask, the likeliest first.

        If tokens are equally likely, the smaller id comes first. Their text is without white space
        around it.
        """
        probabilities_V = softmax(logits_V.astype(float))
        # Stable, so that equally likely tokens come in one order in every runtime.
        best = np.argsort(-probabilities_V, kind="stable")[:count]
        tokens = [self.tokenizer.pieces[index] for index in best]
        surfaces = self.tokenizer.surfaces(tokens)
        return [
            PredictedToken(
                token=token, text=surface.strip(), probability=float(probabilities_V[index])
            )
            for index, token, surface in zip(best, tokens, surfaces, strict=True)
        ]
