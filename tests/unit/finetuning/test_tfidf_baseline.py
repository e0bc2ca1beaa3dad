"""Predictions by TF-IDF: every kind of task, the same each time, right where words decide."""

import random

import numpy as np
import pytest
import scipy.sparse
import sklearn.metrics

from albert_core.finetuning import tfidf_baseline
from albert_core.finetuning.linear_models import COSINE_ALONE, LinearModels
from albert_core.finetuning.tfidf_baseline import predict_with_tfidf
from albert_core.tasks import Example, Task
from tests.helpers.tiny_run import TOPICS, sentence

CLASSES = Task(name="topic", texts=("text",), labels=tuple(TOPICS), metrics=("accuracy",))
PAIRS = Task(name="pair", texts=("a", "b"), labels=("other", "same"), metrics=("accuracy",))
SCORES = Task(name="score", kind="regression", texts=("a", "b"), metrics=("pearson",))
SINGLE_SCORES = Task(name="score", kind="regression", texts=("a",), metrics=("pearson",))
CHOICES = Task(name="held", kind="multiple_choice", texts=("a", "b"), metrics=("accuracy",))


def example(*texts: str, target: float) -> Example:
    return Example(id="0", texts=texts, target=target)


def topics(count: int, seed: int) -> list[Example]:
    rng = random.Random(seed)
    chosen = [rng.randrange(3) for _ in range(count)]
    return [example(sentence(list(TOPICS)[topic], rng), target=topic) for topic in chosen]


def pairs(count: int, seed: int) -> list[Example]:
    """Pairs of sentences; the target is 1 if both have the same words."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        first = sentence("sea", rng)
        made.append(
            example(first, first if number % 2 else sentence("town", rng), target=number % 2)
        )
    return made


def accuracy(task: Task, train: list[Example], dev: list[Example]) -> float:
    baseline = predict_with_tfidf(task, train, dev)
    return float(np.mean(baseline.outputs.argmax(axis=1) == [one.target for one in dev]))


def test_classes_are_told_by_their_words():
    train, dev = topics(200, 1), topics(30, 2)
    assert accuracy(CLASSES, train, dev) == 1.0
    again = [predict_with_tfidf(CLASSES, train, dev).outputs for _ in range(2)]
    assert np.array_equal(*again)


def test_pairs_are_told_by_their_cosine():
    assert accuracy(PAIRS, pairs(200, 1), pairs(30, 2)) == 1.0
    baseline = predict_with_tfidf(SCORES, pairs(60, 1), pairs(30, 2))
    targets = [one.target for one in pairs(30, 2)]
    assert baseline.method == "TF-IDF of both texts, their cosine and ridge regression"
    assert np.corrcoef(baseline.outputs[:, 0], targets)[0, 1] > 0.9


@pytest.mark.parametrize(("column", "best"), [(-1, {COSINE_ALONE}), (0, {0.1, 1.0, 10.0, 100.0})])
def test_pairs_are_scored_by_the_cosine_alone_where_words_add_nothing(column: int, best: set):
    features = np.random.default_rng(1).random((80, 6))
    models = LinearModels(
        SCORES, scipy.sparse.csr_matrix(features), features[:, column], has_cosine=True
    )
    assert models.choose_strength() in best


def test_the_strength_is_chosen_by_the_metric_of_the_task_on_examples_held_out():
    task = Task(name="t", texts=("a",), labels=("no", "yes"), metrics=("matthews_correlation",))
    rng = np.random.default_rng(1)
    features = rng.normal(size=(200, 40))
    targets = (features[:, 0] + rng.normal(size=200) > 1.2).astype(float)
    models = LinearModels(task, scipy.sparse.csr_matrix(features), targets, has_cosine=False)
    matrix = scipy.sparse.csr_matrix(features)
    folds = [np.arange(200) % 5 == fold for fold in range(5)]
    held_out = np.concatenate([np.flatnonzero(fold) for fold in folds])

    def correlation(strength: float) -> float:
        outputs = [
            models.predict(strength, np.flatnonzero(~fold), matrix[np.flatnonzero(fold)])
            for fold in folds
        ]
        predicted = np.concatenate(outputs).argmax(axis=1)
        return sklearn.metrics.matthews_corrcoef(targets[held_out], predicted)

    assert models.choose_strength() == max(models.strengths, key=correlation)


def test_too_few_examples_or_classes_to_hold_some_out_give_the_default():
    few = LinearModels(CLASSES, scipy.sparse.eye(6).tocsr(), np.arange(6) % 3, has_cosine=False)
    assert few.choose_strength() == 1.0
    rare = np.zeros(20)
    rare[0] = 1
    lonely = LinearModels(CLASSES, scipy.sparse.eye(20).tocsr(), rare, has_cosine=False)
    assert lonely.choose_strength() == 1.0


def test_scores_of_single_texts_and_choices():
    train, dev = topics(60, 1), topics(30, 2)
    scores = predict_with_tfidf(SINGLE_SCORES, train, dev).outputs
    assert np.corrcoef(scores[:, 0], [one.target for one in dev])[0, 1] > 0.8
    choice = example("The cow grazes.", "A tram rings.", "A cow stands.", target=1)
    assert accuracy(CHOICES, [choice], [choice]) == 1.0


def test_scripts_without_spaces_have_terms():
    train = [example("船在海上航行", target=0), example("牛在田里吃草", target=1)] * 10
    assert accuracy(PAIRS, train, [example("海船", target=0), example("田牛", target=1)]) == 1.0


def test_there_is_none_without_words_or_with_one_class():
    dev = [example("a ship", target=1)]
    assert predict_with_tfidf(CLASSES, [example("...", target=1)] * 4, dev) is None
    assert predict_with_tfidf(CLASSES, [example("a cow", target=1)] * 4, dev) is None
    questions = Task(name="squad", kind="question_answering", metrics=("f1",))
    assert predict_with_tfidf(questions, [], []) is None


def test_a_class_without_training_examples_is_never_predicted():
    train = [one for one in topics(60, 1) if one.target != 1]
    outputs = predict_with_tfidf(CLASSES, train, topics(30, 2)).outputs
    assert set(outputs.argmax(axis=1)) == {0, 2}


def test_large_training_sets_are_read_in_part_and_say_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tfidf_baseline, "MAX_TRAIN_EXAMPLES", 40)
    assert predict_with_tfidf(CLASSES, topics(60, 1), topics(9, 2)).num_train == 40
