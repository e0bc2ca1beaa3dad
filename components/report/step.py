"""Write the page of a run from the artifacts of its steps."""

import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics, read_manifest
from albert_core.artifacts.step import run_step
from albert_core.checks import check_distinct
from albert_core.errors import InputError
from albert_core.files import write_json
from albert_core.old_names import rename_metrics
from albert_core.progress import ReportProgress, quiet
from albert_core.settings import parse_settings
from albert_core.training.history import read_history
from albert_core.training.log import read_log
from components.checkpoint.step import CHECKPOINT_NAME
from components.export.step import EXPORT_NAME, TaskExport
from components.finetune.job import refuse_repeated_tasks, task_step_name
from components.promote.decision import Promotion
from components.promote.step import PROMOTION_NAME
from components.records.job import records_step_names
from components.report.curves import thin_rows
from components.report.page import render_page
from components.report.submission import (
    PREDICTIONS_FOLDER,
    SUBMISSION_NAME,
    copy_predictions,
    write_submission,
)
from components.report.summary import Cost, RunSummary, StepSummary
from components.report.verdict import judge

PAGE_NAME = "index.html"
SUMMARY_NAME = "summary.json"
_HOUR_S = 3600.0
_LOG_COLUMNS = ("loss", "masked_lm_accuracy", "sentence_order_accuracy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelPaths:
    """Where the commands on the page find the models.

    Attributes:
        pretrained: The pretrained model.
        tasks: The model of each task by the task's name; `models/TASK` of others.
    """

    pretrained: str = "pretrained"
    tasks: Mapping[str, str] = dataclasses.field(default_factory=dict)


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
        output: Folder that receives the report, local or gs://; made here.
        vocab: Output of `albert vocab`; needed beside an output of `albert pretrain`.
        records: Outputs of `albert records`, one for each sequence length, the last phase's last;
            likewise.
        exported: Output of the step `export`, if there was one.
        promotion: Output of the step `promote`, if there was one.
        in_run_folder: Whether the page will lie in the folder of a run, so that its commands name
            the run's places (`models/TASK`); else they name the folders given here.
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
    paths = ModelPaths()
    if not in_run_folder:
        tasks = _tasks_of_models(finetuned, manifests["finetune"])
        paths = ModelPaths(pretrained=str(pretrained), tasks=tasks)

    def body(results: Path, _: Path) -> Metrics:
        """Write submission, predictions, summary and page; return the number of tasks."""
        progress(0, 0, "reading results and filling masks")
        scored = (folders["evaluate"], manifests["evaluate"])
        predictions = copy_predictions(*scored, results / PREDICTIONS_FOLDER)
        summary = dataclasses.replace(
            summarise(title, folders, manifests, paths),
            submission=write_submission(*scored, results / SUBMISSION_NAME),
            predictions=[f"{PREDICTIONS_FOLDER}/{name}" for name in predictions],
        )
        write_json(results / SUMMARY_NAME, dataclasses.asdict(summary))
        (results / PAGE_NAME).write_text(render_page(summary), encoding="utf-8")
        return {"num_tasks": len(summary.tasks)}

    return run_step(
        "report",
        config={
            "title": title,
            # Not in a run's folder alone: the report of a run stays the same work.
            **({} if in_run_folder else {"paths": dataclasses.asdict(paths)}),
        },
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


def _tasks_of_models(models: Sequence[str | Path], manifests: Sequence[Manifest]) -> dict[str, str]:
    """Return each task's model by the task's name, without those from random weights."""
    return {
        manifest.config["task"]: str(model)
        for model, manifest in zip(models, manifests, strict=True)
        if manifest.config["initialization"] == "pretrained"
    }


def summarise(
    title: str,
    folders: dict[str, list[Path]],
    manifests: dict[str, list[Manifest]],
    paths: ModelPaths | None = None,
) -> RunSummary:
    """Read the summary of a run from its artifacts; its time of creation is now.

    Loads the model if it was pretrained in the run, to fill masks with it.

    Args:
        title: Name of the run.
        folders: Output folders by step, with all keys that `write_report` makes; one of
            `checkpoint` alone, or one each of `vocab` and `pretrain` and at least one of `records`
            (the last one is reported); and as many of `finetune` as of `evaluate`.
        manifests: Their manifests, in the same order.
        paths: Where the page's commands find the models; by default in the folder of a run.
    """
    # Here, since the command line needs the names in this module, and none of what this imports.
    from components.report.task_summaries import summarise_tasks

    paths = paths or ModelPaths()
    summary = RunSummary(
        title=title,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        steps=[
            _step_summary(name, manifest)
            for step, of_step in manifests.items()
            for name, manifest in zip(step_names(step, of_step), of_step, strict=True)
        ],
        **_summarise_start(folders, manifests),
        tasks=summarise_tasks(folders, manifests, paths.tasks),
        exports=[
            parse_settings(TaskExport, values, source=str(folder))
            for folder in folders["export"]
            for values in _read_json(folder / EXPORT_NAME)["models"]
        ],
        promotion=next(map(_read_promotion, folders["promote"]), None),
        pretrained_path=paths.pretrained,
    )
    return dataclasses.replace(summary, verdict=judge(summary))


def _summarise_start(
    folders: dict[str, list[Path]], manifests: dict[str, list[Manifest]]
) -> dict[str, Any]:
    """Return what a `RunSummary` has of a checkpoint, or of vocabulary, records and pretraining.

    Loads the pretrained model, to fill masks with it. Arguments are those of `summarise`.
    """
    if folders["checkpoint"]:
        return {"checkpoint": _read_json(folders["checkpoint"][0] / CHECKPOINT_NAME)}
    from components.report.samples import fill_samples

    (vocab,), (*_, records), (pretrained,) = (folders[s] for s in ("vocab", "records", "pretrain"))
    return {
        "vocabulary": rename_metrics(_read_json(vocab / "vocab_report.json")),
        "records": rename_metrics(_read_json(records / "records_report.json")),
        "pretraining_history": read_history(pretrained),
        "most_frequent_fraction": manifests["records"][-1].metrics["most_frequent_fraction"],
        "pretraining_log": thin_rows(read_log(pretrained), _LOG_COLUMNS),
        "filled_samples": fill_samples(pretrained, records),
        "cost": _cost(manifests["pretrain"][0], manifests["export"]),
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
        environment=manifest.environment,
    )


def _cost(pretrained: Manifest, exported: Sequence[Manifest]) -> Cost | None:
    """Return time, price and energy of a pretraining; None if its speed is not known.

    Price and power are those that the settings of the export give for the card.
    """
    speed = pretrained.metrics.get("tokens_per_second")
    if not speed:
        return None
    hours = pretrained.metrics["num_tokens"] / speed / _HOUR_S
    card = exported[0].config.get("card", {}) if exported else {}
    price, watts, measured = (card.get(name) for name in ("price_per_hour", "watts", "energy_kwh"))
    estimated = None if watts is None else hours * watts / 1000
    return Cost(
        hours=hours,
        price=None if price is None else hours * price,
        currency=card.get("currency", ""),
        energy_kwh=estimated if measured is None else measured,
        is_measured=measured is not None,
    )


def _read_promotion(folder: Path) -> Promotion:
    """Read the decision in an output of the step `promote`."""
    path = folder / PROMOTION_NAME
    return parse_settings(Promotion, _read_json(path), source=str(path))


def _read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds a JSON object; that it is one is not checked."""
    return json.loads(path.read_text(encoding="utf-8"))
