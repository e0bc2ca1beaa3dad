"""The predictor for each kind of model."""

from collections.abc import Callable, Mapping

from pipeline.serving.masks import MaskPredictor
from pipeline.serving.opening import ServedModel
from pipeline.serving.predictor import Predictor
from pipeline.serving.questions import AnswerPredictor
from pipeline.serving.texts import TextPredictor

_PREDICTORS: Mapping[str, type[Predictor]] = {
    "question_answering": AnswerPredictor,
    "masked_lm": MaskPredictor,
}


def predictor_for(
    model: ServedModel, *, max_batch_size: int, observe: Callable[[int], None]
) -> Predictor:
    """Return the predictor of a model's kind; arguments are those of `Predictor`."""
    predictor = _PREDICTORS.get(model.kind, TextPredictor)
    return predictor(model, max_batch_size=max_batch_size, observe=observe)
