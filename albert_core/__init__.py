"""The ALBERT model and everything its pipeline steps share; knows neither kfp nor Beam."""

import importlib
from typing import Any

from albert_core.config import AlbertConfig
from albert_core.errors import InputError

_MODELS = (
    "AlbertEncoder",
    "AlbertForMultipleChoice",
    "AlbertForPreTraining",
    "AlbertForQuestionAnswering",
    "AlbertForQuestionAnsweringWithBeam",
    "AlbertForSequenceClassification",
)

__all__ = ["AlbertConfig", "InputError", *_MODELS]


def __getattr__(name: str) -> Any:
    """Load Keras and its backend only when a model is asked for."""
    if name in _MODELS:
        return getattr(importlib.import_module("albert_core.model"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
