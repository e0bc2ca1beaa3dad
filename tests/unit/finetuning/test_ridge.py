"""Ridge regression is scikit-learn's, and its penalty is what held-out rows like best."""

import numpy as np
import pytest
import sklearn.linear_model

from albert_core.finetuning.ridge import predict_by_ridge

RNG = np.random.default_rng(1)
TRAIN = RNG.normal(3.0, 2.0, (60, 5)).astype(np.float32)
TARGETS = TRAIN[:, :2] @ RNG.normal(size=(2, 3)) + RNG.normal(size=(60, 3))
OTHERS = RNG.normal(3.0, 2.0, (9, 5)).astype(np.float32)
HELD_OUT = np.arange(60) % 5 == 0


def held_out_error(outputs: np.ndarray) -> float:
    return -float(np.square(outputs - TARGETS[HELD_OUT]).mean())


def predict(score=held_out_error, train=TRAIN, others=OTHERS):
    return predict_by_ridge(train, TARGETS, others, is_held_out_N=HELD_OUT, score=score)


def test_predictions_are_scikit_learns_on_standardised_features():
    ours = predict()
    standard = (TRAIN - TRAIN.mean(axis=0)) / TRAIN.std(axis=0)
    theirs = sklearn.linear_model.Ridge(alpha=60 * ours.penalty).fit(standard, TARGETS)
    expected = theirs.predict((OTHERS - TRAIN.mean(axis=0)) / TRAIN.std(axis=0))
    assert ours.outputs == pytest.approx(expected, rel=1e-4)


def test_the_penalty_with_the_best_held_out_score_is_taken():
    seen = []

    def least_varied(outputs: np.ndarray) -> float:
        seen.append(outputs)
        return -float(outputs.var())

    strongest = predict(score=least_varied)
    assert (strongest.penalty, len(seen)) == (1.0, 5)
    assert strongest.held_out_score == max(-outputs.var() for outputs in seen)
    assert {outputs.shape for outputs in seen} == {(12, 3)}
    assert predict(score=lambda outputs: 0.0).penalty == 1e-4  # the first of equal ones


def test_a_constant_feature_changes_nothing():
    train, others = (np.concatenate([x, np.full((len(x), 1), 7.0)], 1) for x in (TRAIN, OTHERS))
    assert predict(train=train, others=others).outputs == pytest.approx(predict().outputs)
