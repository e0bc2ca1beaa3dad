"""Linear models on sparse features, and the strength of regularisation that suits a training set.

Does not import Keras.

Shape suffixes: M examples, C classes or labels, F features.
"""

from typing import Any

import numpy as np

from albert_core.tasks import Task
from albert_core.tasks.metrics import compute_metrics

COSINE_ALONE = 0.0
"""In place of a strength: a line through the last feature, and no other."""

_STRENGTHS = (0.1, 1.0, 10.0, 100.0)
_DEFAULT_STRENGTH = 1.0
_LEAST_PENALTY = 1e-6
_NUM_FOLDS = 5
_MOST_FOLDED_EXAMPLES = 5_000  # of more, a tenth says as much, in a fifth of the time
_HELD_OUT_EVERY = 10
_MAX_ITERATIONS = 10_000


class LinearModels:
    """The linear models of a task of texts, but not of choices, for a training set.

    These are logistic regressions, each class or label against the rest, or ridge regressions; one
    for each strength, the inverse of the weight of the regularisation.

    Args:
        task: The task.
        features_MF: Features of the training set, sparse.
        targets: Targets [M], for multi-label tasks [M, C]; a classification must have two classes
            or more.
        has_cosine: Whether the last feature is the cosine of two texts, which may be enough for
            scores.

    Attributes:
        strengths: The strengths to choose from; for a regression with a cosine `COSINE_ALONE`, too.
    """

    def __init__(
        self, task: Task, features_MF: Any, targets: np.ndarray, *, has_cosine: bool
    ) -> None:
        """Keep the set; a regression with a cosine may use that alone, by default then."""
        self._task, self._features_MF, self._targets = task, features_MF, targets
        self.strengths: tuple[float, ...] = _STRENGTHS
        self._default = _DEFAULT_STRENGTH
        if has_cosine and task.kind == "regression":
            self.strengths = (COSINE_ALONE, *_STRENGTHS)
            self._default = COSINE_ALONE

    def predict(self, strength: float, rows: np.ndarray, features_MF: Any) -> np.ndarray:
        """Train on some rows of the training set, and return outputs for other features [M, C].

        For classes the highest output is the prediction, and one that is not among the rows to
        train on has -inf; a label applies where its output is above 0; a regression has its scores
        [M, 1].

        Args:
            strength: One of `strengths`.
            rows: Numbers of the rows to train on.
            features_MF: What to predict for.
        """
        train_MF, targets = self._features_MF[rows], self._targets[rows]
        if self._task.kind == "regression":
            return _regress(train_MF, targets, features_MF, strength)
        if self._task.kind == "multi_label":
            return _find_labels(train_MF, targets, features_MF, strength)
        num_classes = self._task.num_outputs
        return _fit_and_score(train_MF, targets.astype(int), features_MF, num_classes, strength)

    def choose_strength(self) -> float:
        """Return the strength whose predictions for held-out training examples are best.

        By the task's first metric; the first of equal ones. Held out are five folds, or of more
        than 5,000 examples every tenth. With fewer than ten examples, or where all that are left
        to train on may be of one class, it is a default.
        """
        numbers = np.arange(len(self._targets))
        folds = [numbers % _NUM_FOLDS == fold for fold in range(_NUM_FOLDS)]
        if len(numbers) > _MOST_FOLDED_EXAMPLES:
            folds = [numbers % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1]
        if len(numbers) < 2 * _NUM_FOLDS or any(self._lacks_classes(~fold) for fold in folds):
            return self._default
        held_out = np.concatenate([np.flatnonzero(fold) for fold in folds])

        def score(strength: float) -> float:
            """Return the task's first metric over all examples that are held out."""
            outputs = [
                self.predict(
                    strength, np.flatnonzero(~fold), self._features_MF[np.flatnonzero(fold)]
                )
                for fold in folds
            ]
            metrics = compute_metrics(self._task, np.concatenate(outputs), self._targets[held_out])
            return metrics[self._task.metrics[0]]

        return max(self.strengths, key=score)

    def _lacks_classes(self, is_chosen_M: np.ndarray) -> bool:
        """Return whether some examples of a classification have fewer than two classes."""
        is_classification = self._task.kind == "classification"
        return is_classification and len(np.unique(self._targets[is_chosen_M])) < 2


def _regress(train_MF: Any, targets_M: np.ndarray, features_MF: Any, strength: float) -> np.ndarray:
    """Return scores [M, 1] by ridge regression, or by a line through the cosine alone.

    Args:
        train_MF: Features to train on.
        targets_M: Their scores.
        features_MF: Features to score.
        strength: Inverse strength of regularisation, or `COSINE_ALONE`.
    """
    from sklearn.linear_model import Ridge

    alpha = _LEAST_PENALTY
    if strength == COSINE_ALONE:
        train_MF, features_MF = train_MF[:, -1:], features_MF[:, -1:]
    else:
        alpha = 1 / strength
    # lsqr takes sparse features, and starts from zero, not from random numbers.
    model = Ridge(alpha=alpha, solver="lsqr").fit(train_MF, targets_M)
    return np.asarray(model.predict(features_MF)).reshape(-1, 1)


def _find_labels(train_MF: Any, targets_MC: np.ndarray, dev_MF: Any, strength: float) -> np.ndarray:
    """Return a score for each label of dev examples [M, C], above 0 where it applies.

    Args:
        train_MF: Features to train on.
        targets_MC: 1 or 0 for each label of these.
        dev_MF: Features to score.
        strength: Inverse strength of regularisation.
    """
    # As a task of two classes for each label: the second one's score.
    columns = [
        _fit_and_score(train_MF, target_M.astype(int), dev_MF, 2, strength)[:, 1]
        if len(np.unique(target_M)) > 1
        else np.full(dev_MF.shape[0], target_M[0] - 0.5)
        for target_M in targets_MC.T
    ]
    return np.stack(columns, axis=1)


def _fit_and_score(
    train_MF: Any, classes: np.ndarray, dev_MF: Any, num_classes: int, strength: float
) -> np.ndarray:
    """Train a logistic regression, one class against the rest, and return scores [M, C].

    A class that is not among those to train on has the score -inf. Where two are, one regression is
    trained for both, and the second's scores are the negative of the first's.

    Args:
        train_MF: Features to train on.
        classes: Their classes.
        dev_MF: Features to score.
        num_classes: Number of classes C.
        strength: Inverse strength of regularisation.
    """
    from sklearn.linear_model import LogisticRegression

    scores = np.full((dev_MF.shape[0], num_classes), -np.inf)
    present = np.unique(classes)
    for number in present:
        # Several times faster on sparse features than the solver that trains all classes at once,
        # and up to thirty times faster than the primal problem, which has the same solution.
        model = LogisticRegression(
            C=strength, solver="liblinear", dual=True, max_iter=_MAX_ITERATIONS, random_state=0
        )
        model.fit(train_MF, classes == number)
        scores[:, number] = model.decision_function(dev_MF)
        if len(present) == 2:  # what speaks for one speaks against the other
            scores[:, present[1]] = -scores[:, number]
            break
    return scores
