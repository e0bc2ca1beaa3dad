"""Each dev example with its right answer, the model's prediction and those of the baselines."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from albert_core.finetuning.evaluator_interface import Evaluator, softmax
from albert_core.finetuning.evaluators import QuestionEvaluator, TextEvaluator
from albert_core.finetuning.token_evaluator import TokenEvaluator

EXAMPLES_NAME = "examples_dev.jsonl"

_LARGEST_ODDS = 30.0  # a probability of 1 to six decimals, and no overflow on the way


def write_example_rows(
    folder: Path, evaluator: Evaluator, baselines: Mapping[str, Sequence[Any]]
) -> None:
    """Write `examples_dev.jsonl` into a folder that exists, a row for each example in order.

    Args:
        folder: The folder; a file of that name is replaced.
        evaluator: The predictions; their right answers must be known (not checked).
        baselines: Predictions of baselines by their name [M], in the kind of the model's own:
            numbers of classes or choices, scores, 1 and 0 for each label, or numbers of tags for
            each word. They become columns of the rows.
    """
    with (folder / EXAMPLES_NAME).open("w", encoding="utf-8") as file:
        for number, row in enumerate(example_rows(evaluator)):
            row |= {name: values[number] for name, values in baselines.items()}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_example_rows(evaluation: Path) -> list[dict[str, Any]]:
    """Return the rows of `examples_dev.jsonl` in an evaluation's folder; none without that file.

    Earlier versions wrote no such file. What the rows hold is not checked.

    Raises:
        ValueError: A line is not JSON.
    """
    path = evaluation / EXAMPLES_NAME
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def example_rows(evaluator: Evaluator) -> Iterator[dict[str, Any]]:
    """Yield a row for each example of a split whose right answers are known (not checked).

    All rows have `id`, `source`, `texts` and `prediction`. Rows of a classification, multiple
    choice or regression have `label`; it and the prediction are the number of a class or choice, or
    a score; for `multi_label` both are lists of 1 or 0 for each label. These kinds, but regression,
    also have `probabilities`, in the order of the classes, choices or labels. Rows of questions
    have question and context as texts; `answers`, empty where there is none; a prediction as text,
    empty for no answer; its `probability` among the candidates; the `score` by the task's first
    metric; and where there may be no answer `null_probability`, the probability of that. Rows of
    sentences with tags have `words`, the number of each word's tag as `label` and `prediction`, and
    `word_probabilities`, the probability of each predicted tag.
    """
    if isinstance(evaluator, TokenEvaluator):
        return _sentence_rows(evaluator)
    if isinstance(evaluator, QuestionEvaluator):
        return _question_rows(evaluator)
    assert isinstance(evaluator, TextEvaluator)
    return _text_rows(evaluator)


def _text_rows(evaluator: TextEvaluator) -> Iterator[dict[str, Any]]:
    """Yield the rows of a task of texts, as `example_rows` describes them.

    A label of `multi_label` is predicted where its logit is above 0.
    """
    targets = evaluator.data.features.targets["target"]
    kind = evaluator.task.kind
    for example, logits, target in zip(
        evaluator.data.examples, evaluator.logits, targets, strict=True
    ):
        row = {"id": example.id, "source": example.source, "texts": list(example.texts)}
        if kind == "multi_label":
            yield {
                **row,
                "label": target.astype(int).tolist(),
                "prediction": (logits > 0).astype(int).tolist(),
                "probabilities": [_rounded(value) for value in 1 / (1 + np.exp(-logits))],
            }
        elif kind == "regression":
            yield {**row, "label": float(target), "prediction": _rounded(logits[0])}
        else:
            yield {
                **row,
                "label": int(target),
                "prediction": int(logits.argmax()),
                "probabilities": [_rounded(value) for value in softmax(logits)],
            }


def _sentence_rows(evaluator: TokenEvaluator) -> Iterator[dict[str, Any]]:
    """Yield the rows of sentences with tags, as `example_rows` describes them."""
    pairs = zip(evaluator.predicted, evaluator.probabilities, strict=True)
    for sentence, (tags, probabilities) in zip(evaluator.data.examples, pairs, strict=True):
        yield {
            "id": sentence.id,
            "source": sentence.source,
            "texts": [" ".join(sentence.words)],
            "words": list(sentence.words),
            "label": list(sentence.tags),
            "prediction": tags,
            "word_probabilities": [_rounded(value) for value in probabilities.max(axis=-1)],
        }


def _question_rows(evaluator: QuestionEvaluator) -> Iterator[dict[str, Any]]:
    """Yield the rows of questions, as `example_rows` describes them.

    `probability` is the best candidate's, also where no answer is predicted; `null_probability` is
    the logistic function of the null odds, cut at -30 and 30.
    """
    answers = evaluator.answers
    predictions, n_best = answers.best(evaluator.threshold), answers.n_best()
    scores = evaluator.scores_by_metric[evaluator.task.metrics[0]]
    for question, score in zip(evaluator.data.examples, scores, strict=True):
        row = {
            "id": question.id,
            "source": question.source,
            "texts": [question.question, question.context],
            "answers": [answer.text for answer in question.answers],
            "prediction": predictions[question.id],
            "probability": _rounded(n_best[question.id][0]["probability"]),
            "score": _rounded(score),
        }
        if evaluator.task.has_unanswerable:
            odds = np.clip(answers.null_odds[question.id], -_LARGEST_ODDS, _LARGEST_ODDS)
            row["null_probability"] = _rounded(1 / (1 + np.exp(-odds)))
        yield row


def _rounded(value: float) -> float:
    return round(float(value), 6)
