"""The score of predictions that need no model, to compare a model's with.

Shape suffixes: M examples, C classes or choices.
"""

import collections
import dataclasses
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from albert_core.finetuning.evaluators import ANSWER_SCORES, TextEvaluator
from albert_core.finetuning.task_preprocessor import TaskData, TaskPreprocessor
from albert_core.tasks import Question, TaggedSentence, Task
from albert_core.tasks.squad_metrics import question_scores
from albert_core.tasks.token_metrics import TagScores

_GUESSED_WORDS = 3


def baseline_score(preprocessor: TaskPreprocessor, train: TaskData, dev: TaskData) -> float:
    """Return the first metric on the dev set of predictions that need no model.

    These are the most frequent class, choice or tag of the training set, or its mean score; the
    labels that apply to more than half of it; no answer to questions that may have none; for other
    questions three words from a place in the context that follows from the question's id.

    Args:
        preprocessor: That of the task.
        train: Its training set, with labels; not read for questions.
        dev: Its dev set, with labels, at least one example.
    """
    task = preprocessor.task
    if task.kind == "question_answering":
        guesses = {} if task.has_unanswerable else {q.id: _guess(q) for q in dev.examples}
        scores = question_scores(
            ANSWER_SCORES[task.metrics[0]],
            dev.examples,
            guesses,
            has_unanswerable=task.has_unanswerable,
        )
        return float(scores.mean())
    if task.kind == "token_classification":
        frequent = most_frequent_tags(train.examples)
        always = TagScores(
            task,
            [sentence.tags for sentence in dev.examples],
            [[frequent.tag] * len(sentence.words) for sentence in dev.examples],
        )
        return always.metrics(np.arange(len(dev.examples)))[task.metrics[0]]
    outputs = constant_outputs(task, train.features.targets["target"], len(dev.examples))
    constant = TextEvaluator(preprocessor, dev, {"logits": list(outputs)})
    return constant.metrics()[task.metrics[0]]


@dataclasses.dataclass(frozen=True)
class FrequentTags:
    """The most frequent tags of a training set; the lowest number of equally frequent ones.

    Attributes:
        tag: Number of the most frequent tag of all words.
        by_word: Number of the most frequent tag of each word, by the word.
    """

    tag: int
    by_word: Mapping[str, int]


def most_frequent_tags(sentences: Sequence[TaggedSentence]) -> FrequentTags:
    """Return the most frequent tags of sentences: at least one, and all with tags."""
    counts: dict[str, collections.Counter[int]] = collections.defaultdict(collections.Counter)
    for sentence in sentences:
        for word, tag in zip(sentence.words, sentence.tags or (), strict=True):
            counts[word][tag] += 1
    all_counts: collections.Counter[int] = sum(counts.values(), collections.Counter())
    return FrequentTags(
        _most_frequent(all_counts), {word: _most_frequent(tags) for word, tags in counts.items()}
    )


def _most_frequent(counts: Mapping[int, int]) -> int:
    return min(counts, key=lambda tag: (-counts[tag], tag))


def constant_outputs(task: Task, targets: np.ndarray, num_rows: int) -> np.ndarray:
    """Return the same scores for every example of another set [M, C], from a set's targets.

    For classes and choices the scores are counts: the number of examples each is right in (C is 2
    or more, up to the highest class that occurs). Only their order means anything; of equal ones
    the first is the prediction. For regression they are the mean target [M, 1]; for labels of which
    any number may apply, above 0 where a label applies to more than half of the set.

    Args:
        task: A task of texts.
        targets: The targets of the training set, at least one; for multi-label tasks [examples, C].
        num_rows: Number of examples M to predict for.
    """
    if task.kind == "regression":
        return np.full((num_rows, 1), targets.mean())
    if task.kind == "multi_label":
        return np.tile(targets.mean(axis=0) - 0.5, (num_rows, 1))
    counts = np.bincount(targets.astype(int), minlength=2)
    return np.tile(counts, (num_rows, 1))


def _guess(question: Question) -> str:
    """Return three words in a row from a place of the context that depends on the question's id.

    From a context of fewer than three words, as in Chinese, three characters, with spaces between
    them if the context has any.
    """
    words = question.context.split()
    if len(words) < _GUESSED_WORDS:
        words = list(question.context)
    # Not `hash`, which Python salts anew in every process.
    start = zlib.crc32(question.id.encode()) % max(1, len(words) - _GUESSED_WORDS + 1)
    joint = " " if " " in question.context else ""
    return joint.join(words[start : start + _GUESSED_WORDS])
