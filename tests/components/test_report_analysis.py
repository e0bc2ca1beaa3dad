"""What the report says of a dev set: classes, calibration, ROC, mistakes, differences, curves."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import sklearn.metrics

from albert_core.tasks import Source, Task
from components.report.analysis import (
    calibration,
    class_qualities,
    confident_mistakes,
    cut_text,
    roc_curve,
)
from components.report.curves import thin_rows
from components.report.significance import (
    Difference,
    mean_gain,
    paired_interval,
    unpaired_interval,
)

LABELS = ("no", "yes")
CLASSES = Task(name="t", texts=("text",), labels=LABELS, metrics=("accuracy",))
QUESTIONS = Task(name="q", kind="question_answering", metrics=("f1",))


def make_rows(seed: int, count: int = 400, num_classes: int = 2) -> list[dict]:
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        probabilities = rng.dirichlet(np.ones(num_classes))
        label = int(rng.choice(num_classes, p=probabilities))  # calibrated by construction
        rows.append(
            {
                "id": str(number),
                "source": "ab"[number % 2],
                "texts": [f"text {number}"],
                "label": label,
                "prediction": int(probabilities.argmax()),
                "probabilities": probabilities.tolist(),
            }
        )
    return rows


def old_classification(labels: Sequence[str], matrix: list[list[int]]) -> dict:
    """What evaluations of earlier versions left, without `classes`."""
    return {"labels": labels, "confusion_matrix": matrix}


def test_precision_and_recall_are_scikit_learns():
    rows = make_rows(1, num_classes=3)
    targets, predicted = ([row[name] for row in rows] for name in ("label", "prediction"))
    matrix = sklearn.metrics.confusion_matrix(targets, predicted)
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        targets, predicted
    )
    for number, one in enumerate(
        class_qualities(old_classification(("a", "b", "c"), matrix.tolist()))
    ):
        assert one.precision == pytest.approx(precision[number])
        assert one.recall == pytest.approx(recall[number])
        assert one.f1 == pytest.approx(f1[number])
        assert one.num_examples == support[number]


def test_a_class_that_is_never_predicted_has_no_precision():
    never, always = class_qualities(old_classification(LABELS, [[0, 3], [0, 5]]))
    assert (never.precision, never.recall, never.f1) == (None, 0.0, None)
    assert (always.precision, always.recall) == (5 / 8, 1.0)


def test_the_roc_curve_is_scikit_learns():
    rows = make_rows(2)
    curve = roc_curve(rows, LABELS)
    scores = [row["probabilities"][1] for row in rows]
    expected = sklearn.metrics.roc_auc_score([row["label"] for row in rows], scores)
    assert curve.area == pytest.approx(expected)
    assert len(curve.true_positive_rates) <= 101
    assert (curve.true_positive_rates[0], curve.false_positive_rates[-1]) == (0.0, 1.0)
    assert roc_curve([row for row in rows if row["label"]], LABELS) is None
    assert roc_curve(rows, ("a", "b", "c")) is None


def test_equal_probabilities_are_one_point_of_the_curve():
    rows = make_rows(3, count=20)
    for row in rows:
        row["probabilities"] = [0.5, 0.5]
    curve = roc_curve(rows, LABELS)
    assert curve.area == pytest.approx(0.5)
    assert len(curve.true_positive_rates) == 2


def test_true_probabilities_are_calibrated_and_overconfident_ones_are_not():
    rows = make_rows(4, count=4000)
    true = calibration(rows, LABELS)
    assert true.of == "yes"
    assert sum(one.num_examples for one in true.bins) == 4000
    assert true.error < 0.03
    for row in rows:
        sure = float(row["prediction"])
        row["probabilities"] = [1 - sure, sure]
    assert calibration(rows, LABELS).error > 0.15
    assert calibration([{"label": 1.0, "prediction": 2.0}], ()) is None


def test_the_most_confident_mistakes_come_first_and_all_are_counted():
    rows = make_rows(5)
    mistakes, count = confident_mistakes(rows, LABELS)
    wrong = [row for row in rows if row["label"] != row["prediction"]]
    assert count == len(wrong)
    assert len(mistakes) == 20
    confidences = [one.confidence for one in mistakes]
    assert confidences == sorted(confidences, reverse=True)
    assert confidences[0] == max(max(row["probabilities"]) for row in wrong)
    assert {one.expected.text for one in mistakes} == set(LABELS)


def test_mistakes_of_choices_scores_and_questions():
    choice = {"id": "1", "texts": ["text", "first", "second"], "label": 1, "prediction": 0}
    ((mistake,), _) = confident_mistakes([{**choice, "probabilities": [0.9, 0.1]}], ())
    assert (mistake.expected.text, mistake.predicted.text) == ("second", "first")
    assert [text.text for text in mistake.texts] == ["text"]
    scores = [
        {"id": str(n), "texts": ["a", "b"], "label": float(n), "prediction": 1.0} for n in range(4)
    ]
    mistakes, count = confident_mistakes(scores, ())
    assert ([one.id for one in mistakes], count) == (["3", "0", "2"], 3)
    answer = {"id": "q", "texts": ["who", "text"], "answers": [], "prediction": "she"}
    ((wrong,), _) = confident_mistakes([{**answer, "probability": 0.7, "score": 0.0}], ())
    assert (wrong.expected.text, wrong.predicted.text, wrong.confidence) == (
        "no answer",
        "she",
        0.7,
    )


def test_long_texts_are_cut_with_a_count():
    cut = cut_text("x" * 350)
    assert (len(cut.text), cut.num_left_out) == (300, 50)


def test_paired_intervals_are_narrower_where_both_err_on_the_same_examples():
    rows = make_rows(6)
    others = [row["prediction"] for row in rows]
    assert paired_interval(CLASSES, rows, others) == (0.0, 0.0)
    others[:8] = [1 - row["label"] for row in rows[:8]]
    rows = [{**row, "prediction": row["label"]} if n < 8 else row for n, row in enumerate(rows)]
    low, high = paired_interval(CLASSES, rows, others)
    assert 0 < low <= 8 / 400 <= high < 0.04
    assert paired_interval(CLASSES, [], []) is None


def test_intervals_of_questions_and_of_scores_that_are_means_over_files():
    rows = [{"score": float(n % 2)} for n in range(100)]
    low, high = paired_interval(QUESTIONS, rows, [0.0] * 100)
    assert low < 0.5 < high
    sources = (Source(file="a", name="a"), Source(file="b", name="b"))
    task = dataclasses.replace(CLASSES, dev=sources, averages_sources=True)
    low, high = paired_interval(task, make_rows(7), [0] * 400)
    assert low < high


def test_unpaired_intervals_and_means_over_tasks():
    assert unpaired_interval(0.1, (0.5, 0.6), None) is None
    low, high = unpaired_interval(0.1, (0.5, 0.56), (0.4, 0.48))
    assert (low, high) == pytest.approx((0.05, 0.15))
    one = Difference(baseline="b", method="", score=0.5, gain=0.1, low=0.07, high=0.13)
    gain, (low, high) = mean_gain([one, dataclasses.replace(one, gain=0.2, low=0.16, high=0.24)])
    assert (gain, low, high) == pytest.approx((0.15, 0.125, 0.175))
    assert mean_gain([one, dataclasses.replace(one, low=None)])[1] is None


def test_thinned_curves_keep_their_ends_and_peaks():
    rows = [{"global_step": n, "loss": float(n % 7), "rate": 1.0} for n in range(10_000)]
    rows[5_123]["loss"], rows[777]["loss"] = 99.0, float("nan")
    thin = thin_rows(rows, ("loss",))
    steps = [row["global_step"] for row in thin]
    assert len(thin) <= 400
    assert (steps[0], steps[-1]) == (0, 9_999)
    assert steps == sorted(set(steps))
    assert 99.0 in [row["loss"] for row in thin]
    assert set(thin[0]) == {"global_step", "loss"}
    assert thin_rows(rows[:5], ("loss",)) == [
        {"global_step": n, "loss": float(n % 7)} for n in range(5)
    ]
    assert thin_rows([], ("loss",)) == []
