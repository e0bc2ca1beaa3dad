"""A dev set to score one model on in several runtimes."""

import dataclasses

from albert_core.finetuning.evaluators import evaluate_outputs
from albert_core.finetuning.prediction import predict_outputs
from albert_core.finetuning.task_program import TaskData, TaskProgram
from albert_core.model_function import ModelFunction


@dataclasses.dataclass(frozen=True, kw_only=True)
class DevSet:
    """A task's dev set, and the score of a model on it.

    Attributes:
        program: The task.
        data: Its dev set, or a part of it.
        score: The first metric of the model that other runtimes are compared with.
    """

    program: TaskProgram
    data: TaskData
    score: float

    @property
    def metric(self) -> str:
        """Name of the task's first metric."""
        return self.program.task.metrics[0]

    def score_of(self, run: ModelFunction) -> float:
        """Return the first metric of the model in another runtime."""
        return first_metric(run, self.program, self.data)


def first_metric(run: ModelFunction, program: TaskProgram, data: TaskData) -> float:
    """Return a model's first metric of a task on a split with known answers."""
    outputs = predict_outputs(
        run, data.features, program.inputs, max_length=program.config.sequence_length
    )
    return evaluate_outputs(program, data, outputs).metrics()[program.task.metrics[0]]
