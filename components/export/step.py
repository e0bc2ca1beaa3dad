"""The step `export`: write models in other formats, prove them the same, write their cards."""

import dataclasses
import gc
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics, find_manifest, read_manifest
from albert_core.artifacts.step import run_step
from albert_core.checkpoints.side_files import TASK_NAME
from albert_core.checkpoints.task_head import read_for_task
from albert_core.errors import InputError
from albert_core.exports.description import PARITY_NAME
from albert_core.exports.formats import (
    FORMATS,
    ExportFormat,
    refuse_missing_packages,
    refuse_other_poolings,
    write_format,
)
from albert_core.files import hash_json, write_json
from albert_core.inference.task_settings import read_declared_task
from albert_core.progress import ReportProgress, quiet
from albert_core.storage import join, read_bytes
from albert_core.tasks import Task, data_folder, task_fingerprint
from components.export.card.config import CardConfig
from components.export.card.render import write_card
from components.export.config import ExportConfig
from components.export.lineage import Lineage, find_lineage, lineage_at
from components.export.proof_sentences import ProofSentences, proof_sentences
from components.finetune.job import refuse_repeated_tasks

if TYPE_CHECKING:
    from albert_core.exports.parity import Parity
    from albert_core.finetuning.dev_set import DevSet

EXPORT_NAME = "export.json"
_MAX_DEV_EXAMPLES = 2000


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class _DevFiles:
    """The task of a fine-tuned model, and the folder of its files."""

    task: Task
    data: Path

    @classmethod
    def for_model(cls, model: Path, data: Path) -> "_DevFiles":
        """Read the task from the folder of the model; `data` is not looked at.

        Raises:
            InputError: The folder is not a finished output of `albert finetune`, or its task cannot
                be read.
        """
        read_manifest(model, step="finetune")
        return cls(task=read_declared_task(model), data=data)


def export_model(
    *,
    model: str | Path,
    formats: Sequence[ExportFormat],
    output: str | Path,
    max_score_loss: float | None = None,
    data_dir: str | Path | None = None,
    sentences: str | Path | None = None,
    run: str | Path | None = None,
    card: CardConfig | None = None,
    task: Task | None = None,
    albert_config: str | Path | None = None,
    vocab: str | Path | None = None,
    lower_case: bool | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Export one model, pretrained or fine-tuned, to a folder below `output` for each format.

    Each is proved to be the same model and has a card (README.md). Nothing is written if `output`
    already holds this work.

    Args:
        model: A checkpoint of any kind that `albert convert` reads, local or gs://.
        formats: Names in the table of formats; at least one, each once.
        output: Folder to make, local or gs://.
        max_score_loss: As in `ExportConfig`.
        data_dir: Folder of the tasks' folders, to score an output of `albert finetune`, or a model
            of the given task; others are refused with it. None: no scores.
        sentences: File of sentences to compare outputs on, one a line; if not given, sentences of
            the corpus if `run` has its vocabulary, else the package's English ones.
        run: Folder of the run that made it, or one with the outputs of its steps, for the card.
        card: What only people know about the model, for its card.
        task: Task of a fine-tuned checkpoint that declares none, or another.
        albert_config: The albert_config.json of a TensorFlow 1 checkpoint without one beside it.
        vocab: Vocabulary of the checkpoint, if not the one beside it.
        lower_case: Whether that vocabulary is for lower-cased text, if not as the files say.
        progress: Called with what is being done.

    Returns:
        The manifest; its metrics are the largest difference of the outputs by format.

    Raises:
        InputError: The model, or a setting, cannot be used; a format cannot express it, or lacks a
            package; its task's dev set is missing; or `output` holds something else.
        StepFailedError: An exported model is not the same model; nothing is published.
    """
    config = ExportConfig(
        formats=tuple(formats), max_score_loss=max_score_loss, card=card or CardConfig()
    )
    if not config.formats:
        raise InputError(f"to: got nothing, expected one or more of {', '.join(FORMATS)}")
    refuse_missing_packages(config.formats)
    model = input_folder(model)
    reading: dict[str, Any] = {
        "task": task,
        "config": albert_config,
        "vocab": vocab,
        "lower_case": lower_case,
    }
    dev = _dev_files(model, data_dir, task)
    lineage = find_lineage(model, run)
    chosen = proof_sentences(lineage, sentences)
    inputs = {
        "model": read_for_task(model, **reading).content_hash(),
        "lineage": _hash_lineage(lineage),
    }
    if task:
        inputs["task"] = hash_json(dataclasses.asdict(task))
    if sentences:
        inputs["sentences"] = hash_json(chosen.texts)
    if dev:
        inputs["data"] = task_fingerprint(dev.task, dev.data)

    def body(results: Path, _: Path) -> Metrics:
        """Export the model and return the largest difference by format."""
        exporter = _Exporter(config, chosen, progress)
        parities = exporter.export(model, results, dev, lineage, label="", reading=reading)
        return {parity.format: parity.largest_difference for parity in parities}

    return run_step(
        "export", config=dataclasses.asdict(config), inputs=inputs, output=output, body=body
    )


def read_parity(export: str) -> dict[str, Any]:
    """Return the contents of parity.json in the folder of one format, local or gs://, unchecked."""
    return json.loads(read_bytes(join(export, PARITY_NAME)))


def _dev_files(model: Path, data_dir: str | Path | None, task: Task | None) -> _DevFiles | None:
    """Return the task of a model and the folder of its files; None without a folder of tasks.

    The task is the given one, or else the one that the model's folder declares.

    Raises:
        InputError: The model is no output of `albert finetune`, or its task has no folder there.
    """
    if data_dir is None:
        return None
    if task:
        return _DevFiles(task=task, data=data_folder(task, input_folder(data_dir)))
    manifest = find_manifest(model)
    if manifest is None or manifest.step != "finetune" or not (model / TASK_NAME).is_file():
        raise InputError(
            f"data_dir: got {data_dir}, expected none, for {model} is no output of `albert "
            "finetune`, which says what task to score and how; or name the task with --task"
        )
    return _DevFiles.for_model(
        model, data_folder(read_declared_task(model), input_folder(data_dir))
    )


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
        output: Folder to make, local or gs://; a model's formats are in a folder below it named as
            its task.
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
        StepFailedError: An exported model is not the same model; nothing is published.
    """
    refuse_missing_packages(config.formats)
    origins = {"pretrained": pretrained, "records": records, "vocab": vocab}
    candidates = _candidates(models, evaluations, origins)
    folders = data or {}

    def body(results: Path, _: Path) -> Metrics:
        """Export the candidates in order, write export.json and return the metrics."""
        lineage = candidates[0].lineage if candidates else Lineage()  # all have one vocabulary
        exporter = _Exporter(config, proof_sentences(lineage), progress)
        exports = []
        for candidate in candidates:
            folder = folders.get(candidate.task)
            dev = _DevFiles.for_model(candidate.model, input_folder(folder)) if folder else None
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
        | {f"{c.task} lineage": _hash_lineage(c.lineage) for c in candidates},
        output=output,
        work_root=work_root,
        body=body,
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
        InputError: An input is missing, damaged or another step's, two are of one task from the
            same weights, or an evaluation is of another model.
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


def _hash_lineage(lineage: Lineage) -> str:
    """Return a hash of the content hashes of all manifests of a lineage."""
    manifests = [*lineage.manifests, *filter(None, [lineage.random_evaluated])]
    return hash_json([manifest.content_hash for manifest in manifests])


def _export_task(
    exporter: "_Exporter", candidate: _Candidate, results: Path, dev: _DevFiles | None
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
        StepFailedError: An export is not the same model.
    """
    task, metrics = candidate.task, candidate.evaluated.metrics
    metric = next(iter(metrics))  # the task's own comes first
    score, threshold = metrics[metric], exporter.config.thresholds.get(task)
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


@dataclasses.dataclass(frozen=True)
class _Exporter:
    """Exports models in all formats of a configuration, one after the other."""

    config: ExportConfig
    sentences: ProofSentences
    progress: ReportProgress

    def export(
        self,
        model: Path,
        folder: Path,
        dev: _DevFiles | None,
        lineage: Lineage,
        *,
        label: str,
        reading: Mapping[str, Any] | None = None,
    ) -> "list[Parity]":
        """Write, prove and describe a model in every format, each in a folder below `folder`.

        Beside the model each folder gets parity.json and README.md. The first format that fails
        ends the export.

        Args:
            model: The checkpoint.
            folder: Folder to make in an existing one; it may exist, but no format's folder in it.
            dev: Where the dev set is; None to compare no scores.
            lineage: For the card.
            label: Put before what is reported as progress.
            reading: Keyword arguments of `read_for_task`, with which the model is read.

        Returns:
            The measurements, in the order of the formats.

        Raises:
            InputError: The model or its dev set cannot be read, or a format cannot express it.
            StepFailedError: What was written is not the same model.
        """
        from albert_core.exports.parity import make_reference, prove

        folder.mkdir(exist_ok=True)
        checkpoint = read_for_task(model, **(reading or {}))
        refuse_other_poolings(checkpoint, self.config.formats)
        self.progress(0, 0, f"{label}reference")
        dev_set = _score_dev_set(model, dev, reading or {}) if dev else None
        reference = make_reference(
            checkpoint, self.sentences.texts, dev_set, sentence_source=self.sentences.source
        )
        parities = []
        for name in self.config.formats:
            self.progress(0, 0, f"{label}{name}")
            write_format(checkpoint, folder / name, to=name)
            # Keras models hold cycles; without this the last runtime's copy stays in memory.
            gc.collect()
            parity = prove(
                reference,
                folder / name,
                name=name,
                open_format=FORMATS[name].open,
                bounds=self.config.get_bounds(name),
            )
            parities.append(parity)
            write_card(
                folder / name,
                model=model,
                task=checkpoint.task,
                lineage=lineage,
                export_format=name,
                card=self.config.card,
            )
        return parities


def _score_dev_set(model: Path, dev: _DevFiles, reading: Mapping[str, Any]) -> "DevSet":
    """Return up to 2,000 examples, spread over the dev set, with the score of the Keras model.

    Args:
        model: The checkpoint.
        dev: Where the dev set is.
        reading: Keyword arguments of `load`, with which the model is read.
    """
    from albert_core.inference import load
    from albert_core.inference.evaluation import score_dev_set

    return score_dev_set(load(model, **reading), data=dev.data, most=_MAX_DEV_EXAMPLES)


def _summarize(exports: Sequence[TaskExport]) -> Metrics:
    """Return how many models were exported and held back, and their largest difference, or 0."""
    exported = [export for export in exports if export.differences]
    return {
        "num_exported": len(exported),
        "num_held_back": len(exports) - len(exported),
        "largest_difference": max(
            (value for export in exported for value in export.differences.values()), default=0.0
        ),
    }
