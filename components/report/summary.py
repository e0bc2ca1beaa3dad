"""The results of a run, from the manifests of its steps, for the terminal's table and the page."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from albert_core.training.history import best_row
from components.export.step import TaskExport
from components.promote.decision import Promotion
from components.report.submission import SubmissionFile

_MONITOR = "masked_lm_accuracy"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepSummary:
    """One step of the run.

    Attributes:
        name: `vocab`, `records`, `pretrain`, `finetune cola`, `evaluate cola`, ...
        seconds: Wall-clock time of the process that finished it.
        metrics: Its key metrics, as in its manifest.
        config: Its settings.
        code_version: Hash of the sources that ran.
    """

    name: str
    seconds: float
    metrics: Mapping[str, Any]
    config: Mapping[str, Any]
    code_version: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskSummary:
    """Scores of one task on its dev set.

    Attributes:
        name: Name of the task.
        metric: The task's own metric, for example `matthews_correlation`.
        score: Its value with the pretrained model.
        random_weights_score: Its value after the same fine-tuning from random weights, or None.
        majority_score: Its value when always the most frequent label (or the mean) is predicted.
        metrics: All metrics of the pretrained model, by name, without the interval.
        interval: Bootstrap interval of the score (95 %), or None.
        num_seeds: Trainings with different seeds; the score is that of the best.
        mean_score: Mean over the seeds, or None of a single one.
        score_std: Sample standard deviation over the seeds, or None of a single one.
        paper_scores: Published scores, by model, in percent.
        num_train: Training examples.
        num_dev: Dev examples.
        history: A row for each dev evaluation of fine-tuning: global_step, train_loss, metrics.
        random_weights_history: The same from random weights, empty if it was not run.
    """

    name: str
    metric: str
    score: float
    random_weights_score: float | None
    majority_score: float
    metrics: Mapping[str, float]
    num_train: int
    num_dev: int
    history: Sequence[Mapping[str, Any]]
    interval: tuple[float, float] | None = None
    num_seeds: int = 1
    mean_score: float | None = None
    score_std: float | None = None
    paper_scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    random_weights_history: Sequence[Mapping[str, Any]] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A whole run.

    Attributes:
        title: Name of the run.
        checkpoint: What the run started from, of one from a checkpoint: source, kind, size,
            num_parameters, vocab_size, lower_case, heads, notes. Of any other it is empty; of one
            from a checkpoint nothing is in the fields about text and pretraining.
        created: When the report was made, ISO 8601 with zone.
        steps: Every step, in order.
        vocabulary: The vocabulary's report: vocab_size, tokens_per_word, characters_per_token,
            unknown_fraction, num_described_sentences, and `examples`, each with `text` and
            `pieces`.
        records: The records' report: counts, sequence_length, padding_fraction.
        pretraining_history: A row for each held-out evaluation: global_step, phase (if there are
            several), seconds, train_loss and
            train_masked_lm_accuracy, and the held-out masked_lm_accuracy, masked_lm_loss,
            sentence_order_accuracy, sentence_order_loss, loss.
        most_frequent_fraction: Masked-LM accuracy of always guessing the most frequent token.
        tasks: Scores.
        submission: The files in the archive for GLUE's site; empty without one.
        predictions: Files of predictions for SQuAD, RACE and tasks like them, by their paths in
            the report's folder.
        exports: What was exported and what was held back; empty of a run without export.
        promotion: Whether the model replaced the accepted one; None of a run without retraining.
    """

    title: str
    created: str
    steps: Sequence[StepSummary]
    checkpoint: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    vocabulary: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    records: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pretraining_history: Sequence[Mapping[str, Any]] = ()
    most_frequent_fraction: float = 0.0
    tasks: Sequence[TaskSummary]
    submission: Sequence[SubmissionFile] = ()
    predictions: Sequence[str] = ()
    exports: Sequence[TaskExport] = ()
    promotion: Promotion | None = None


def published_evaluation(history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the evaluation of the weights that pretraining published; empty without any.

    Args:
        history: Rows in the order of the steps. Of one whose masked LM accuracy is missing or not
            finite, that accuracy is returned as minus infinity.
    """
    # A history may have gaps (a loss that diverged, a metric that was not measured), and NaN has
    # no order: such an evaluation is the worst of its phase.
    comparable = [{**row, _MONITOR: _finite(row.get(_MONITOR))} for row in history]
    return best_row(comparable, _MONITOR) if comparable else {}


def _finite(value: float | None) -> float:
    """Return a number, or minus infinity where it is missing, nan or infinite."""
    return value if value is not None and math.isfinite(value) else -math.inf
