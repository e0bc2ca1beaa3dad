"""Load a model of any kind and predict with it. Importing this does not import Keras."""

from albert_core.inference.loaded_model import LoadedModel, Pooling
from albert_core.inference.loading import load
from albert_core.inference.predictions import (
    AnswerSpan,
    FilledText,
    InvalidExample,
    PredictedAnswer,
    PredictedChoice,
    PredictedLabel,
    PredictedLabels,
    PredictedScore,
    PredictedToken,
    Prediction,
)
from albert_core.inference.signature import ModelKind, TaskSignature

__all__ = [
    "AnswerSpan",
    "FilledText",
    "InvalidExample",
    "LoadedModel",
    "ModelKind",
    "Pooling",
    "PredictedAnswer",
    "PredictedChoice",
    "PredictedLabel",
    "PredictedLabels",
    "PredictedScore",
    "PredictedToken",
    "Prediction",
    "TaskSignature",
    "load",
]
