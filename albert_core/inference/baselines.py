"""What simpler ways than the model score on its dev set. Does not import Keras."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from albert_core.finetuning.baseline import constant_outputs
from albert_core.finetuning.evaluators import TextEvaluator
from albert_core.finetuning.task_program import TaskData, TaskProgram
from albert_core.finetuning.tfidf_baseline import predict_with_tfidf
from albert_core.tasks import InvalidRows, read_examples
from albert_core.tasks.metrics import predicted_values

BASELINES_NAME = "baselines_dev.json"
WITHOUT_MODEL = "without_model"
MAJORITY = "majority"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoredBaseline:
    """The predictions of a baseline for a dev set, and their score.

    Attributes:
        name: `without_model` or `majority`.
        method: How it predicts, in words.
        predictions: Numbers of classes or choices, or scores [M]; of `multi_label` 1 or 0 for each
            label [M, C].
        score: The task's first metric.
        low: Lower bound of the score's 95 % bootstrap interval.
        high: Its upper bound.
        num_train: Training examples it has learned from; 0 of a method that learns nothing.
    """

    name: str
    method: str
    predictions: np.ndarray
    score: float
    low: float
    high: float
    num_train: int

    def description(self) -> dict[str, Any]:
        """Return all but the predictions, as plain values."""
        values = {name: getattr(self, name) for name in ("method", "score", "low", "high")}
        return {**values, "num_train": self.num_train}


def score_baselines(program: TaskProgram, folder: Path, dev: TaskData) -> list[ScoredBaseline]:
    """Predict a dev set without the model, and score the predictions as the model's are.

    Invalid rows of the training files are left out if the model's settings say so.

    Args:
        program: The task.
        folder: Folder of the task's files, whose training files are read.
        dev: The dev set, with labels.

    Returns:
        First the baseline by TF-IDF, if there is one for the task; then one that always predicts
        the same: the training set's most frequent class or choice, its mean, or the labels of more
        than half of it. None at all of questions.

    Raises:
        InputError: A training file is missing or cannot be used.
    """
    task = program.task
    if task.kind == "question_answering":
        return []
    leaves_out = program.config.leaves_out(task)
    invalid_rows = InvalidRows.of_split(task, "train", leaves_out=leaves_out)
    train = read_examples(task, folder, "train", invalid_rows=invalid_rows)
    baselines = []
    if tfidf := predict_with_tfidf(task, train, dev.examples):
        evaluator = TextEvaluator(program, dev, {"logits": list(tfidf.outputs)})
        baselines.append(_score(WITHOUT_MODEL, tfidf.method, evaluator, tfidf.num_train))
    targets = np.array([example.target for example in train])
    constant = constant_outputs(task, targets, len(dev.examples))
    evaluator = TextEvaluator(program, dev, {"logits": list(constant)})
    methods = {
        "regression": "mean of the training set",
        "multi_label": "labels of more than half of the training set",
    }
    method = methods.get(task.kind, "most frequent label")
    return [*baselines, _score(MAJORITY, method, evaluator, len(train))]


def _score(name: str, method: str, evaluator: TextEvaluator, num_train: int) -> ScoredBaseline:
    """Return a baseline with the score and the interval of an evaluator."""
    task = evaluator.task
    outputs = evaluator.logits
    low, high = evaluator.interval()
    return ScoredBaseline(
        name=name,
        method=method,
        predictions=predicted_values(task, outputs),
        score=evaluator.metrics()[task.metrics[0]],
        low=low,
        high=high,
        num_train=num_train,
    )
