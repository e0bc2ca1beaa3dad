"""Write the page of a run from the artifacts of its steps."""

import dataclasses
import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics, read_manifest
from albert_core.artifacts.step import run_step
from albert_core.checkpoints.checkpoint import TASK_NAME
from albert_core.checks import check_distinct
from albert_core.errors import InputError
from albert_core.files import write_json
from albert_core.old_names import rename_metrics
from albert_core.progress import ReportProgress, quiet
from albert_core.settings import parse_settings
from albert_core.training.history import read_history
from components.checkpoint.step import CHECKPOINT_NAME
from components.export.step import EXPORT_NAME, TaskExport
from components.finetune.job import refuse_repeated_tasks, task_step_name
from components.promote.decision import Promotion
from components.promote.step import PROMOTION_NAME
from components.records.job import records_step_names
from components.report.page import render_page
from components.report.submission import (
    PREDICTIONS_FOLDER,
    SUBMISSION_NAME,
    copy_predictions,
    write_submission,
)
from components.report.summary import RunSummary, StepSummary, TaskSummary

PAGE_NAME = "index.html"
SUMMARY_NAME = "summary.json"


def write_report(
    *,
    title: str,
    pretrained: str | Path,
    finetuned: Sequence[str | Path],
    evaluations: Sequence[str | Path],
    output: str | Path,
    vocab: str | Path | None = None,
    records: Sequence[str | Path] = (),
    exported: str | Path | None = None,
    promotion: str | Path | None = None,
    work_root: str | Path | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Publish index.html, a self-contained page, and the same as summary.json to `output`.

    If the evaluations hold predictions on GLUE's test files, they are packed into
    glue_submission.zip, in the form that the GLUE site takes; predictions for SQuAD, RACE and tasks
    like them are copied to predictions/. If `output` holds the report of these inputs already,
    nothing is done.

    Args:
        title: Name of the run.
        pretrained: Output of `albert pretrain`, or of the step `checkpoint` of a run from one.
        finetuned: Outputs of `albert finetune`.
        evaluations: Outputs of `albert evaluate`, one for each of `finetuned`, in the same order.
        output: Folder that receives the report, local or gs://; made here.
        vocab: Output of `albert vocab`; needed beside an output of `albert pretrain`.
        records: Outputs of `albert records`, one for each sequence length, the last phase's last;
            likewise.
        exported: Output of the step `export`, if there was one.
        promotion: Output of the step `promote`, if there was one.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Called with what the step is doing.

    Raises:
        InputError: An input is missing, damaged or another step's, the evaluations are not those
            of the fine-tuned models in their order, two are of one task from the same weights or
            have a file of one name for GLUE's site, or `output` holds something else.
    """
    start = input_folder(pretrained)
    is_checkpoint = (start / CHECKPOINT_NAME).is_file()
    if not is_checkpoint and not (vocab and records):
        raise InputError(
            "report: got no vocab or no records, expected both beside an output of `albert "
            "pretrain`; name them with --vocab_dir and --records_dir"
        )
    folders = {
        "checkpoint": [start] if is_checkpoint else [],
        "vocab": [input_folder(vocab)] if vocab else [],
        "records": [input_folder(folder) for folder in records],
        "pretrain": [] if is_checkpoint else [start],
        "finetune": [input_folder(folder) for folder in finetuned],
        "evaluate": [input_folder(folder) for folder in evaluations],
        "export": [input_folder(exported)] if exported else [],
        "promote": [input_folder(promotion)] if promotion else [],
    }
    manifests = {
        step: [read_manifest(folder, step=step) for folder in outputs]
        for step, outputs in folders.items()
    }

    _refuse_unpaired(manifests["finetune"], manifests["evaluate"])
    lengths = [manifest.config["records"]["sequence_length"] for manifest in manifests["records"]]
    check_distinct("report: sequence lengths of the records", lengths)
    refuse_repeated_tasks("report", [m.config for m in manifests["finetune"]], folders["finetune"])

    def body(results: Path, _: Path) -> Metrics:
        """Write submission, predictions, summary and page; return the number of tasks."""
        progress(0, 0, "drawing")
        scored = (folders["evaluate"], manifests["evaluate"])
        predictions = copy_predictions(*scored, results / PREDICTIONS_FOLDER)
        summary = dataclasses.replace(
            summarise(title, folders, manifests),
            submission=write_submission(*scored, results / SUBMISSION_NAME),
            predictions=[f"{PREDICTIONS_FOLDER}/{name}" for name in predictions],
        )
        write_json(results / SUMMARY_NAME, dataclasses.asdict(summary))
        (results / PAGE_NAME).write_text(render_page(summary), encoding="utf-8")
        return {"num_tasks": len(summary.tasks)}

    return run_step(
        "report",
        config={"title": title},
        inputs={
            f"{step} {index}": manifest.content_hash
            for step, of_step in manifests.items()
            for index, manifest in enumerate(of_step)
        },
        output=output,
        work_root=work_root,
        body=body,
    )


def _refuse_unpaired(finetuned: Sequence[Manifest], evaluations: Sequence[Manifest]) -> None:
    """Refuse evaluations that are not of the fine-tuned models, one each, in the same order.

    Raises:
        InputError: They are not.
    """
    # By content: two tasks with the same names of metrics would else swap scores unnoticed.
    models = [manifest.content_hash for manifest in finetuned]
    scored = [manifest.inputs["model"] for manifest in evaluations]
    if models != scored:
        raise InputError(
            f"report: got {len(models)} fine-tuned models and {len(scored)} evaluations, expected "
            "each model's own evaluation, in the same order"
        )


def summarise(
    title: str, folders: dict[str, list[Path]], manifests: dict[str, list[Manifest]]
) -> RunSummary:
    """Read the summary of a run from its artifacts; its time of creation is now.

    Args:
        title: Name of the run.
        folders: Output folders by step, with all keys that `write_report` makes; one of
            `checkpoint` alone, or one each of `vocab` and `pretrain` and at least one of `records`
            (the last one is reported); and as many of `finetune` as of `evaluate`.
        manifests: Their manifests, in the same order.
    """
    return RunSummary(
        title=title,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        steps=[
            _step_summary(name, manifest)
            for step, of_step in manifests.items()
            for name, manifest in zip(step_names(step, of_step), of_step, strict=True)
        ],
        **_summarise_start(folders, manifests),
        tasks=_task_summaries(folders, manifests),
        exports=[
            parse_settings(TaskExport, values, source=str(folder))
            for folder in folders["export"]
            for values in _read_json(folder / EXPORT_NAME)["models"]
        ],
        promotion=next(map(_read_promotion, folders["promote"]), None),
    )


def _summarise_start(
    folders: dict[str, list[Path]], manifests: dict[str, list[Manifest]]
) -> dict[str, Any]:
    """Return what a `RunSummary` has of a checkpoint, or of vocabulary, records and pretraining.

    Arguments are those of `summarise`.
    """
    if folders["checkpoint"]:
        return {"checkpoint": _read_json(folders["checkpoint"][0] / CHECKPOINT_NAME)}
    (vocab,), (*_, records), (pretrained,) = (folders[s] for s in ("vocab", "records", "pretrain"))
    return {
        "vocabulary": rename_metrics(_read_json(vocab / "vocab_report.json")),
        "records": rename_metrics(_read_json(records / "records_report.json")),
        "pretraining_history": read_history(pretrained),
        "most_frequent_fraction": manifests["records"][-1].metrics["most_frequent_fraction"],
    }


def step_names(step: str, manifests: Sequence[Manifest]) -> list[str]:
    """Return the names of a step's runs as people read them, for example `finetune cola`.

    Args:
        step: Name of the step.
        manifests: Manifests of all its runs; the names come in their order.
    """
    configs = [manifest.config for manifest in manifests]
    if step == "records":
        return records_step_names([config["records"]["sequence_length"] for config in configs])
    return [
        task_step_name(step, config["task"], config["initialization"]) if "task" in config else step
        for config in configs
    ]


def _step_summary(name: str, manifest: Manifest) -> StepSummary:
    """Return a step's time, metrics, configuration and code version, from its manifest."""
    return StepSummary(
        name=name,
        seconds=manifest.seconds,
        metrics=manifest.metrics,
        config=manifest.config,
        code_version=manifest.code_version,
    )


def _task_summaries(
    folders: dict[str, list[Path]], manifests: dict[str, list[Manifest]]
) -> list[TaskSummary]:
    """Return a summary for each task that has a run from pretrained weights, in their order.

    The task's run from random weights, if there is one, becomes its baseline. That a task has one
    run from the same weights at most is not checked.

    Args:
        folders: Output folders by step, as in `summarise`.
        manifests: Their manifests; those of `finetune` and `evaluate` belong together pairwise.
    """
    runs: dict[str, dict[str, tuple[Path, Manifest, Manifest]]] = {}
    rows = zip(folders["finetune"], manifests["finetune"], manifests["evaluate"], strict=True)
    for folder, tuned, evaluated in rows:
        of_task = runs.setdefault(tuned.config["task"], {})
        of_task[tuned.config["initialization"]] = (folder, tuned, evaluated)
    return [
        _task_summary(name, of_task) for name, of_task in runs.items() if "pretrained" in of_task
    ]


def _task_summary(name: str, runs: dict[str, tuple[Path, Manifest, Manifest]]) -> TaskSummary:
    """Return the summary of a task, whose score is the first metric of its evaluation.

    Args:
        name: Name of the task.
        runs: Folder of the model, its manifest and its evaluation's, by initialization:
            `pretrained`, and `random` if there is such a run.
    """
    folder, tuned, evaluated = runs["pretrained"]
    metric = next(iter(evaluated.metrics))  # the task's own metric is always the first
    random = runs.get("random")
    scores = dict(evaluated.metrics)
    interval = (scores.pop("low"), scores.pop("high"))
    return TaskSummary(
        name=name,
        metric=metric,
        score=evaluated.metrics[metric],
        random_weights_score=random[2].metrics[metric] if random else None,
        majority_score=tuned.metrics["majority_score"],
        metrics=scores,
        interval=interval,
        num_seeds=tuned.metrics.get("num_seeds", 1),
        mean_score=tuned.metrics.get(f"{metric}_mean"),
        score_std=tuned.metrics.get(f"{metric}_std"),
        paper_scores=_read_json(folder / TASK_NAME).get("paper_scores", {}),
        num_train=tuned.metrics["num_train"],
        num_dev=tuned.metrics["num_dev"],
        history=read_history(folder),
        random_weights_history=read_history(random[0]) if random else [],
    )


def _read_promotion(folder: Path) -> Promotion:
    """Read the decision in an output of the step `promote`."""
    path = folder / PROMOTION_NAME
    return parse_settings(Promotion, _read_json(path), source=str(path))


def _read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds a JSON object; that it is one is not checked."""
    return json.loads(path.read_text(encoding="utf-8"))
