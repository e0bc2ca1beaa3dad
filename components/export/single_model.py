"""Export one model that a person names, whatever made it."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics, find_manifest
from albert_core.artifacts.step import run_step
from albert_core.checkpoints.side_files import TASK_NAME
from albert_core.checkpoints.task_head import read_for_task
from albert_core.errors import InputError
from albert_core.exports.description import PARITY_NAME
from albert_core.exports.formats import FORMATS, ExportFormat, refuse_missing_packages
from albert_core.files.atomic import hash_json
from albert_core.inference.task_settings import read_declared_task
from albert_core.progress import ReportProgress, quiet
from albert_core.storage import join, read_bytes
from albert_core.tasks import Task, data_folder, task_fingerprint
from albert_core.tasks.fingerprints import fingerprinted_values
from components.export.card.config import CardConfig
from components.export.config import ExportConfig
from components.export.exporter import DevFiles, Exporter
from components.export.lineage import find_lineage
from components.export.proof_sentences import proof_sentences


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
    strip_accents: bool | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Export one model, pretrained or fine-tuned, to a folder below `output` for each format.

    Each is proved to be the same model and has a card (README.md). Nothing is written if `output`
    already holds this work.

    Args:
        model: A checkpoint of any kind that `albert convert` reads, local, gs:// or s3://.
        formats: Names in the table of formats; at least one, each once.
        output: Folder to make, local, gs:// or s3://.
        max_score_loss: As in `ExportConfig`; with `data_dir` only.
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
        strip_accents: Whether it is for text without accents, if not as the files say.
        progress: Called with what is being done.

    Returns:
        The manifest; its metrics are the largest difference of the outputs by format.

    Raises:
        InputError: The model, or a setting, cannot be used; a format cannot express it, or lacks a
            package; its task's dev set is missing; or `output` holds something else.
        StepFailedError: An exported model is not the same model, so that nothing is published; or
            another process has taken over this work.
        ServiceError: The storage failed.
    """
    config = ExportConfig(
        formats=tuple(formats), max_score_loss=max_score_loss, card=card or CardConfig()
    )
    if not config.formats:
        raise InputError(f"to: got nothing, expected one or more of {', '.join(FORMATS)}")
    if max_score_loss is not None and data_dir is None:
        raise InputError(
            f"max_score_loss: got {max_score_loss} without data_dir, so that no score is measured; "
            "name the folder of the tasks' folders, or remove it"
        )
    refuse_missing_packages(config.formats)
    model = input_folder(model)
    reading: dict[str, Any] = {
        "task": task,
        "config": albert_config,
        "vocab": vocab,
        "lower_case": lower_case,
        "strip_accents": strip_accents,
    }
    dev = _dev_files(model, data_dir, task)
    lineage = find_lineage(model, run)
    chosen = proof_sentences(lineage, sentences)
    checkpoint = read_for_task(model, **reading)
    inputs = {"model": checkpoint.content_hash(), "lineage": lineage.content_hash}
    said = checkpoint.declarations()
    if task:
        inputs["task"] = hash_json(fingerprinted_values(task))
        del said["task"]
    # A step's results say what they did when they were made; people correct other folders.
    if said and find_manifest(model) is None:
        inputs["declarations"] = hash_json(said)
    if sentences:
        inputs["sentences"] = hash_json(chosen.texts)
    if dev:
        inputs["data"] = task_fingerprint(dev.task, dev.data, needs_training=False)

    def body(results: Path, _: Path) -> Metrics:
        """Export the model and return the largest difference by format."""
        exporter = Exporter(config, chosen, progress)
        parities = exporter.export(model, results, dev, lineage, label="", reading=reading)
        return {parity.format: parity.largest_difference for parity in parities}

    return run_step(
        "export", config=dataclasses.asdict(config), inputs=inputs, output=output, body=body
    )


def read_parity(export: str) -> dict[str, Any]:
    """Return the contents of parity.json in the folder of one format, in any storage, unchecked.

    Raises:
        InputError: The file is missing or cannot be read.
        ValueError: It is no JSON.
        ServiceError: The storage failed.
    """
    return json.loads(read_bytes(join(export, PARITY_NAME)))


def _dev_files(model: Path, data_dir: str | Path | None, task: Task | None) -> DevFiles | None:
    """Return the task of a model and the folder of its files; None without a folder of tasks.

    The task is the given one, or else the one that the model's folder declares.

    Raises:
        InputError: The model is no output of `albert finetune`, or its task has no folder there.
        ServiceError: The storage of the folder failed.
    """
    if data_dir is None:
        return None
    if task:
        return DevFiles(task=task, data=data_folder(task, input_folder(data_dir)))
    manifest = find_manifest(model)
    if manifest is None or manifest.step != "finetune" or not (model / TASK_NAME).is_file():
        raise InputError(
            f"data_dir: got {data_dir}, expected none, for {model} is no output of `albert "
            "finetune`, which says what task to score and how; or name the task with --task"
        )
    return DevFiles.for_model(model, data_folder(read_declared_task(model), input_folder(data_dir)))
