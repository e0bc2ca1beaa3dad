"""Which model a folder holds, and the runtime that runs it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from albert_core.checkpoints import Checkpoint, build_model, detect, read_checkpoint
from albert_core.checkpoints.checkpoint import read_finetuning, read_json, read_task
from albert_core.checkpoints.names import HEADS
from albert_core.checkpoints.vocabulary import check_size
from albert_core.config import CONFIG_NAME, AlbertConfig
from albert_core.errors import InputError
from albert_core.exports.formats import FORMATS, ExportFormat, find_export_format
from albert_core.finetuning.config import FinetuningConfig
from albert_core.model_function import ModelFunction, compiled_function
from albert_core.settings import parse_settings
from albert_core.tasks import Task
from albert_core.tasks.task import Kind
from albert_core.tokenization import Tokenizer, load_tokenizer

ServedKind = Literal[Kind, "masked_lm"]

_TRIALS_NAME = "trials.json"  # beside what `albert finetune` writes
_LONGEST_DEFAULT = 512


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model, ready to run.

    Attributes:
        name: Name of its task, or of its folder.
        format: What it was read from, such as `onnx`.
        kind: What it is asked.
        labels: Class names of a classification.
        num_texts: Texts of an example, 1 or 2; None where no file says.
        has_questions: Whether a choice is an answer to a question, as in RACE.
        has_unanswerable: Whether a question may have no answer.
        tokenizer: The vocabulary.
        finetuning: Its settings of fine-tuning; how texts become inputs is among them.
        null_threshold: Null odds from which on a question has no answer, where that may be.
        run: The model in its runtime.
    """

    name: str
    format: str
    kind: ServedKind
    labels: tuple[str, ...]
    num_texts: int | None
    has_questions: bool
    has_unanswerable: bool
    tokenizer: Tokenizer
    finetuning: FinetuningConfig
    null_threshold: float
    run: ModelFunction


def open_export(path: str | Path) -> ServedModel:
    """Open an export of `albert export` in its runtime, or any checkpoint with our own code.

    Raises:
        InputError: There is no model, or it lacks its vocabulary or a head.
    """
    folder = Path(path)
    export_format = find_export_format(folder)
    if export_format:
        return _of_export(folder, export_format)
    _refuse_several(folder)
    return _of_checkpoint(folder)


def _refuse_several(folder: Path) -> None:
    """Refuse the folder above exports, and name them."""
    names = [*(spec.files[0] for spec in FORMATS.values() if spec.files), "model.safetensors"]
    below = sorted({path.parent.name for name in names for path in folder.glob(f"*/{name}")})
    if below and not any((folder / name).is_file() for name in names):
        raise InputError(f"{folder}: holds the models {', '.join(below)}; give the path of one")


def _of_export(folder: Path, export_format: ExportFormat) -> ServedModel:
    spec = FORMATS[export_format]
    side = folder / spec.settings_folder
    config = AlbertConfig.from_json_file(side / CONFIG_NAME)
    tokenizer = load_tokenizer(side)
    check_size(tokenizer, config, source=str(side))
    task = _task(read_task(side), side)
    return ServedModel(
        name=task.name if task else _name(folder),
        format=export_format,
        tokenizer=tokenizer,
        finetuning=_finetuning(read_finetuning(side), config, side),
        null_threshold=_null_threshold(side),
        run=spec.open(folder),
        **_asked(task) if task else _asked_of_heads(frozenset({"masked_lm"}), 0),
    )


def _of_checkpoint(path: Path) -> ServedModel:
    checkpoint = read_checkpoint(path)
    if checkpoint.tokenizer is None:
        raise InputError(f"{path}: has no vocabulary; put the one it was trained with beside it")
    if not checkpoint.heads & (HEADS.keys() - {"sentence_order"}):
        raise InputError(
            f"{path}: has an encoder alone; expected a head for a task or for masked words"
        )
    task = _task(checkpoint.task, path)
    return ServedModel(
        name=task.name if task else _name(path),
        format=detect(path),
        tokenizer=checkpoint.tokenizer,
        finetuning=_finetuning(checkpoint.finetuning, checkpoint.config, path),
        null_threshold=_null_threshold(path),
        run=_compiled_model(checkpoint),
        **_asked(task) if task else _asked_of_heads(checkpoint.heads, _num_labels(checkpoint)),
    )


def _task(declaration: Mapping[str, Any] | None, folder: Path) -> Task | None:
    return parse_settings(Task, declaration, source=f"{folder}: task") if declaration else None


def _name(path: Path) -> str:
    """Return the name of a model's folder; of an export, a format's folder in it, the export's."""
    path = path.resolve()
    return path.parent.name if path.name in FORMATS else path.name


def _finetuning(
    found: Mapping[str, Any] | None, config: AlbertConfig, folder: Path
) -> FinetuningConfig:
    """Return settings as they were found, or defaults with all the model can read."""
    longest = config.max_position_embeddings
    values = {"sequence_length": min(longest, _LONGEST_DEFAULT)} if found is None else found
    given = {name: value for name, value in values.items() if value is not None}
    finetuning = parse_settings(FinetuningConfig, given, source=f"{folder}: finetuning")
    return dataclasses.replace(finetuning, sequence_length=min(finetuning.sequence_length, longest))


def _null_threshold(folder: Path) -> float:
    """Return the best threshold on the dev set, if a fine-tuning left it there, or 0."""
    if not (folder / _TRIALS_NAME).is_file():
        return 0.0
    trials = read_json(folder / _TRIALS_NAME)
    rows = {row["name"]: row for row in trials["trials"]}
    return rows[trials["chosen"]].get("null_threshold", 0.0)


def _asked(task: Task) -> dict[str, Any]:
    """Return what a task's model is asked."""
    source = task.dev[0]
    return {
        "kind": task.kind,
        "labels": task.labels,
        "num_texts": len(source.texts or task.texts),
        "has_questions": task.source_format(source) == "race",
        "has_unanswerable": task.has_unanswerable,
    }


def _asked_of_heads(heads: frozenset[str], num_labels: int) -> dict[str, Any]:
    """Return what a model without a task's declaration is asked."""
    kind: ServedKind = "masked_lm"
    if "classifier" in heads:
        kind = "classification" if num_labels > 1 else "regression"
    elif heads & {"span", "span_beam"}:
        kind = "question_answering"
    return {
        "kind": kind,
        "labels": tuple(map(str, range(num_labels))) if kind == "classification" else (),
        "num_texts": 1 if kind == "masked_lm" else None,
        "has_questions": False,
        "has_unanswerable": "span_beam" in heads,
    }


def _num_labels(checkpoint: Checkpoint) -> int:
    if "classifier" not in checkpoint.heads:
        return 0
    return next(len(checkpoint.weights[n]) for n in HEADS["classifier"] if n in checkpoint.weights)


def _compiled_model(checkpoint: Checkpoint) -> ModelFunction:
    """Return the Keras model as evaluation runs it; TensorFlow compiles it for any length."""
    model = build_model(checkpoint)
    model.compile(jit_compile=False)
    return compiled_function(model)
