"""Load a model of any kind and predict with it. Importing this does not import Keras."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
        PredictedTags,
        PredictedToken,
        Prediction,
        TaggedEntity,
        TaggedWord,
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
    "PredictedTags",
    "PredictedToken",
    "Prediction",
    "TaggedEntity",
    "TaggedWord",
    "TaskSignature",
    "load",
]

_MODULES = {
    "LoadedModel": "loaded_model",
    "ModelKind": "signature",
    "Pooling": "sentence_vectors",
    "TaskSignature": "signature",
    "load": "loading",
}


def __getattr__(name: str) -> Any:
    """Return an object of `__all__` by its name; import its module only now.

    The command line knows the formats of files here, and does not wait for SciPy and numba.

    Raises:
        AttributeError: The package has no such name.
    """
    if name in __all__:
        module = importlib.import_module(
            f"albert_core.inference.{_MODULES.get(name, 'predictions')}"
        )
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
