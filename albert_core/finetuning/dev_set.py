"""A dev set to score one model on in several runtimes."""

import dataclasses

from albert_core.finetuning.evaluators import evaluate_outputs
from albert_core.finetuning.prediction import predict_outputs
from albert_core.finetuning.task_preprocessor import TaskData, TaskPreprocessor
from albert_core.model_function import ModelFunction


@dataclasses.dataclass(frozen=True, kw_only=True)
class DevSet:
    """A task's dev set, and the score of a model on it.

    Attributes:
        preprocessor: That of the task.
        data: Its dev set, or a part of it, with labels.
        score: Value of the task's first metric on `data` for the model in the runtime that others
            are compared with.
    """

    preprocessor: TaskPreprocessor
    data: TaskData
    score: float

    @property
    def metric(self) -> str:
        """Name of the task's first metric."""
        return self.preprocessor.task.metrics[0]

    def compute_score(self, run: ModelFunction) -> float:
        """Run the model in another runtime over this dev set and return its first metric."""
        return compute_first_metric(run, self.preprocessor, self.data)


def compute_first_metric(
    run: ModelFunction, preprocessor: TaskPreprocessor, data: TaskData
) -> float:
    """Run a model over a split with known answers and return the task's first metric.

    Batches are padded to the multiple for Keras's backend, which is imported, whatever runs the
    model. Questions that may have no answer are scored at the null threshold that is best on this
    split.

    Args:
        run: The model.
        preprocessor: That of the task.
        data: The split, with at least one example; every example has its answer.
    """
    outputs = predict_outputs(
        run, data.features, preprocessor.inputs, max_length=preprocessor.config.sequence_length
    )
    return evaluate_outputs(preprocessor, data, outputs).metrics()[preprocessor.task.metrics[0]]
