"""What the masks in a text stand for.

Shape suffixes: B batch, P predictions, V vocabulary.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from albert_core.finetuning.batches import pad_inputs
from albert_core.finetuning.features import Features
from albert_core.model_function import ModelInputs
from albert_core.tokenization.masked import MASK, encode_masked
from pipeline.serving import schemas
from pipeline.serving.errors import RequestError
from pipeline.serving.predictor import Item, Prediction, Predictor, rounded

MAX_MASKS = 16  # of a text: each costs scores for the whole vocabulary


class MaskPredictor(Predictor):
    """A pretrained model that says what masks stand for."""

    def sample(self, text: str) -> Item:
        """Return an example with a text that can be answered."""
        return {"text": f"{MASK} {text}", "top_k": 1}

    def predict(self, items: Sequence[Item]) -> list[Prediction]:
        """Return the likeliest pieces for each mask, or what is wrong with a text."""
        encoded = [self._encode(item["text"]) for item in items]
        usable = [ids for ids in encoded if not isinstance(ids, RequestError)]
        features = Features.of_sequences(usable, [len(ids) for ids in usable], {})
        logits = iter(self._outputs(features)["masked_lm_logits"] if usable else [])
        return [
            ids if isinstance(ids, RequestError) else self._prediction(item, next(logits))
            for item, ids in zip(items, encoded, strict=True)
        ]

    def _encode(self, text: str) -> list[int] | RequestError:
        num_masks, most = text.count(MASK), self.settings.sequence_length
        if num_masks > MAX_MASKS:
            return RequestError(422, "text", f"{num_masks} masks", f"at most {MAX_MASKS}")
        special = self.model.tokenizer.special_ids
        ids = [special.cls, *encode_masked(self.model.tokenizer, text), special.sep]
        if len(ids) > most:
            return RequestError(
                422, "text", f"{len(ids) - 2:,} pieces", f"at most {most - 2:,} of the vocabulary"
            )
        return ids

    def _inputs(self, features: Features, examples: np.ndarray, length: int) -> ModelInputs:
        inputs = pad_inputs(features, examples, length)
        is_mask = inputs["input_ids"] == self.model.tokenizer.special_ids.mask
        positions_BP = np.zeros((len(examples), int(is_mask.sum(axis=1).max())), np.int32)
        for row, own in enumerate(is_mask):
            found = np.flatnonzero(own)
            positions_BP[row, : len(found)] = found
        return {**inputs, "masked_lm_positions": positions_BP}

    def _prediction(self, item: Item, logits_PV: np.ndarray) -> Prediction:
        num_masks = item["text"].count(MASK)
        masks = [self._pieces(row_V, item["top_k"]) for row_V in logits_PV[:num_masks]]
        filled_text = item["text"]
        for pieces in masks:
            filled_text = filled_text.replace(MASK, pieces[0].text, 1)
        return schemas.MaskPrediction(filled=filled_text, masks=masks)

    def _pieces(self, logits_V: np.ndarray, count: int) -> list[schemas.MaskPiece]:
        shares_V = softmax(logits_V.astype(float))
        pieces = self.model.tokenizer.pieces
        best = np.argsort(-shares_V, kind="stable")[:count]
        surfaces = self.model.tokenizer.surfaces([pieces[index] for index in best])
        return [
            schemas.MaskPiece(
                piece=pieces[index], text=surface.strip(), probability=rounded(shares_V[index])
            )
            for index, surface in zip(best, surfaces, strict=True)
        ]
