"""What every kind of prediction shares: examples to features, the model run in batches.

Shape suffixes: M examples.
"""

import abc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from albert_core.errors import InputError
from albert_core.finetuning.batches import pad_inputs
from albert_core.finetuning.features import Features
from albert_core.finetuning.prediction import (
    DEFAULT_BATCH_SIZE,
    ExampleOutputs,
    MakeInputs,
    predict_outputs,
)
from albert_core.inference.examples import sample_fields
from albert_core.inference.predictions import InvalidExample, Prediction

if TYPE_CHECKING:
    from albert_core.inference.loaded_model import LoadedModel


class Predictor(abc.ABC):
    """Predicts with a model for examples as people write them.

    Args:
        model: The model.
        batch_size: Examples in a batch; for multiple choice each has a sequence for every choice,
            for questions every window over a context counts as one.
        on_batch: Called with the number of examples before each batch is run.

    Raises:
        InputError: The model has no vocabulary.
    """

    def __init__(
        self,
        model: "LoadedModel",
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        on_batch: Callable[[int], None] | None = None,
    ) -> None:
        """Take vocabulary, settings and signature from the model; nothing is run yet.

        Raises:
            InputError: The model has no vocabulary.
        """
        self.model, self.signature, self.settings = model, model.signature, model.settings
        self.tokenizer = model.require_tokenizer()
        self._batch_size, self._on_batch = batch_size, on_batch

    @abc.abstractmethod
    def predict(self, examples: Sequence[Any]) -> list[Prediction | InvalidExample]:
        """Return a prediction for each example, or what is wrong with it, in their order.

        Args:
            examples: Examples in any form that `LoadedModel.predict` takes; there may be none.

        Raises:
            InputError: An example has not the fields that the model reads.
        """

    def warm_up(self) -> None:
        """Predict for samples of two shapes, so that first requests wait less for compilation.

        The predictions are dropped.

        Raises:
            InputError: The model does not have the outputs of its kind.
        """
        try:
            self.predict([sample_fields(self.signature, "word")])
            self.predict([sample_fields(self.signature, "words of another length " * 4)] * 2)
        except (KeyError, StopIteration) as error:
            raise InputError(
                f"model {self.model.name}: has not the outputs of {self.signature.kind} ({error}); "
                "a model for a task needs its task.json beside it"
            ) from error

    def outputs(self, features: Features, make_inputs: MakeInputs = pad_inputs) -> ExampleOutputs:
        """Run the model and return its outputs for each example, or for each window of questions.

        They are in the order of the features, whatever the order of the batches.

        Args:
            features: The sequences; without any the result is empty.
            make_inputs: Pads a batch, and adds what the model's head reads.
        """
        return predict_outputs(
            self.model.run,
            features,
            make_inputs,
            max_length=self.settings.sequence_length,
            batch_size=self._batch_size,
            length_multiple=self.model.length_multiple,
            batch_cost_tokens=self.model.batch_cost_tokens,
            on_batch=self._on_batch,
        )
