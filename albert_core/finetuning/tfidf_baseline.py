"""A baseline without a language model: TF-IDF of words, with a linear model or a cosine.

Does not import Keras.

Shape suffixes: M examples, C classes or choices, T terms, F features.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from albert_core.finetuning.linear_models import COSINE_ALONE, LinearModels
from albert_core.tasks import Example, Task
from albert_core.tasks.examples import spread_evenly

MAX_TRAIN_EXAMPLES = 50_000
_COSINE_WEIGHT = 10.0
# Scripts that write no spaces between words: each of their characters is a term.
_CHARACTER = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_TERM = rf"[{_CHARACTER}]|[^\W{_CHARACTER}]+"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TfidfBaseline:
    """Predictions for a dev set that need no language model.

    Attributes:
        method: What made them, in words.
        outputs: A score for each class or choice [M, C], or the predicted scores of a regression
            [M, 1]. Of the former only the order means anything.
        num_train: Training examples it has learned from; 0 of a method that learns nothing.
    """

    method: str
    outputs: np.ndarray
    num_train: int


def predict_with_tfidf(
    task: Task, train: Sequence[Example], dev: Sequence[Example]
) -> TfidfBaseline | None:
    """Predict a dev set from words alone; the same examples give the same predictions.

    Classes are told by logistic regression on the TF-IDF of words and pairs of words; of two texts,
    on that of both and their cosine. Labels of which any number may apply are told by one for each.
    Scores are told by ridge regression on the same, or those of pairs by a line through the cosine
    alone. Of choices, the one that is closest to the text by its cosine is taken.

    The strength of regularisation, and whether scores of pairs need more than the cosine, is chosen
    by the task's first metric on training examples that are held out: in five folds, or of more
    than 5,000 every tenth. With fewer than ten, or where a fold leaves but one class to train on,
    it is strength 1, and for scores of pairs the cosine alone.

    Args:
        task: The task.
        train: Its training set; of more than `MAX_TRAIN_EXAMPLES`, as many are read, evenly spread.
        dev: The examples to predict for, at least one.

    Returns:
        The predictions; None of a task for which there is no such baseline: question answering,
        words with tags, or a training set without words or with examples of one class alone.
    """
    if task.kind in ("question_answering", "token_classification"):
        return None
    train = spread_evenly(train, MAX_TRAIN_EXAMPLES)
    try:
        features = _Features(train)
    except ValueError:  # scikit-learn's way to say that there is no term in any text
        return None
    if task.kind == "multiple_choice":
        outputs = np.stack([features.choice_similarities(example) for example in dev])
        return TfidfBaseline(
            method="TF-IDF cosine of text and choice", outputs=outputs, num_train=0
        )
    targets = np.array([example.target for example in train])
    if task.kind == "classification" and len(np.unique(targets)) < 2:
        return None
    is_pair = len(train[0].texts) == 2
    models = LinearModels(task, features.matrix(train), targets, has_cosine=is_pair)
    strength = models.choose_strength()
    outputs = models.predict(strength, np.arange(len(train)), features.matrix(dev))
    return TfidfBaseline(
        method=_describe(task, strength, is_pair=is_pair),
        outputs=outputs,
        num_train=len(train),
    )


def _describe(task: Task, strength: float, *, is_pair: bool) -> str:
    """Return in words how a chosen strength predicts."""
    if strength == COSINE_ALONE:
        return "TF-IDF cosine of both texts"
    features = "TF-IDF of both texts, their cosine" if is_pair else "TF-IDF"
    model = {
        "regression": "ridge regression",
        "multi_label": "a logistic regression for each label",
    }.get(task.kind, "logistic regression")
    return f"{features} and {model}"


class _Features:
    """TF-IDF of words and pairs of words, weighted as in the training set.

    Args:
        train: The training set.

    Raises:
        ValueError: No text has a term.
    """

    def __init__(self, train: Sequence[Example]) -> None:
        """Learn terms and their weights from all texts of the training set."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(
            sublinear_tf=True, ngram_range=(1, 2), token_pattern=_TERM, dtype=np.float32
        )
        self._vectorizer.fit([text for example in train for text in example.texts])

    def matrix(self, examples: Sequence[Example]) -> Any:
        """Return the sparse features of examples: of a text [M, T], of pairs [M, 2 T + 1].

        The last column of pairs is their cosine, weighted so that it counts beside thousands of
        words.
        """
        import scipy.sparse

        sides = [
            self._vectorizer.transform([example.texts[number] for example in examples])
            for number in range(len(examples[0].texts))
        ]
        if len(sides) == 1:
            return sides[0]
        cosines = scipy.sparse.csr_matrix(_COSINE_WEIGHT * _cosines(*sides))
        return scipy.sparse.hstack([*sides, cosines]).tocsr()

    def choice_similarities(self, example: Example) -> np.ndarray:
        """Return the cosine of an example's text and each of its choices [C]."""
        vectors = self._vectorizer.transform(example.texts)
        return np.asarray((vectors[1:] @ vectors[0].T).todense()).ravel()


def _cosines(first: Any, second: Any) -> np.ndarray:
    """Return the cosine of each pair of rows of two sparse matrices, all of length 1: [M, 1]."""
    return np.asarray(first.multiply(second).sum(axis=1)).reshape(-1, 1)
