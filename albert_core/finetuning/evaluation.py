"""Evaluation of a fine-tuned model: scores with intervals, files of predictions."""

import dataclasses
from pathlib import Path

from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.evaluators import judge
from albert_core.finetuning.program import load_finetuned, predict
from albert_core.finetuning.task_program import TaskData, TaskProgram
from albert_core.model_function import ModelFunction, compiled_function
from albert_core.progress import ReportProgress, quiet
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
    run = compiled_function(model)
    scores: Scores = {}
    for split in _SPLITS:
        progress(0, 0, f"predicting {split}")
        split_data = program.read(data, split)
        if not split_data.examples:
            continue
        outputs = predict(run, program, split_data)
        judgement = judge(program, split_data, outputs, threshold=scores.get("null_threshold"))
        if split == "dev":
            metrics = judgement.metrics()
            low, high = judgement.interval()
            scores = {**metrics, "score": combined_score(task, metrics), "low": low, "high": high}
        elif judgement.is_scored:
            scores |= {f"{split}_{name}": value for name, value in judgement.metrics().items()}
        judgement.write(results, split)
    return scores


@dataclasses.dataclass(frozen=True, kw_only=True)
class DevSet:
    """A task's dev set, and the score of a fine-tuned model on it.

    Attributes:
        program: The task.
        data: Its dev set, or a part of it.
        score: The first metric of the Keras model.
    """

    program: TaskProgram
    data: TaskData
    score: float

    @property
    def metric(self) -> str:
        """Name of the task's first metric."""
        return self.program.task.metrics[0]

    def score_of(self, run: ModelFunction) -> float:
        """Return the first metric of the model in another runtime."""
        return _first_metric(run, self.program, self.data)


def scored_dev_set(
    *, folder: Path, task: Task, config: FinetuningConfig, data: Path, most: int
) -> DevSet:
    """Return the dev set, scored with the Keras model, to compare the same model with elsewhere.

    Args:
        folder: A folder that `albert finetune` wrote.
        task: Its task.
        config: The settings it was fine-tuned with.
        data: Folder of the task's files.
        most: Most examples that are taken, spread over the dev set.
    """
    model, program = load_finetuned(folder, task, config)
    dev = program.read(data, "dev", most=most)
    score = _first_metric(compiled_function(model), program, dev)
    return DevSet(program=program, data=dev, score=score)


def _first_metric(run: ModelFunction, program: TaskProgram, data: TaskData) -> float:
    return judge(program, data, predict(run, program, data)).metrics()[program.task.metrics[0]]
