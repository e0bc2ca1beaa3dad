"""What every kind of prediction shares: examples in, the model run in batches, predictions out."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from albert_core.errors import InputError
from albert_core.finetuning.batches import evaluation_batches, pad_inputs
from albert_core.finetuning.features import Features
from albert_core.model_function import ModelInputs
from pipeline.serving.errors import RequestError
from pipeline.serving.opening import ServedModel
from pipeline.serving.schemas import Strict

Item = Mapping[str, Any]
"""An example of a request, with the request's `top_k` where it has one."""

Prediction = Strict | RequestError
"""The answer to an example, or what is wrong with it."""

_LENGTH_MULTIPLE = 8
_DECIMALS = 6


class Predictor(abc.ABC):
    """A model behind texts.

    Args:
        model: The model.
        max_batch_size: Sequences that are run at once.
        observe: Told the number of sequences of every run.
    """

    def __init__(
        self, model: ServedModel, *, max_batch_size: int, observe: Callable[[int], None]
    ) -> None:
        self.model, self.settings = model, model.finetuning
        self._max_batch_size, self._observe = max_batch_size, observe

    @abc.abstractmethod
    def predict(self, items: Sequence[Item]) -> list[Prediction]:
        """Return a prediction for each example, or what is wrong with it."""

    @abc.abstractmethod
    def sample(self, text: str) -> Item:
        """Return an example with a text that can be answered."""

    def check(self) -> None:
        """Answer samples of two shapes, so that all that requests need is loaded and compiled.

        Raises:
            InputError: The model does not have the outputs of its kind.
        """
        try:
            self.predict([self.sample("word")])
            self.predict([self.sample("words of another length " * 4)] * 2)
        except (KeyError, StopIteration) as error:
            raise InputError(
                f"model {self.model.name}: has not the outputs of {self.model.kind} ({error}); "
                "a model for a task needs its task.json beside it"
            ) from error

    def _inputs(self, features: Features, examples: np.ndarray, length: int) -> ModelInputs:
        return pad_inputs(features, examples, length)

    def _outputs(self, features: Features) -> dict[str, list[np.ndarray]]:
        """Return the model's outputs, one array for each example in their order, by name."""
        outputs: dict[str, list[np.ndarray]] = {}
        for examples in evaluation_batches(features.lengths, self._max_batch_size):
            longest = int(features.lengths[examples].max())
            rounded = -(-longest // _LENGTH_MULTIPLE) * _LENGTH_MULTIPLE
            length = max(longest, min(rounded, self.settings.sequence_length))
            self._observe(len(examples))
            for name, rows in self.model.run(self._inputs(features, examples, length)).items():
                own = outputs.setdefault(name, [np.zeros(0)] * len(features))
                for example, row in zip(examples, rows, strict=True):
                    own[example] = row
        return outputs


def rounded(value: float | np.floating) -> float:
    """Return a number with as many decimals as answers have."""
    return round(float(value), _DECIMALS)
