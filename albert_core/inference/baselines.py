"""What simpler ways than the model score on its dev set. Does not import Keras."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from albert_core.finetuning.baseline import constant_outputs, most_frequent_tags
from albert_core.finetuning.evaluators import TextEvaluator
from albert_core.finetuning.task_preprocessor import TaskData, TaskPreprocessor
from albert_core.finetuning.tfidf_baseline import predict_with_tfidf
from albert_core.tasks import InvalidRows, TaggedSentence, Task, read_examples, read_sentences
from albert_core.tasks.metrics import bootstrap_interval, predicted_values
from albert_core.tasks.token_metrics import TagScores

BASELINES_NAME = "baselines_dev.json"
WITHOUT_MODEL = "without_model"
MAJORITY = "majority"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoredBaseline:
    """The predictions of a baseline for a dev set, and their score.

    Attributes:
        name: `without_model` or `majority`.
        method: How it predicts, in words.
        predictions: For each example the number of a class or choice, or a score; for `multi_label`
            1 or 0 for each label; for `token_classification` the number of each word's tag.
        score: The task's first metric.
        low: Lower bound of the score's 95 % bootstrap interval.
        high: Its upper bound.
        num_train: Training examples it has learned from; 0 for a method that learns nothing.
    """

    name: str
    method: str
    predictions: Sequence[Any]
    score: float
    low: float
    high: float
    num_train: int

    def description(self) -> dict[str, Any]:
        """Return `method`, `score`, `low`, `high` and `num_train` as plain values by name."""
        values = {name: getattr(self, name) for name in ("method", "score", "low", "high")}
        return {**values, "num_train": self.num_train}


def score_baselines(
    preprocessor: TaskPreprocessor, folder: Path, dev: TaskData
) -> list[ScoredBaseline]:
    """Predict a dev set without the model, and score the predictions as the model's are.

    Training rows that cannot be used are left out if the model's settings say so, else refused.

    Args:
        preprocessor: That of the task.
        folder: Folder of the task's files, whose training files are read.
        dev: The dev set, with labels, at least one example.

    Returns:
        First the baseline by TF-IDF, if there is one for the task, or of tags that by the most
        frequent one of each word; then one that always predicts the same: the training set's most
        frequent class, choice or tag, its mean, or the labels of more than half of it. For
        questions the list is empty.

    Raises:
        InputError: A training file is missing or cannot be used.
    """
    task = preprocessor.task
    if task.kind == "question_answering":
        return []
    leaves_out = preprocessor.config.leaves_out(task)
    invalid_rows = InvalidRows.for_split(task, "train", leaves_out=leaves_out)
    if task.kind == "token_classification":
        sentences = read_sentences(task, folder, "train", invalid_rows=invalid_rows)
        return list(_score_frequent_tags(task, sentences, dev.examples))
    train = read_examples(task, folder, "train", invalid_rows=invalid_rows)
    baselines = []
    if tfidf := predict_with_tfidf(task, train, dev.examples):
        evaluator = TextEvaluator(preprocessor, dev, {"logits": list(tfidf.outputs)})
        baselines.append(_score(WITHOUT_MODEL, tfidf.method, evaluator, tfidf.num_train))
    targets = np.array([example.target for example in train])
    constant = constant_outputs(task, targets, len(dev.examples))
    evaluator = TextEvaluator(preprocessor, dev, {"logits": list(constant)})
    methods = {
        "regression": "mean of the training set",
        "multi_label": "labels of more than half of the training set",
    }
    method = methods.get(task.kind, "most frequent label")
    return [*baselines, _score(MAJORITY, method, evaluator, len(train))]


def _score_frequent_tags(
    task: Task, train: Sequence[TaggedSentence], dev: Sequence[TaggedSentence]
) -> Iterator[ScoredBaseline]:
    """Yield the baselines of tags: the most frequent one of each word, and that of all words.

    A word that is not in the training set gets the latter in both.

    Args:
        task: The task.
        train: The training set, at least one sentence.
        dev: The dev set, with tags.
    """
    frequent = most_frequent_tags(train)
    ways: tuple[tuple[str, str, Mapping[str, int]], ...] = (
        (WITHOUT_MODEL, "most frequent tag of each word", frequent.by_word),
        (MAJORITY, "most frequent tag", {}),
    )
    for name, method, by_word in ways:
        predictions = [
            [by_word.get(word, frequent.tag) for word in sentence.words] for sentence in dev
        ]
        scores = TagScores(task, [sentence.tags or () for sentence in dev], predictions)
        first = functools.partial(_first_metric, task, scores)
        low, high = bootstrap_interval(first, len(dev))
        yield ScoredBaseline(
            name=name,
            method=method,
            predictions=predictions,
            score=first(np.arange(len(dev))),
            low=low,
            high=high,
            num_train=len(train),
        )


def _first_metric(task: Task, scores: TagScores, rows: np.ndarray) -> float:
    return scores.metrics(rows)[task.metrics[0]]


def _score(name: str, method: str, evaluator: TextEvaluator, num_train: int) -> ScoredBaseline:
    """Return a baseline whose predictions and score come from an evaluator of its outputs.

    The score is the task's first metric, the bounds are the evaluator's interval.
    """
    task = evaluator.task
    outputs = evaluator.logits
    low, high = evaluator.interval()
    return ScoredBaseline(
        name=name,
        method=method,
        predictions=predicted_values(task, outputs).tolist(),
        score=evaluator.metrics()[task.metrics[0]],
        low=low,
        high=high,
        num_train=num_train,
    )
