"""Write the page of a run from the artifacts of its steps."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics, OutputFolder, read_manifest
from albert_core.artifacts.step import run_step
from albert_core.errors import InputError
from albert_core.files.atomic import write_json
from albert_core.progress import ReportProgress, quiet, report_message
from albert_core.settings.checks import check_distinct
from components.checkpoint.step import CHECKPOINT_NAME
from components.finetune.job import refuse_repeated_tasks
from components.report.page import render_page
from components.report.submission import (
    PREDICTIONS_FOLDER,
    SUBMISSION_NAME,
    copy_predictions,
    write_submission,
)
from components.report.summary import ModelPaths

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
    in_run_folder: bool = True,
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
        output: Folder that receives the report, local, gs:// or s3://; made here.
        vocab: Output of `albert vocab`; needed beside an output of `albert pretrain`.
        records: Outputs of `albert records`, one for each sequence length, the last phase's last;
            likewise.
        exported: Output of the step `export`, if there was one.
        promotion: Output of the step `promote`, if there was one.
        in_run_folder: Whether the page will lie in the folder of a run, so that its commands name
            the run's places (`models/TASK`); else they name the folders given here.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Called with what the step is doing.

    Returns:
        The manifest; its metric `num_tasks` counts the tasks with a pretrained model.

    Raises:
        InputError: An input is missing, damaged or another step's; the evaluations are not those of
            the fine-tuned models in their order; two models of one task are both pretrained or both
            from random weights; two records are of one sequence length; two evaluations have a file
            of one name for GLUE's site; or `output` holds something else.
        StepFailedError: Another process has taken over this work.
        ServiceError: The storage failed.
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
    outputs = {
        step: [OutputFolder(folder, read_manifest(folder, step=step)) for folder in folders[step]]
        for step in folders
    }
    _refuse_mixture(outputs)
    paths = ModelPaths()
    if not in_run_folder:
        tasks = _tasks_of_models(finetuned, outputs["finetune"])
        paths = ModelPaths(pretrained=str(pretrained), tasks=tasks)

    def write_results(results: Path, _: Path) -> Metrics:
        """Write submission, predictions, summary and page; return the number of tasks."""
        report_message(progress, "reading results and filling masks")
        return _write_results(results, title, outputs, paths)

    return run_step(
        "report",
        config={
            "title": title,
            # Not in a run's folder alone: the report of a run stays the same work.
            **({} if in_run_folder else {"paths": dataclasses.asdict(paths)}),
        },
        inputs={
            f"{step} {index}": output.manifest.content_hash
            for step, step_outputs in outputs.items()
            for index, output in enumerate(step_outputs)
        },
        output=output,
        work_root=work_root,
        body=write_results,
    )


def _write_results(
    results: Path,
    title: str,
    outputs: Mapping[str, Sequence[OutputFolder]],
    paths: ModelPaths,
) -> Metrics:
    """Write submission, predictions, summary and page; return the number of tasks.

    Args:
        results: Folder that exists.
        title: Name of the run.
        outputs: Outputs by step, all steps.
        paths: Where the page's commands find the models.
    """
    # Here: the command line needs the names in this module, and none of what this imports.
    from components.report.reading import summarise

    evaluations = outputs["evaluate"]
    predictions = copy_predictions(evaluations, results / PREDICTIONS_FOLDER)
    summary = dataclasses.replace(
        summarise(title, outputs, paths),
        submission=write_submission(evaluations, results / SUBMISSION_NAME),
        predictions=[f"{PREDICTIONS_FOLDER}/{name}" for name in predictions],
    )
    write_json(results / SUMMARY_NAME, dataclasses.asdict(summary))
    (results / PAGE_NAME).write_text(render_page(summary), encoding="utf-8")
    return {"num_tasks": len(summary.tasks)}


def _refuse_mixture(outputs: Mapping[str, Sequence[OutputFolder]]) -> None:
    """Refuse outputs that do not go together, given by the names of their steps.

    Raises:
        InputError: Evaluations are not those of the fine-tuned models in their order, two records
            have one sequence length, or two models of one task are both pretrained or both from
            random weights.
    """
    models = outputs["finetune"]
    _refuse_unpaired(models, outputs["evaluate"])
    lengths = [
        output.manifest.config["records"]["sequence_length"] for output in outputs["records"]
    ]
    check_distinct("report: sequence lengths of the records", lengths)
    refuse_repeated_tasks(
        "report", [model.manifest.config for model in models], [model.folder for model in models]
    )


def _refuse_unpaired(
    finetuned: Sequence[OutputFolder], evaluations: Sequence[OutputFolder]
) -> None:
    """Refuse evaluations that are not of the fine-tuned models, one each, in the same order.

    The hash of the model that an evaluation names is compared with the model's.

    Raises:
        InputError: They are not.
    """
    # By content: two tasks with the same names of metrics would else swap scores unnoticed.
    models = [model.manifest.content_hash for model in finetuned]
    scored = [evaluation.manifest.inputs["model"] for evaluation in evaluations]
    if models != scored:
        raise InputError(
            f"report: got {len(models)} fine-tuned models and {len(scored)} evaluations, expected "
            "each model's own evaluation, in the same order"
        )


def _tasks_of_models(
    addresses: Sequence[str | Path], models: Sequence[OutputFolder]
) -> dict[str, str]:
    """Return the address of each task's model by the task's name, without any from random weights.

    Args:
        addresses: Addresses of fine-tuned models, as a person gave them.
        models: The models, in the same order.
    """
    return {
        manifest.config["task"]: str(address)
        for address, (_, manifest) in zip(addresses, models, strict=True)
        if manifest.config["initialization"] == "pretrained"
    }
