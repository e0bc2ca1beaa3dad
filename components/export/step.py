"""Publish models in formats that others read."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from albert_core.checkpoints import read_checkpoint
from albert_core.errors import InputError
from albert_core.runs.files import write_json
from albert_core.runs.inputs import input_folder
from albert_core.runs.manifest import Figures, Manifest, read_manifest
from albert_core.runs.progress import ReportProgress, quiet
from albert_core.runs.step import run_step
from components.export.config import ExportConfig, ExportFormat
from components.export.formats import WRITERS

EXPORT_NAME = "export.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskExport:
    """What became of one fine-tuned model.

    Attributes:
        task: Its task.
        metric: The task's first metric.
        score: Its value on the dev set.
        threshold: What it had to reach, or None.
        differences: Largest difference of the outputs by format; empty of a model held back.
    """

    task: str
    metric: str
    score: float
    threshold: float | None
    differences: Mapping[str, float]


def export_model(
    *,
    model: str | Path,
    formats: Sequence[ExportFormat],
    output: str | Path,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Publish one model, pretrained or fine-tuned, to a folder of `output` for each format.

    Args:
        model: A checkpoint of any kind that `albert convert` knows.
        formats: Names in `WRITERS`.
        output: Folder to make.
        progress: Told what it is doing.

    Raises:
        InputError: The model cannot be read, or not be expressed in a format.
        StepFailedError: What was written is not the same model.
    """
    config, model = ExportConfig(formats=tuple(formats)), input_folder(model)
    if not formats:
        raise InputError(f"to: got nothing, expected one or more of {', '.join(WRITERS)}")

    def body(results: Path, _: Path) -> Figures:
        return _write(model, config.formats, results, progress, label="")

    return run_step(
        "export",
        config=dataclasses.asdict(config),
        inputs={"model": read_checkpoint(model).content_hash()},
        output=output,
        body=body,
    )


def export_models(
    *,
    models: Sequence[str | Path],
    evaluations: Sequence[str | Path],
    config: ExportConfig,
    output: str | Path,
    work_root: str | Path | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Publish the fine-tuned models of a run that reach their thresholds, and export.json.

    A model that misses its threshold is held back, which is no failure.

    Args:
        models: Outputs of `albert finetune`; those from random weights are left out.
        evaluations: Outputs of `albert evaluate`, in the same order.
        config: The formats and the thresholds.
        output: Folder to make; a model's formats are in a folder below it named as its task.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Told what it is doing.

    Raises:
        InputError: An input is missing or another step's, or a model cannot be expressed so.
        StepFailedError: What was written is not the same model.
    """
    scored = [read_manifest(input_folder(folder), step="evaluate") for folder in evaluations]
    pairs = [
        (input_folder(model), manifest)
        for model, manifest in zip(models, scored, strict=True)
        if manifest.config["initialization"] == "pretrained"
    ]

    def body(results: Path, _: Path) -> Figures:
        exports = [_export(model, own, config, results, progress) for model, own in pairs]
        write_json(
            results / EXPORT_NAME, {"models": [dataclasses.asdict(export) for export in exports]}
        )
        return _figures(exports)

    return run_step(
        "export",
        config=dataclasses.asdict(config),
        inputs={manifest.config["task"]: manifest.content_hash for _, manifest in pairs}
        | {f"{manifest.config['task']} model": manifest.inputs["model"] for _, manifest in pairs},
        output=output,
        work_root=work_root,
        body=body,
    )


def _export(
    model: Path, scored: Manifest, config: ExportConfig, results: Path, progress: ReportProgress
) -> TaskExport:
    task, metric = scored.config["task"], next(iter(scored.figures))
    score, threshold = scored.figures[metric], config.thresholds.get(task)
    differences: dict[str, float] = {}
    if threshold is None or score >= threshold:
        differences = _write(model, config.formats, results / task, progress, label=f"{task} ")
    return TaskExport(
        task=task, metric=metric, score=score, threshold=threshold, differences=differences
    )


def _write(
    model: Path,
    formats: Sequence[ExportFormat],
    folder: Path,
    progress: ReportProgress,
    *,
    label: str,
) -> dict[str, float]:
    """Write a model in every format and return the largest difference of each."""
    folder.mkdir(exist_ok=True)
    differences: dict[str, float] = {}
    for name in formats:
        progress(0, 0, f"{label}{name}")
        differences[name] = WRITERS[name](model, folder / name)
    return differences


def _figures(exports: Sequence[TaskExport]) -> Figures:
    exported = [export for export in exports if export.differences]
    return {
        "num_exported": len(exported),
        "num_held_back": len(exports) - len(exported),
        "largest_difference": max(
            (value for export in exported for value in export.differences.values()), default=0.0
        ),
    }
