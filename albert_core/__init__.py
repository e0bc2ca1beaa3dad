"""The ALBERT model and everything its pipeline steps share; knows neither kfp nor Beam.

`albert_core.load(path)` opens a model of any kind, to predict with it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from albert_core.config import AlbertConfig
    from albert_core.errors import InputError
    from albert_core.inference import LoadedModel, load
    from albert_core.model import (
        AlbertEncoder,
        AlbertForMultipleChoice,
        AlbertForPreTraining,
        AlbertForQuestionAnswering,
        AlbertForQuestionAnsweringWithBeam,
        AlbertForSequenceClassification,
        AlbertForTokenClassification,
    )

__all__ = [
    "AlbertConfig",
    "AlbertEncoder",
    "AlbertForMultipleChoice",
    "AlbertForPreTraining",
    "AlbertForQuestionAnswering",
    "AlbertForQuestionAnsweringWithBeam",
    "AlbertForSequenceClassification",
    "AlbertForTokenClassification",
    "InputError",
    "LoadedModel",
    "load",
]

_ADDRESSES = {
    "AlbertConfig": "albert_core.config",
    "InputError": "albert_core.errors",
    "load": "albert_core.inference",
    "LoadedModel": "albert_core.inference",
}


def __getattr__(name: str) -> Any:
    """Import models and what predicts with them when they are first asked for.

    Beam workers and data steps import this package and have neither Keras nor safetensors.
    """
    if name in __all__:
        return getattr(importlib.import_module(_ADDRESSES.get(name, "albert_core.model")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
