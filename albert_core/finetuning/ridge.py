"""Ridge regression whose penalty is chosen on rows that are held out. Only NumPy and SciPy.

Shape suffixes: N rows to train on, M rows to predict for, F features, C outputs.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_SMALLEST_STD = 1e-6  # below it a feature is constant, and its last digits are noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class RidgePredictions:
    """What a ridge regression predicts, and how its penalty was chosen.

    Attributes:
        outputs: C outputs for each of the M rows to predict for [M, C], by a regression that was
            fitted to all training rows.
        penalty: The weight that was chosen for the squared coefficients of the standardised
            features, beside the mean of the squared errors (not their sum).
        held_out_score: Score of this penalty on the held-out rows, predicted by a regression that
            was fitted to the other training rows; higher is better.
    """

    outputs: np.ndarray
    penalty: float
    held_out_score: float


def predict_by_ridge(
    train_NF: np.ndarray,
    targets_NC: np.ndarray,
    features_MF: np.ndarray,
    *,
    is_held_out_N: np.ndarray,
    score: Callable[[np.ndarray], float],
) -> RidgePredictions:
    """Fit a ridge regression, with a penalty chosen on held-out rows, and predict with it.

    With each of the penalties 1e-4, 1e-3, ..., 1 a regression is fitted to the rows that are not
    held out. The penalty whose predictions for the held-out rows score best is taken, the smallest
    of several equally good ones; with it the regression is fitted again to all rows. The penalty is
    the weight of the squared coefficients beside the mean of the squared errors. Features are
    standardised, and the intercept is not penalised. Everything is computed in float64.

    Args:
        train_NF: Features to train on, all finite.
        targets_NC: Targets of the training rows.
        features_MF: Features to predict for.
        is_held_out_N: Whether each training row is held out to choose the penalty; true for at
            least one row, and not for all.
        score: Function of the outputs of the held-out rows, in their order; higher is better.
    """
    trial = _Ridge(train_NF[~is_held_out_N], targets_NC[~is_held_out_N])
    held_out = train_NF[is_held_out_N]
    scores = {penalty: score(trial.predict(held_out, penalty)) for penalty in _PENALTIES}
    best = max(scores, key=lambda penalty: scores[penalty])
    outputs = _Ridge(train_NF, targets_NC).predict(features_MF, best)
    return RidgePredictions(outputs=outputs, penalty=best, held_out_score=scores[best])


class _Ridge:
    """The normal equations of standardised features, solved for any penalty.

    Args:
        features_NF: Features of the training rows; one that is constant is only centred.
        targets_NC: Their targets, of which the means are the intercepts.
    """

    def __init__(self, features_NF: np.ndarray, targets_NC: np.ndarray) -> None:
        """Compute means, scales, covariance and products with the targets; solves nothing yet."""
        features = np.asarray(features_NF, np.float64)
        self._mean_F, std_F = features.mean(axis=0), features.std(axis=0)
        self._scale_F = np.where(std_F > _SMALLEST_STD, std_F, 1.0)
        self._intercept_C = targets_NC.mean(axis=0)
        standard_NF = (features - self._mean_F) / self._scale_F
        self._covariance_FF = standard_NF.T @ standard_NF / len(features)
        self._products_FC = standard_NF.T @ (targets_NC - self._intercept_C) / len(features)

    def predict(self, features_MF: np.ndarray, penalty: float) -> np.ndarray:
        """Solve the normal equations for a penalty; return the outputs [M, C] for other rows."""
        import scipy.linalg

        penalised_FF = self._covariance_FF + penalty * np.eye(len(self._covariance_FF))
        weights_FC = scipy.linalg.solve(penalised_FF, self._products_FC, assume_a="pos")
        return (features_MF - self._mean_F) / self._scale_F @ weights_FC + self._intercept_C
