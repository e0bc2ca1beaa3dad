"""The results of a run, from the manifests of its steps, for the terminal's table and the page."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from albert_core.pretraining.objectives import published_row
from components.export.step import TaskExport
from components.promote.decision import Promotion
from components.report.analysis import Calibration, ClassQuality, Mistake, RocCurve
from components.report.significance import Difference
from components.report.submission import SubmissionFile


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepSummary:
    """One step of the run.

    Attributes:
        name: `vocab`, `records`, `pretrain`, `finetune cola`, `evaluate cola`, ...
        seconds: Wall-clock time of the process that finished it.
        metrics: Its key metrics, as in its manifest.
        config: Its settings.
        code_version: Hash of the sources that ran.
        environment: Machine and versions, as in its manifest; empty if it tells none.
    """

    name: str
    seconds: float
    metrics: Mapping[str, Any]
    config: Mapping[str, Any]
    code_version: str
    environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskAnalysis:
    """What the model gets right and wrong on a task's dev set.

    Attributes:
        labels: Names of the classes; empty where there are none.
        confusion_matrix: Counts, a row for each true class; empty where there are no classes.
        classes: Precision and recall of each class.
        calibration: Whether its probabilities mean what they say; None where there are none, or
            the evaluation of an earlier version did not keep them.
        roc: ROC curve of two classes, or None.
        mistakes: The most confident mistakes; empty also if they were not kept.
        num_mistakes: Number of all mistakes; None if they were not kept.
    """

    labels: Sequence[str] = ()
    confusion_matrix: Sequence[Sequence[int]] = ()
    classes: Sequence[ClassQuality] = ()
    calibration: Calibration | None = None
    roc: RocCurve | None = None
    mistakes: Sequence[Mistake] = ()
    num_mistakes: int | None = None


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
        mean_score: Mean over the seeds, or None for a single one.
        score_std: Sample standard deviation over the seeds, or None for a single one.
        random_weights_mean: Mean over the seeds from random weights, or None.
        random_weights_std: Sample standard deviation over these, or None.
        random_weights_unequal_settings: Settings in which a run from random weights differs, so
            that it is no control and left out; empty otherwise.
        random_weights_other_compute: A sentence that says so where the run from random weights was
            trained in another precision or compilation; empty otherwise.
        chosen_settings: What a grid chose by the dev set: the model's value and that from random
            weights, by name; empty without a grid.
        paper_scores: Published scores, by model, in percent.
        num_train: Training examples.
        num_dev: Dev examples.
        data_files: Which files they are from, in words; empty for summaries of earlier versions.
        history: A row for each dev evaluation of fine-tuning: global_step, train_loss, metrics.
        random_weights_history: `history` of the training from random weights; empty if there was
            none.
        kind: Kind of the task.
        without_model_score: Score by TF-IDF, or for tags by each word's most frequent one; or None.
        differences: The score against each baseline that there is.
        training_log: Rows of `global_step` and `loss` of fine-tuning, thinned for drawing.
        random_weights_log: `training_log` of the training from random weights; empty if there was
            none.
        analysis: What the model gets right and wrong.
        probe: The frozen probe of the pretrained model, a `FrozenProbe` as plain values; empty
            without one.
        model_path: Where the model is, for the commands that use it.
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
    random_weights_mean: float | None = None
    random_weights_std: float | None = None
    random_weights_unequal_settings: Sequence[str] = ()
    random_weights_other_compute: str = ""
    chosen_settings: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    paper_scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    random_weights_history: Sequence[Mapping[str, Any]] = ()
    kind: str = "classification"
    without_model_score: float | None = None
    differences: Sequence[Difference] = ()
    training_log: Sequence[Mapping[str, Any]] = ()
    random_weights_log: Sequence[Mapping[str, Any]] = ()
    analysis: TaskAnalysis = dataclasses.field(default_factory=TaskAnalysis)
    probe: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    model_path: str = ""
    data_files: str = ""

    def difference_from(self, baseline: str) -> Difference | None:
        """Return the score's difference from a baseline by its name; None if it was not run."""
        return next(
            (difference for difference in self.differences if difference.baseline == baseline), None
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Advice:
    """Something to do next.

    Attributes:
        action: What, in one sentence.
        reason: Why, with the numbers it follows from.
        setting: Settings or a command for it; empty if there are none.
    """

    action: str
    reason: str
    setting: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether pretraining paid, or without that control how the models score, in words.

    Attributes:
        question: What is answered.
        answer: The answer, in a sentence or two.
        reasons: Sentences with the numbers, over all tasks.
        tasks: A sentence for each task, by its name.
        advice: What to do next, the most useful first.
    """

    question: str
    answer: str
    reasons: Sequence[str] = ()
    tasks: Mapping[str, str] = dataclasses.field(default_factory=dict)
    advice: Sequence[Advice] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilledSample:
    """A held-out text with a masked word, and what the pretrained model puts there.

    Attributes:
        before: The text before the mask.
        after: The text after it.
        expected: The token that was masked, as text.
        candidates: The likeliest tokens as text with their probabilities, the likeliest first.
    """

    before: str
    after: str
    expected: str
    candidates: Sequence[tuple[str, float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """Time of pretraining, and price and energy as far as they are known.

    Attributes:
        hours: Hours of pretraining, from tokens and speed.
        price: Price, or None.
        currency: Its currency.
        energy_kwh: Energy in kWh, or None.
        is_measured: Whether the energy was measured; else it is the power times the hours.
    """

    hours: float
    price: float | None = None
    currency: str = ""
    energy_kwh: float | None = None
    is_measured: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelPaths:
    """Where the commands on the page find the models.

    Attributes:
        pretrained: The pretrained model.
        tasks: The model of each task by the task's name; `models/TASK` of others.
    """

    pretrained: str = "pretrained"
    tasks: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A whole run.

    Attributes:
        title: Name of the run.
        checkpoint: What a run from a checkpoint started from: source, kind, size, num_parameters,
            vocab_size, lower_case, strip_accents, heads, notes. For any other run it is empty; for
            a run from a checkpoint the fields about text and pretraining are empty.
        created: When the report was made, ISO 8601 with zone.
        steps: Every step, in order.
        vocabulary: The vocabulary's report: vocab_size, tokens_per_word, characters_per_token,
            unknown_fraction, num_described_sentences, and `examples`, each with `text` and
            `pieces`.
        records: The records' report: counts, sequence_length, padding_fraction.
        pretraining_history: A row for each held-out evaluation: global_step, phase (if there are
            several), seconds, train_loss and train_masked_lm_accuracy, and the held-out
            masked_lm_accuracy, masked_lm_loss, sentence_order_accuracy, sentence_order_loss, loss;
            masked_lm_<kind>_accuracy, _loss and _fraction for each kind in `SHOWN_NAMES` of
            `components.pretraining_metrics`; `masking` in words; in the last row effective ranks.
            With replaced-token detection those of masked LM are the generator's, and there are
            replaced_token_accuracy, _loss, _precision, _recall, _fraction and
            _predicted_fraction. Rows of earlier versions lack those after `loss`.
        most_frequent_fraction: Masked-LM accuracy of always guessing the most frequent token.
        tasks: Scores.
        submission: The files in the archive for GLUE's site; empty without one.
        predictions: Files of predictions for SQuAD, RACE and tasks like them, by their paths in
            the report's folder.
        exports: What was exported and what was held back; empty for a run without export.
        promotion: Whether the model replaced the accepted one; None for a run without retraining.
        verdict: Whether pretraining paid, and what to do next.
        pretraining_log: Rows of `global_step`, `loss` and accuracies of training, thinned.
        filled_samples: Held-out texts with a masked word, filled by the pretrained model.
        cost: Time, price and energy of pretraining; None if its time is not known.
        pretrained_path: Where the pretrained model is, for the commands that use it.
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
    verdict: Verdict | None = None
    pretraining_log: Sequence[Mapping[str, Any]] = ()
    filled_samples: Sequence[FilledSample] = ()
    cost: Cost | None = None
    pretrained_path: str = "pretrained"


def published_evaluation(history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the evaluation of the weights that pretraining published; empty without any.

    Args:
        history: Rows in the order of the steps. Without detection, a row whose masked LM accuracy
            is missing or not finite counts as the worst; where it is returned, that accuracy is
            minus infinity.
    """
    return published_row(history) if history else {}
