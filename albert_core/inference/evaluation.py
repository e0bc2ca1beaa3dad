"""Score a loaded model on its task's data, and write its predictions."""

from pathlib import Path

from albert_core.files.atomic import write_json
from albert_core.finetuning.dev_set import DevSet, compute_first_metric
from albert_core.finetuning.evaluators import Evaluator, evaluate_outputs
from albert_core.finetuning.example_rows import write_example_rows
from albert_core.finetuning.prediction import predict_outputs
from albert_core.finetuning.task_preprocessor import TaskData, TaskPreprocessor
from albert_core.finetuning.truncation import describe_truncation
from albert_core.inference.baselines import BASELINES_NAME, ScoredBaseline, score_baselines
from albert_core.inference.loaded_model import LoadedModel
from albert_core.progress import ReportProgress, quiet, report_message
from albert_core.tasks import Task, has_training
from albert_core.tasks.metrics import Scores, combined_score
from albert_core.tasks.source import Split

_SPLITS: tuple[Split, ...] = ("dev", "test")


def evaluate_splits(
    model: LoadedModel,
    *,
    data: Path,
    results: Path,
    with_baselines: bool = False,
    progress: ReportProgress = quiet,
) -> Scores:
    """Score a model on the dev set, and on test files with labels; write all predictions.

    The null threshold of questions that may have no answer is the best on the dev set; it is used
    for the test files, too. The model's own is not used. The dev set must be there, with labels, in
    files of its own or as a part of the training files. Test files may be missing, and for a split
    without examples nothing is written. Files in `results` of the same names are replaced.

    Args:
        model: A fine-tuned model in any format.
        data: Folder of its task's files.
        results: Folder that exists; receives the files of predictions, see `Evaluator.write`, and
            the dev examples with their predictions, see `example_rows`.
        with_baselines: Whether simpler ways to predict are scored on the dev set, too: they are in
            the rows of the examples, and their scores in `baselines_dev.json`. Where training files
            are missing, a message says that there are none.
        progress: Called with the model's notes, and with messages about which split is predicted
            and what is left out of it.

    Returns:
        The metrics on the dev set, the task's first metric first; `score`, what GLUE averages;
        `low` and `high` of the first metric's bootstrap interval; metrics on labelled test files,
        as `test_accuracy`. Nothing is rounded.

    Raises:
        InputError: The model declares no task or has no vocabulary, or a file is missing or cannot
            be used.
    """
    preprocessor = model.preprocessor()
    for note in model.notes:
        report_message(progress, note)
    scores: Scores = {}
    for split in _SPLITS:
        report_message(progress, f"predicting {split}")
        split_data = preprocessor.read(data, split)
        if not split_data.examples:
            continue
        for cause, number in split_data.left_out.items():
            report_message(progress, f"left out of {split}: {number:,} ({cause})")
        if note := describe_truncation(split_data.features, split):
            report_message(progress, note)
        outputs = predict_outputs(
            model.run,
            split_data.features,
            preprocessor.inputs,
            max_length=preprocessor.config.sequence_length,
            length_multiple=model.length_multiple,
        )
        # The dev set comes first in `_SPLITS`: the test set is scored at its threshold.
        evaluator = evaluate_outputs(
            preprocessor, split_data, outputs, threshold=scores.get("null_threshold")
        )
        if split == "dev":
            scores = _dev_scores(evaluator, preprocessor.task)
            baselines = (
                _write_baselines(results, preprocessor, data, split_data, progress)
                if with_baselines
                else []
            )
            write_example_rows(
                results, evaluator, {baseline.name: baseline.predictions for baseline in baselines}
            )
        elif evaluator.is_scored:
            scores |= {f"{split}_{name}": value for name, value in evaluator.metrics().items()}
        evaluator.write(results, split)
    return scores


def _dev_scores(evaluator: Evaluator, task: Task) -> Scores:
    """Return the metrics on the dev set, what GLUE averages, and the interval of the first."""
    metrics = evaluator.metrics()
    low, high = evaluator.interval()
    return {**metrics, "score": combined_score(task, metrics), "low": low, "high": high}


def _write_baselines(
    results: Path,
    preprocessor: TaskPreprocessor,
    data: Path,
    dev: TaskData,
    progress: ReportProgress,
) -> list[ScoredBaseline]:
    """Score simpler ways to predict the dev set, write their scores, and return them.

    Where training files are missing, which they learn from, there are none and nothing is written.

    Args:
        results: Folder that receives `baselines_dev.json`.
        preprocessor: That of the task.
        data: Folder of the task's files.
        dev: The dev set.
        progress: Called with what is done.

    Raises:
        InputError: A training file cannot be used.
    """
    if not has_training(preprocessor.task, data):
        report_message(progress, "no training files: no score of simpler baselines")
        return []
    report_message(progress, "scoring baselines")
    baselines = score_baselines(preprocessor, data, dev)
    descriptions = {baseline.name: baseline.description() for baseline in baselines}
    write_json(results / BASELINES_NAME, descriptions)
    return baselines


def score_dev_set(model: LoadedModel, *, data: Path, max_examples: int) -> DevSet:
    """Return a model's dev set with its score, to compare the model with in other formats.

    The score is the task's first metric; for questions that may have no answer at the null
    threshold that is best on these examples, not at the model's own. Runs the model on the
    examples; batches are padded to the multiple for Keras's backend, which is imported.

    Args:
        model: A fine-tuned model in any format.
        data: Folder of its task's files.
        max_examples: Largest number of examples, spread evenly over the dev set.

    Raises:
        InputError: The model declares no task or has no vocabulary, or a file is missing or cannot
            be used.
    """
    preprocessor = model.preprocessor()
    dev = preprocessor.read(data, "dev", max_examples=max_examples)
    return DevSet(
        preprocessor=preprocessor,
        data=dev,
        score=compute_first_metric(model.run, preprocessor, dev),
    )
