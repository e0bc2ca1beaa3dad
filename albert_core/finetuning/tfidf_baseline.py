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
        method: How the predictions were made, in words.
        outputs: A score for each class or choice [M, C], of which only the order has a meaning; for
            each label of a multi-label task, above 0 where it applies; or the predicted scores of a
            regression [M, 1].
        num_train: Number of training examples that were used; 0 for a method that learns nothing.
    """

    method: str
    outputs: np.ndarray
    num_train: int


def predict_with_tfidf(
    task: Task, train: Sequence[Example], dev: Sequence[Example]
) -> TfidfBaseline | None:
    """Predict a dev set from words alone; the same examples give the same predictions.

    Classes are predicted by logistic regression on the TF-IDF of words and pairs of words; for two
    texts, on the TF-IDF of both and their cosine. In a multi-label task each label has a logistic
    regression of its own. Scores are predicted by ridge regression on the same features, or, for
    pairs of texts, by a linear function of the cosine only. Among choices, the one with the largest
    cosine with the text is taken.

    The strength of regularisation, and whether scores of pairs are predicted from more than the
    cosine, are chosen by the task's first metric on held-out training examples: in five folds, or,
    with more than 5,000 examples, on every tenth. With fewer than ten examples, or if a fold leaves
    only one class to train on, the strength is 1, and scores of pairs are predicted from the cosine
    only.

    Args:
        task: The task.
        train: Its training set; if it has more than `MAX_TRAIN_EXAMPLES` examples, so many of them,
            evenly spread, are read.
        dev: The examples to predict for, at least one.

    Returns:
        The predictions; None if there is no such baseline: for question answering, for words with
        tags, and for a training set without words or with only one class.
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
    """Return the name of the method by which the baseline predicts, in words for the report.

    Args:
        task: The task; its kind says which linear model it is.
        strength: The strength that was chosen, which is not part of the name; only `COSINE_ALONE`
            has a name of its own.
        is_pair: Whether an example has two texts.
    """
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
        """Return the sparse features of examples: [M, T] for single texts, [M, 2 T + 1] for pairs.

        The last column for pairs is the cosine of their texts, weighted so that it counts beside
        thousands of words. There must be at least one example, and all must have as many texts.
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
    """Return the cosine of each row of one matrix and the same row of another: [M, 1].

    The rows of the sparse matrices [M, T] must have length 1 (or 0, which gives 0).
    """
    return np.asarray(first.multiply(second).sum(axis=1)).reshape(-1, 1)
