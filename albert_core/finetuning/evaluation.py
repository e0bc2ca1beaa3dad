"""Evaluation of a fine-tuned model: scores with intervals, files of predictions."""

from pathlib import Path

from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.judgement import judge
from albert_core.finetuning.program import load_finetuned, predict
from albert_core.runs.progress import ReportProgress, quiet
from albert_core.tasks import Task
from albert_core.tasks.metrics import Scores, combined_score
from albert_core.tasks.task import Split

_SPLITS: tuple[Split, ...] = ("dev", "test")


def evaluate_splits(
    *,
    folder: Path,
    task: Task,
    config: FinetuningConfig,
    data: Path,
    results: Path,
    progress: ReportProgress = quiet,
) -> Scores:
    """Score a model on the dev files, and on test files with labels; write all predictions.

    Args:
        folder: A folder that `albert finetune` wrote.
        task: Its task.
        config: The settings it was fine-tuned with.
        data: Folder of the task's files.
        results: Receives the predictions.
        progress: Told what it is doing.

    Returns:
        The metrics on the dev files, the task's own metric first; `score`, what GLUE averages;
        `low` and `high` of the first metric's bootstrap interval; metrics on labelled test files,
        as `test_accuracy`.
    """
    model, program = load_finetuned(folder, task, config)
    scores: Scores = {}
    for split in _SPLITS:
        progress(0, 0, f"predicting {split}")
        split_data = program.read(data, split)
        if not split_data.examples:
            continue
        outputs = predict(model, program, split_data)
        judgement = judge(program, split_data, outputs, threshold=scores.get("null_threshold"))
        if split == "dev":
            metrics = judgement.metrics()
            low, high = judgement.interval()
            scores = {**metrics, "score": combined_score(task, metrics), "low": low, "high": high}
        elif judgement.is_scored:
            scores |= {f"{split}_{name}": value for name, value in judgement.metrics().items()}
        judgement.write(results, split)
    return scores
