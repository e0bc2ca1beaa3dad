"""A baseline without a language model: TF-IDF of words, with a linear model or a cosine.

Does not import Keras.

Shape suffixes: M examples, C classes or choices, T terms, F features.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from albert_core.tasks import Example, Task

MAX_TRAIN_EXAMPLES = 50_000
_STRENGTHS = (0.1, 1.0, 10.0)
_HELD_OUT_EVERY = 10
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
            [M, 1]. Of scores only the order means anything.
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
    on that of both and their cosine. Its strength of regularisation is chosen on every tenth
    training example. Labels of which any number may apply are told by one for each, of a fixed
    strength. Scores of pairs are a line through the cosine, those of single texts a ridge
    regression. Of choices, the one that is closest to the text by its cosine is taken.

    Args:
        task: The task.
        train: Its training set; of more than `MAX_TRAIN_EXAMPLES`, as many are read, evenly spread.
        dev: The examples to predict for, at least one.

    Returns:
        The predictions; None of a task for which there is no such baseline: question answering, or
        a training set without words or with examples of one class alone.
    """
    if task.kind == "question_answering":
        return None
    train = _spread(train)
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
    is_pair = len(train[0].texts) == 2
    if task.kind == "regression":
        return _regress(features, train, targets, dev, is_pair=is_pair)
    if task.kind == "multi_label":
        outputs = _find_labels(features.matrix(train), targets, features.matrix(dev))
        return TfidfBaseline(
            method="TF-IDF and a logistic regression for each label",
            outputs=outputs,
            num_train=len(train),
        )
    if len(np.unique(targets)) < 2:
        return None
    classes = targets.astype(int)
    outputs = _classify(features.matrix(train), classes, features.matrix(dev), task.num_outputs)
    method = "TF-IDF of both texts, their cosine" if is_pair else "TF-IDF"
    return TfidfBaseline(
        method=f"{method} and logistic regression", outputs=outputs, num_train=len(train)
    )


def _spread(examples: Sequence[Example]) -> Sequence[Example]:
    """Return at most `MAX_TRAIN_EXAMPLES` examples, in their order and evenly spread."""
    num_all, most = len(examples), MAX_TRAIN_EXAMPLES
    if num_all <= most:
        return examples
    return [examples[number * num_all // most] for number in range(most)]


class _Features:
    """TF-IDF of words and pairs of words, weighted as in the training set.

    Args:
        train: The training set.

    Raises:
        ValueError: No text has a term.
    """

    def __init__(self, train: Sequence[Example]) -> None:
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

    def cosines(self, examples: Sequence[Example]) -> np.ndarray:
        """Return the cosine of the two texts of each pair [M, 1]."""
        first, second = (
            self._vectorizer.transform([example.texts[number] for example in examples])
            for number in range(2)
        )
        return _cosines(first, second)

    def choice_similarities(self, example: Example) -> np.ndarray:
        """Return the cosine of an example's text and each of its choices [C]."""
        vectors = self._vectorizer.transform(example.texts)
        return np.asarray((vectors[1:] @ vectors[0].T).todense()).ravel()


def _cosines(first: Any, second: Any) -> np.ndarray:
    # The rows have length one already.
    return np.asarray(first.multiply(second).sum(axis=1)).reshape(-1, 1)


def _regress(
    features: _Features,
    train: Sequence[Example],
    targets: np.ndarray,
    dev: Sequence[Example],
    *,
    is_pair: bool,
) -> TfidfBaseline:
    """Return scores [M, 1] by ridge regression, of pairs on nothing but their cosine."""
    from sklearn.linear_model import Ridge

    make = features.cosines if is_pair else features.matrix
    # lsqr takes sparse features, and starts from zero, not from random numbers.
    model = Ridge(alpha=1e-6 if is_pair else 1.0, solver="lsqr").fit(make(train), targets)
    method = "TF-IDF cosine of both texts" if is_pair else "TF-IDF and ridge regression"
    return TfidfBaseline(
        method=method,
        outputs=np.asarray(model.predict(make(dev))).reshape(-1, 1),
        num_train=len(train),
    )


def _find_labels(train_MF: Any, targets_MC: np.ndarray, dev_MF: Any) -> np.ndarray:
    """Return a score for each label of dev examples [M, C], above 0 where it applies.

    Args:
        train_MF: Features to train on.
        targets_MC: 1 or 0 for each label of these.
        dev_MF: Features to score.
    """
    # As a task of two classes for each label: the second one's score.
    columns = [
        _fit_and_score(train_MF, target_M.astype(int), dev_MF, 2, _STRENGTHS[1])[:, 1]
        if len(np.unique(target_M)) > 1
        else np.full(dev_MF.shape[0], target_M[0] - 0.5)
        for target_M in targets_MC.T
    ]
    return np.stack(columns, axis=1)


def _classify(train_MF: Any, classes: np.ndarray, dev_MF: Any, num_classes: int) -> np.ndarray:
    """Return a score for each class of dev examples [M, C]; minus infinity where none trains it."""
    is_held_out = np.arange(len(classes)) % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1
    strength = _STRENGTHS[1]
    if is_held_out.any() and len(np.unique(classes[~is_held_out])) > 1:
        fitting, held_out = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)

        def accuracy(strength: float) -> float:
            """Return the accuracy on the examples held out."""
            scores = _fit_and_score(
                train_MF[fitting], classes[fitting], train_MF[held_out], num_classes, strength
            )
            return float(np.mean(scores.argmax(axis=1) == classes[held_out]))

        strength = max(_STRENGTHS, key=accuracy)
    return _fit_and_score(train_MF, classes, dev_MF, num_classes, strength)


def _fit_and_score(
    train_MF: Any, classes: np.ndarray, dev_MF: Any, num_classes: int, strength: float
) -> np.ndarray:
    """Train a logistic regression, one class against the rest, and return scores [M, C].

    A class that is not among those to train on has the score -inf.

    Args:
        train_MF: Features to train on.
        classes: Their classes.
        dev_MF: Features to score.
        num_classes: Number of classes C.
        strength: Inverse strength of regularisation.
    """
    from sklearn.linear_model import LogisticRegression

    scores = np.full((dev_MF.shape[0], num_classes), -np.inf)
    for number in np.unique(classes):
        # Several times faster on sparse features than the solver that trains all classes at once.
        model = LogisticRegression(C=strength, solver="liblinear", random_state=0)
        model.fit(train_MF, classes == number)
        scores[:, number] = model.decision_function(dev_MF)
    return scores
