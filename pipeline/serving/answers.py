"""Predictions as responses say them: rounded, with as many candidates as were asked for."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from albert_core.inference import (
    FilledText,
    InvalidExample,
    PredictedAnswer,
    PredictedChoice,
    PredictedLabel,
    PredictedLabels,
    PredictedScore,
    PredictedTags,
    Prediction,
    TaggedEntity,
    TaggedWord,
)
from albert_core.inference.masks import MaskPredictor
from albert_core.inference.predictor import Predictor
from pipeline.serving import schemas
from pipeline.serving.errors import RequestError
from pipeline.serving.schemas import DEFAULT_TOP_K, Strict

ServedExample = dict[str, Any]
"""An example of a request, with the request's `top_k` where it has one."""

_DECIMALS = 6


def make_answer_function(
    predictor: Predictor,
) -> Callable[[Sequence[ServedExample]], list[Strict | RequestError]]:
    """Return a function from the examples of a batch to what the responses say of each.

    Their order is kept. An example that has no prediction gets the error to answer its request
    with, which is returned, not raised. Numbers are rounded to 6 decimals.
    """

    def answer(examples: Sequence[ServedExample]) -> list[Strict | RequestError]:
        """Run the model on examples, which may ask for different `top_k`, 5 if they do not say.

        Masks are filled for the largest of them; each answer is then cut to its number.

        Raises:
            InputError: An example has not the fields that the model reads.
        """
        top_ks = [example.get("top_k", DEFAULT_TOP_K) for example in examples]
        fields = [{k: v for k, v in example.items() if k != "top_k"} for example in examples]
        if isinstance(predictor, MaskPredictor):
            predictions = predictor.fill(fields, top_k=max(top_ks))
        else:
            predictions = predictor.predict(fields)
        return [
            _to_schema(prediction, top_k)
            for prediction, top_k in zip(predictions, top_ks, strict=True)
        ]

    return answer


def _to_schema(prediction: Prediction | InvalidExample, top_k: int) -> Strict | RequestError:
    """Return what the response says of a prediction; for an invalid example the error, status 422.

    Args:
        prediction: A prediction of any kind, or an `InvalidExample`.
        top_k: Most candidates of an answer or a mask; makes no difference for other kinds.
    """
    match prediction:
        case InvalidExample():
            return RequestError(422, prediction.what, prediction.got, prediction.expected)
        case PredictedLabel():
            return schemas.ClassificationPrediction(
                label=prediction.label,
                probability=_rounded(prediction.probability),
                probabilities={k: _rounded(v) for k, v in prediction.probabilities.items()},
                is_truncated=prediction.is_truncated,
            )
        case PredictedLabels():
            return schemas.MultiLabelPrediction(
                labels=list(prediction.labels),
                probabilities={k: _rounded(v) for k, v in prediction.probabilities.items()},
                is_truncated=prediction.is_truncated,
            )
        case PredictedScore():
            return schemas.RegressionPrediction(
                score=_rounded(prediction.score), is_truncated=prediction.is_truncated
            )
        case PredictedChoice():
            return schemas.ChoicePrediction(
                choice=prediction.choice,
                probability=_rounded(prediction.probability),
                probabilities=[_rounded(value) for value in prediction.probabilities],
                is_truncated=prediction.is_truncated,
            )
        case PredictedTags():
            return schemas.TagsPrediction(
                words=[schemas.WordTag(**_plain(word)) for word in prediction.words],
                entities=[schemas.FoundEntity(**_plain(entity)) for entity in prediction.entities],
                is_truncated=prediction.is_truncated,
            )
        case PredictedAnswer():
            return _span_answer(prediction, top_k)
        case _:
            return _mask_answer(prediction, top_k)


def _plain(tagged: TaggedWord | TaggedEntity) -> dict[str, Any]:
    """Return a word or an entity by the names of its fields, its probability rounded."""
    return {**dataclasses.asdict(tagged), "probability": _rounded(tagged.probability)}


def _span_answer(prediction: PredictedAnswer, top_k: int) -> schemas.AnswerPrediction:
    """Return an answer, rounded, with its `top_k` best candidates."""
    null_odds = prediction.null_odds
    return schemas.AnswerPrediction(
        answer=prediction.answer,
        probability=_rounded(prediction.probability),
        null_odds=None if null_odds is None else _rounded(null_odds),
        null_threshold=prediction.null_threshold,
        n_best=[
            schemas.AnswerCandidate(
                text=candidate.text,
                probability=_rounded(candidate.probability),
                start_log_prob=_rounded(candidate.start_log_prob),
                end_log_prob=_rounded(candidate.end_log_prob),
            )
            for candidate in prediction.candidates[:top_k]
        ],
        is_truncated=prediction.is_truncated,
    )


def _mask_answer(prediction: FilledText, top_k: int) -> schemas.MaskPrediction:
    """Return a filled text with the `top_k` likeliest tokens for each mask, rounded."""
    return schemas.MaskPrediction(
        filled=prediction.filled,
        masks=[
            [
                schemas.MaskPiece(
                    piece=candidate.token,
                    text=candidate.text,
                    probability=_rounded(candidate.probability),
                )
                for candidate in candidates[:top_k]
            ]
            for candidates in prediction.masks
        ],
    )


def _rounded(value: float | np.floating) -> float:
    return round(float(value), _DECIMALS)
