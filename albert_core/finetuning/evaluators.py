"""Evaluate a model's outputs on a split of a task of texts or questions.

Shape suffixes: M examples, C classes or choices.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from albert_core.files.atomic import write_json
from albert_core.finetuning.answer_search import search_answers
from albert_core.finetuning.answers import Answers
from albert_core.finetuning.evaluator_interface import Evaluator, softmax
from albert_core.finetuning.prediction import ExampleOutputs
from albert_core.finetuning.task_preprocessor import TaskData, TaskPreprocessor
from albert_core.finetuning.token_evaluator import TokenEvaluator
from albert_core.tasks.metrics import (
    CLASSIFICATION_NAME,
    Scores,
    compute_metrics,
    describe_classification,
    describe_labels,
    predicted_values,
)
from albert_core.tasks.source import Split
from albert_core.tasks.squad_metrics import (
    AnswerScore,
    answer_threshold,
    cmrc_exact_match,
    cmrc_f1,
    exact_match,
    question_scores,
    word_f1,
)
from albert_core.tasks.task import SUBMISSION_FOLDER, Metric

ANSWER_SCORES: Mapping[Metric, AnswerScore] = {
    "f1": word_f1,
    "exact": exact_match,
    "cmrc_f1": cmrc_f1,
    "cmrc_exact": cmrc_exact_match,
}


class TextEvaluator(Evaluator):
    """Evaluator of classes, labels, scores and choices; reads `logits` [M, C]."""

    @functools.cached_property
    def logits(self) -> np.ndarray:
        """The model's logits, or predicted scores, of each example [M, C]; C is 1 without any."""
        return np.stack(self.outputs["logits"]) if len(self.data.examples) else np.zeros((0, 1))

    @property
    def is_scored(self) -> bool:
        """Whether there are examples and all of them have labels."""
        return "target" in self.data.features.targets and bool(self.data.examples)

    def _metrics_on(self, rows: np.ndarray) -> Scores:
        targets = self.data.features.targets["target"][rows]
        return compute_metrics(self.task, self.logits[rows], targets)

    def write(self, folder: Path, split: Split) -> None:
        """Write a table for each source of the split, and its submission to GLUE's site if any.

        The table `predictions_{split}_{source}.tsv`, or `predictions_{split}.tsv` of a source
        without a name, has an example in each row: its id, its prediction, and the probability of
        each class or choice. Sources without examples get none. The submission is in the folder
        `submission`, which is made, and has ids and predictions. For the dev set of a task of
        classes or labels, whose right answers must be known, also `classification.json`.
        """
        if split == "dev" and self.task.labels:
            write_json(folder / CLASSIFICATION_NAME, self._describe_classes())
        for source in self.task.sources(split):
            rows = [i for i, name in enumerate(self.data.sources) if name == source.name]
            if not rows:
                continue
            name = "_".join(filter(None, ("predictions", split, source.name)))
            self._write_table(folder / f"{name}.tsv", rows)
            if source.submission:
                (folder / SUBMISSION_FOLDER).mkdir(exist_ok=True)
                self._write_submission(folder / SUBMISSION_FOLDER / source.submission, rows)

    def _describe_classes(self) -> dict[str, Any]:
        """Return the scores of each class or label; the right answers must be known.

        For classes also the confusion matrix and, if there are two and both occur, the ROC curve.
        """
        targets = self.data.features.targets["target"]
        if self.task.kind == "multi_label":
            return describe_labels(self.task, predicted_values(self.task, self.logits), targets)
        probabilities = np.stack([softmax(row) for row in self.logits])
        return describe_classification(self.task, probabilities, targets)

    def _write_table(self, path: Path, rows: Sequence[int]) -> None:
        """Write id, prediction and probabilities of some examples as TSV, a header first.

        The columns of probabilities are named after the classes, or numbered from 0 for choices;
        regression has none.
        """
        num_choices = self.logits.shape[1]
        columns = {
            "regression": [],
            "multiple_choice": [str(number) for number in range(num_choices)],
        }.get(self.task.kind, list(self.task.labels))
        lines = ["\t".join(["id", "prediction", *columns])]
        for row in rows:
            probabilities = self._probabilities(row) if columns else np.zeros(0)
            cells = [self.data.examples[row].id, self._prediction(row)]
            lines.append("\t".join([*cells, *(f"{value:.6g}" for value in probabilities)]))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _write_submission(self, path: Path, rows: Sequence[int]) -> None:
        """Write ids and predictions of some examples as TSV, a header first, for GLUE's site."""
        lines = ["index\tprediction"]
        lines += [f"{self.data.examples[row].id}\t{self._prediction(row)}" for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _probabilities(self, row: int) -> np.ndarray:
        """Return the probability of each class or choice of an example [C]; they sum to 1.

        In a multi-label task each label has a probability by itself, and they have no such sum.
        """
        logits = self.logits[row]
        return 1 / (1 + np.exp(-logits)) if self.task.kind == "multi_label" else softmax(logits)

    def _prediction(self, row: int) -> str:
        """Return an example's prediction as text: a class's name, a choice from 0, or a score.

        In a multi-label task it has the names of all predicted labels, separated by commas.
        """
        logits = self.logits[row]
        if self.task.kind == "multi_label":
            named = zip(self.task.labels, logits, strict=True)
            return ",".join(label for label, logit in named if logit > 0)
        if self.task.kind == "regression":
            return f"{logits[0]:.6g}"
        best = int(logits.argmax())
        return str(best) if self.task.kind == "multiple_choice" else self.task.labels[best]


class QuestionEvaluator(Evaluator):
    """Evaluator of question answering; reads the outputs that `search_answers` does."""

    @functools.cached_property
    def answers(self) -> Answers:
        """The likeliest answers to each question, searched once; none where it has no windows."""
        return search_answers(
            self.data.examples,
            self.data.windows,
            self.outputs,
            self.config.questions,
            has_unanswerable=self.task.has_unanswerable,
        )

    @property
    def is_scored(self) -> bool:
        """Whether any question has an answer that is known."""
        return any(question.answers for question in self.data.examples)

    @functools.cached_property
    def is_answerable(self) -> np.ndarray:
        """Whether each question has an answer [M]: all that are not marked as impossible."""
        return np.array([not question.is_impossible for question in self.data.examples])

    @functools.cached_property
    def null_odds(self) -> np.ndarray:
        """The null odds of each question [M]: the higher, the likelier it has no answer.

        A logit or a difference of scores, by the model's head (see `Answers.null_odds`). Only where
        questions may have none (else KeyError).
        """
        return np.array([self.answers.null_odds[question.id] for question in self.data.examples])

    @functools.cached_property
    def threshold(self) -> float | None:
        """The null odds from which on no answer is given; None where every question has an answer.

        If not given, the best on this split for the task's first metric, for which its answers must
        be known (not checked): just above the null odds of the last question that is answered. If
        no threshold scores higher than answering no question, it is the lowest null odds of the
        split, so that none is answered.

        Source: `find_best_thresh` of SQuAD's evaluate-v2.0.py.
        """
        if self._given_threshold is not None or not self.task.has_unanswerable:
            return self._given_threshold
        best = self.answers.best()
        answered = np.array([bool(best[question.id]) for question in self.data.examples])
        scores = self._scores(self.task.metrics[0], best)
        return answer_threshold(scores, self.null_odds, self.is_answerable, answered)

    def _scores(self, metric: Metric, predictions: Mapping[str, str]) -> np.ndarray:
        """Return each question's score [M] of the texts predicted, by the questions' ids."""
        return question_scores(
            ANSWER_SCORES[metric],
            self.data.examples,
            predictions,
            has_unanswerable=self.task.has_unanswerable,
        )

    @functools.cached_property
    def scores_by_metric(self) -> dict[Metric, np.ndarray]:
        """Each question's score [M] by each of the task's metrics."""
        predictions = self.answers.best(self.threshold)
        return {metric: self._scores(metric, predictions) for metric in self.task.metrics}

    def _metrics_on(self, rows: np.ndarray) -> Scores:
        return {name: float(scores[rows].mean()) for name, scores in self.scores_by_metric.items()}

    def metrics(self) -> Scores:
        """Return the task's metrics over all files, and over each if there are several.

        Where there may be no answer, also over each kind of question that occurs, such as
        `answerable_f1` and `none_f1`, and `null_threshold`. Only if `is_scored`, which is not
        checked.
        """
        metrics = super().metrics()
        if not self.task.has_unanswerable:
            return metrics
        for kind, chosen in (("answerable", self.is_answerable), ("none", ~self.is_answerable)):
            if chosen.any():
                metrics |= {
                    f"{kind}_{name}": value
                    for name, value in self._metrics_on(np.flatnonzero(chosen)).items()
                }
        return metrics | {"null_threshold": float(self.threshold or 0.0)}

    def write(self, folder: Path, split: Split) -> None:
        """Write predictions, n-best lists and null odds as the original does, and the curve.

        The files are `predictions_{split}.json` and `nbest_predictions_{split}.json`; where there
        may be no answer also `null_odds_{split}.json`, and `threshold_curve_{split}.tsv` if answers
        are known. There, the threshold must have been given or the answers be known.
        """
        write_json(folder / f"predictions_{split}.json", self.answers.best(self.threshold))
        write_json(folder / f"nbest_predictions_{split}.json", self.answers.n_best())
        if self.task.has_unanswerable:
            write_json(folder / f"null_odds_{split}.json", dict(self.answers.null_odds))
            if self.is_scored:
                self._write_curve(folder / f"threshold_curve_{split}.tsv")

    def _write_curve(self, path: Path, num_points: int = 101) -> None:
        """Write the metrics at thresholds that let through 0 %, 1 %, ... of the questions, as TSV.

        A question is answered if its null odds are below the threshold; one that is not scores 1 if
        it has no answer, else 0. The right answers must be known.
        """
        best = self.answers.best()
        scores = {metric: self._scores(metric, best) for metric in self.task.metrics}
        lines = ["\t".join(["threshold", *self.task.metrics])]
        for threshold in np.quantile(self.null_odds, np.linspace(0, 1, num_points)):
            is_answered = self.null_odds < threshold
            values = [
                np.where(is_answered, by_question, ~self.is_answerable).mean()
                for by_question in scores.values()
            ]
            lines.append("\t".join(f"{value:.6g}" for value in (threshold, *values)))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def evaluate_outputs(
    preprocessor: TaskPreprocessor,
    data: TaskData,
    outputs: ExampleOutputs,
    *,
    threshold: float | None = None,
) -> Evaluator:
    """Return the evaluator of the task's kind, which has computed nothing yet.

    Args:
        preprocessor: That of the task, with its settings.
        data: The split.
        outputs: The model's outputs for each example, in their order; for each window of questions.
        threshold: Null odds from which on a question has no answer; None: the best on this split.
            Must be None where each question has an answer.
    """
    evaluators: dict[str, type[Evaluator]] = {
        "question_answering": QuestionEvaluator,
        "token_classification": TokenEvaluator,
    }
    evaluator = evaluators.get(preprocessor.task.kind, TextEvaluator)
    return evaluator(preprocessor, data, outputs, threshold)
