"""The step `export`: write a run's fine-tuned models in other formats, if their scores suffice."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics, read_manifest
from albert_core.artifacts.step import run_step
from albert_core.exports.formats import refuse_missing_packages
from albert_core.files.atomic import write_json
from albert_core.finetuning.config import EVERY_TASK
from albert_core.progress import ReportProgress, quiet
from components.export.config import ExportConfig
from components.export.exporter import DevFiles, Exporter
from components.export.lineage import Lineage, lineage_at
from components.export.proof_sentences import proof_sentences
from components.finetune.job import refuse_repeated_tasks

if TYPE_CHECKING:
    from albert_core.exports.parity import Parity

EXPORT_NAME = "export.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskExport:
    """The export of one fine-tuned model; its mappings by format are empty if it was held back.

    Attributes:
        task: Name of its task.
        metric: Name of the task's first metric.
        score: The metric on the dev set.
        threshold: Least score for an export; None for none.
        differences: Largest difference of the outputs by format.
        file_bytes: Size of the model's files by format.
        size_ratios: Bytes of the files for each byte of the parameters, by format.
        scores: The metric in the format's own runtime on up to 2,000 dev examples, by format.
        score_before: The metric of the Keras model on the same examples; None without a dev set.
    """

    task: str
    metric: str
    score: float
    threshold: float | None
    differences: Mapping[str, float] = dataclasses.field(default_factory=dict)
    file_bytes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    size_ratios: Mapping[str, float] = dataclasses.field(default_factory=dict)
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    score_before: float | None = None


def export_models(
    *,
    models: Sequence[str | Path],
    evaluations: Sequence[str | Path],
    config: ExportConfig,
    output: str | Path,
    data: Mapping[str, str | Path] | None = None,
    vocab: str | Path | None = None,
    records: Sequence[str | Path] = (),
    pretrained: str | Path | None = None,
    work_root: str | Path | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Export the fine-tuned models of a run that reach their thresholds, and write export.json.

    A model below its threshold is held back, which is no failure. Nothing is written if `output`
    already holds this work.

    Args:
        models: Outputs of `albert finetune`; those from random weights are left out.
        evaluations: Outputs of `albert evaluate`, one for each model, in the same order.
        config: The formats and the thresholds.
        output: Folder to make, local, gs:// or s3://; a model's formats are in a folder below it
            named as its task.
        data: Folders of files by task; exported models of these tasks are scored again.
        vocab: Output of `albert vocab`, for the cards; so are the next two.
        records: Outputs of `albert records`.
        pretrained: Output of `albert pretrain`, or of the step `checkpoint`.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Called with what is being done.

    Returns:
        The manifest; its metrics are `num_exported`, `num_held_back` and `largest_difference`.

    Raises:
        InputError: An input is missing or another step's or model's; a format cannot express a
            model, or lacks a package; or `output` holds something else.
        StepFailedError: An exported model is not the same model, so that nothing is published; or
            another process has taken over this work.
        ServiceError: The storage failed.
    """
    refuse_missing_packages(config.formats)
    origins = {"pretrained": pretrained, "records": records, "vocab": vocab}
    candidates = _candidates(models, evaluations, origins)
    folders = data or {}

    def write_exports(results: Path, _: Path) -> Metrics:
        """Export the candidates in order, write export.json and return the metrics."""
        lineage = candidates[0].lineage if candidates else Lineage()  # all have one vocabulary
        exporter = Exporter(config, proof_sentences(lineage), progress)
        exports = []
        for candidate in candidates:
            folder = folders.get(candidate.task)
            dev = DevFiles.for_model(candidate.model, input_folder(folder)) if folder else None
            exports.append(_export_task(exporter, candidate, results, dev))
        write_json(
            results / EXPORT_NAME, {"models": [dataclasses.asdict(export) for export in exports]}
        )
        return _summarize(exports)

    return run_step(
        "export",
        config=dataclasses.asdict(config) | {"scored_tasks": sorted(folders)},
        inputs={c.task: c.evaluated.content_hash for c in candidates}
        | {f"{c.task} model": c.evaluated.inputs["model"] for c in candidates}
        | {f"{c.task} data": c.evaluated.inputs["data"] for c in candidates}
        | {f"{c.task} lineage": c.lineage.content_hash for c in candidates},
        output=output,
        work_root=work_root,
        body=write_exports,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Candidate:
    """A model of a run that may be exported, the manifest of its evaluation, and its lineage."""

    model: Path
    evaluated: Manifest
    lineage: Lineage

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.evaluated.config["task"]


def _candidates(
    models: Sequence[str | Path], evaluations: Sequence[str | Path], origins: Mapping[str, Any]
) -> list[_Candidate]:
    """Return the models that were not fine-tuned from random weights, in order.

    The lineage of each includes the evaluation of its task's model from random weights.

    Args:
        models: Outputs of `albert finetune`.
        evaluations: Outputs of `albert evaluate`, one for each model, in the same order.
        origins: The arguments of `lineage_at` that all models share.

    Raises:
        InputError: An input is missing, damaged or another step's, two models of one task are both
            pretrained or both from random weights, or an evaluation is of another model.
        ServiceError: The storage failed.
    """
    evaluated = [read_manifest(input_folder(folder), step="evaluate") for folder in evaluations]
    refuse_repeated_tasks("export", [manifest.config for manifest in evaluated], evaluations)
    baselines = {
        manifest.config["task"]: folder
        for folder, manifest in zip(evaluations, evaluated, strict=True)
        if manifest.config["initialization"] != "pretrained"
    }
    return [
        _Candidate(
            model=input_folder(model),
            evaluated=manifest,
            lineage=lineage_at(
                finetuned=model,
                evaluated=evaluation,
                random_evaluated=baselines.get(manifest.config["task"]),
                **origins,
            ),
        )
        for model, evaluation, manifest in zip(models, evaluations, evaluated, strict=True)
        if manifest.config["initialization"] == "pretrained"
    ]


def _export_task(
    exporter: Exporter, candidate: _Candidate, results: Path, dev: DevFiles | None
) -> TaskExport:
    """Export one model of a run to `results/<task>`, or hold it back if its score is too low.

    The score is the first metric of its evaluation. A score equal to the threshold is enough, and
    without a threshold any is. A model held back has no differences in what is returned.

    Args:
        exporter: Formats, thresholds and sentences.
        candidate: The model and its evaluation.
        results: An existing folder.
        dev: Where its dev set is; None to compare no scores in the formats' runtimes.

    Raises:
        InputError: The model or its dev set cannot be read, or a format cannot express it.
        StepFailedError: An export is not the same model.
    """
    task, metrics = candidate.task, candidate.evaluated.metrics
    metric = next(iter(metrics))  # the task's own comes first
    thresholds = exporter.config.thresholds
    score, threshold = metrics[metric], thresholds.get(task, thresholds.get(EVERY_TASK))
    parities: list[Parity] = []
    if threshold is None or score >= threshold:
        parities = exporter.export(
            candidate.model, results / task, dev, candidate.lineage, label=f"{task} "
        )
    scores = {parity.format: parity.scores for parity in parities if parity.scores}
    return TaskExport(
        task=task,
        metric=metric,
        score=score,
        threshold=threshold,
        differences={parity.format: parity.largest_difference for parity in parities},
        file_bytes={parity.format: parity.file_bytes for parity in parities},
        size_ratios={parity.format: round(parity.size_ratio, 4) for parity in parities},
        scores={name: comparison.after for name, comparison in scores.items()},
        score_before=next((comparison.before for comparison in scores.values()), None),
    )


def _summarize(exports: Sequence[TaskExport]) -> Metrics:
    """Return `num_exported`, `num_held_back`, and the `largest_difference` of any export, or 0."""
    exported = [export for export in exports if export.differences]
    return {
        "num_exported": len(exported),
        "num_held_back": len(exports) - len(exported),
        "largest_difference": max(
            (value for export in exported for value in export.differences.values()), default=0.0
        ),
    }
