"""Scores of predicted tags: of words, and of the entities that they make; as seqeval.

Shape suffixes: M sentences.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from albert_core.tasks.class_metrics import count_classes
from albert_core.tasks.entities import EntityCounts, count_entities, entity_types, is_entity_tag
from albert_core.tasks.metrics import Scores
from albert_core.tasks.task import Task

TagNumbers = Sequence[Sequence[int]]
"""The number of each word's tag among the task's labels, for each sentence [M]."""


class TagScores:
    """The scores of predicted tags over any of their sentences.

    Args:
        task: A task of kind `token_classification`.
        targets: The right tags.
        predicted: The predicted ones, as many for each sentence.
    """

    def __init__(self, task: Task, targets: TagNumbers, predicted: TagNumbers) -> None:
        """Count words, and entities if the task's tags tell them."""
        self._task, self._targets, self._predicted = task, targets, predicted
        self._num_words_M = np.fromiter(map(len, targets), int, len(targets))
        pairs = zip(targets, predicted, strict=True)
        self._num_right_M = np.array([np.sum(np.equal(*pair)) for pair in pairs], int)
        self._entities: EntityCounts | None = None
        if all(map(is_entity_tag, task.labels)):
            self._entities = count_entities(
                self._named(targets), self._named(predicted), entity_types(task.labels)
            )

    def _named(self, sentences: TagNumbers) -> list[list[str]]:
        labels = self._task.labels
        return [[labels[number] for number in numbers] for numbers in sentences]

    def metrics(self, rows: np.ndarray) -> Scores:
        """Return the task's metrics over some sentences, by their numbers, which may repeat.

        `accuracy` is the fraction of words whose tag is right. The others are of entities, which
        are right if words and type are: `f1`, `precision` and `recall` of all types together, and
        `macro_f1`, the mean over the types that occur or are predicted. A score whose denominator
        is 0 is 0.
        """
        return {name: self._metric(name, rows) for name in self._task.metrics}

    def _metric(self, name: str, rows: np.ndarray) -> float:
        """Return one metric over some sentences; needs counted entities for all but accuracy.

        It is 0 where the task has no type of entities; accuracy needs at least one word.
        """
        if name == "accuracy":
            return float(self._num_right_M[rows].sum() / self._num_words_M[rows].sum())
        assert self._entities is not None  # as the declaration of the task was checked
        counts = self._entities.over(rows)
        if name == "macro_f1":
            by_type = counts.occurring.f1
            return float(by_type.mean()) if len(by_type) else 0.0
        return float(getattr(counts.total, name)[0]) if self._entities.types else 0.0

    def describe(self) -> dict[str, Any]:
        """Describe the scores of each type of entity, over all sentences.

        If not all tags of the task are entity tags (`is_entity_tag`), describe the scores of each
        tag instead, counted in words.

        Returns:
            `labels`, the task's tags in both cases, and `classes`, what `ClassCounts.describe`
            returns of the types or of the tags.
        """
        labels = self._task.labels
        if self._entities:
            rows = np.arange(len(self._num_words_M))
            classes = self._entities.over(rows).describe(self._entities.types)
        else:
            targets, predicted = map(np.concatenate, (self._targets, self._predicted))
            classes = count_classes(targets, predicted, len(labels)).describe(labels)
        return {"labels": list(labels), "classes": classes}
