"""What all evaluations of a model's outputs share: scores and their intervals.

Shape suffixes: C classes or choices.
"""

import abc
from pathlib import Path

import numpy as np

from albert_core.finetuning.prediction import ExampleOutputs
from albert_core.finetuning.task_preprocessor import TaskData, TaskPreprocessor
from albert_core.tasks import Task
from albert_core.tasks.metrics import Scores, bootstrap_interval, scores_by_source
from albert_core.tasks.source import Split


class Evaluator(abc.ABC):
    """Scores and predictions that follow from a model's outputs on a split.

    Args:
        preprocessor: That of the task, with its settings.
        data: The split.
        outputs: The model's outputs for each example, in their order; for each window of questions.
        threshold: Null odds from which on a question has no answer; None: the best on this split.
            Read for questions alone; must be None where each of them has an answer.
    """

    def __init__(
        self,
        preprocessor: TaskPreprocessor,
        data: TaskData,
        outputs: ExampleOutputs,
        threshold: float | None = None,
    ) -> None:
        """Keep task, settings, split and outputs; nothing is computed yet."""
        self.task: Task = preprocessor.task
        self.config = preprocessor.config
        self.data, self.outputs, self._given_threshold = data, outputs, threshold

    @property
    @abc.abstractmethod
    def is_scored(self) -> bool:
        """Whether the right answers of the split are known."""

    @abc.abstractmethod
    def _metrics_on(self, rows: np.ndarray) -> Scores:
        """Return the task's metrics over some of the examples, by the outputs given to `__init__`.

        The model is not run. The right answers must be known (`is_scored`, which is not checked).

        Args:
            rows: Numbers of the examples, from 0; one may occur several times.
        """

    @abc.abstractmethod
    def write(self, folder: Path, split: Split) -> None:
        """Write the predictions on a split into a folder that exists; files there are replaced."""

    def metrics(self) -> Scores:
        """Return the task's metrics over all examples, and over each file's if there are several.

        The right answers must be known (`is_scored`, which is not checked).
        """
        return scores_by_source(self.task, self._metrics_on, self.data.sources)

    def interval(self) -> tuple[float, float]:
        """Return the 95 % bootstrap interval (low, high) of the first metric over all examples.

        It is of 1,000 resamples, the same in every run. The right answers must be known
        (`is_scored`, which is not checked).
        """
        first = self.task.metrics[0]
        return bootstrap_interval(
            lambda rows: self._metrics_on(rows)[first], len(self.data.examples)
        )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of one example's logits [C]."""
    # Not scipy's: its last bits differ, and files of predictions are compared by their hashes.
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()
