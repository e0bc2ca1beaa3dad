"""The files beside a model's weights that say what it was made for: task, settings, head."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from albert_core.artifacts.manifest import find_manifest
from albert_core.checkpoints.names import PRETRAINING_HEADS
from albert_core.errors import InputError
from albert_core.files.atomic import write_json
from albert_core.pooling import ORIGINAL_POOLING, POOLINGS, HeadPooling
from albert_core.settings.json_values import JsonObject, as_number, read_json_object

if TYPE_CHECKING:
    from albert_core.checkpoints.checkpoint import Checkpoint

TASK_NAME = "task.json"
FINETUNING_NAME = "finetuning.json"
HEAD_NAME = "head.json"
TRIALS_NAME = "trials.json"  # of `albert finetune`: the best row of every trial

ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]
"""What a classifier's outputs are, in the words of transformers."""


class SideFiles(TypedDict):
    """What a folder says about its model, by the names of the attributes of `Checkpoint`."""

    task: dict[str, Any] | None
    finetuning: dict[str, Any] | None
    labels: tuple[str, ...]
    problem_type: ProblemType | None
    is_multiple_choice: bool
    null_threshold: float | None


def read_side_files(folder: Path) -> SideFiles:
    """Read task.json, finetuning.json, head.json, trials.json and the manifest in a folder.

    Each may be missing: what no file tells is None, False or empty. Labels and problem type are
    those of head.json alone, not the task's. Declarations and settings are not checked.

    Raises:
        InputError: A file cannot be read, or head.json or trials.json holds something else than
            this program writes.
    """
    task, head = read_task(folder), _read_head(folder)
    labels = head.texts("labels") if "labels" in head else []
    return SideFiles(
        task=task,
        finetuning=read_finetuning(folder),
        labels=tuple(labels),
        problem_type=_read_problem_type(head),
        is_multiple_choice=is_multiple_choice(task) or head.truth("is_multiple_choice", False),
        null_threshold=_read_null_threshold(folder, head),
    )


def read_heads(folder: Path, *, default: frozenset[str]) -> tuple[frozenset[str], int]:
    """Return the heads of a model and the number of its classifier's outputs, by head.json.

    Args:
        folder: Folder of the file.
        default: The heads to return, with 0 outputs, where there is no head.json or it names no
            heads.

    Raises:
        InputError: The file cannot be read or holds something else.
    """
    head = _read_head(folder)
    if "heads" not in head:
        return default, 0
    return frozenset(head.texts("heads")), head.integer("num_labels", 0)


def read_pooling(folder: Path) -> HeadPooling:
    """Return the pooling that the classifier of an export reads, by head.json.

    It is `pooler` without that file, and if the file, as in earlier versions, names no pooling.

    Raises:
        InputError: The file cannot be read, or names a pooling that this version does not have.
    """
    head = _read_head(folder)
    name = head.text("pooling") if "pooling" in head else ORIGINAL_POOLING
    for pooling in POOLINGS:
        if pooling == name:
            return pooling
    raise InputError(f"{head.place}: got pooling {name!r}, expected one of {', '.join(POOLINGS)}")


def read_task(folder: Path) -> dict[str, Any] | None:
    """Return the declaration of a task in a model's folder; None if there is none.

    Raises:
        InputError: There is one, but it is not a JSON object.
    """
    path = folder / TASK_NAME
    return read_json_object(path) if path.is_file() else None


def read_finetuning(folder: Path) -> dict[str, Any] | None:
    """Return the settings that a model was fine-tuned with; None if they are not known.

    They are in finetuning.json or, without that file, in the manifest of a folder that `albert
    finetune` wrote. They are not checked.

    Raises:
        InputError: There is such a file, but it cannot be read.
    """
    if (folder / FINETUNING_NAME).is_file():
        return read_json_object(folder / FINETUNING_NAME)
    manifest = find_manifest(folder)
    if manifest is None or manifest.step != "finetune":
        return None
    return dict(manifest.config["finetuning"])


def write_side_files(checkpoint: "Checkpoint", folder: Path, *, with_head: bool = True) -> None:
    """Write task.json, finetuning.json and head.json into an existing folder.

    Each file is written, or replaced, only if the checkpoint has contents for it; otherwise an
    existing file stays as it is.

    Args:
        checkpoint: The model.
        folder: The folder.
        with_head: Whether to write head.json; formats that hold the same information do not need
            it.
    """
    files: dict[str, Mapping[str, Any] | None] = {
        TASK_NAME: checkpoint.task,
        FINETUNING_NAME: checkpoint.finetuning,
        HEAD_NAME: _head_values(checkpoint) if with_head else None,
    }
    for name, values in files.items():
        if values:
            write_json(folder / name, values)


def is_multiple_choice(task: Mapping[str, Any] | None) -> bool:
    """Return whether a task's declaration says that its model scores choices; False without one."""
    return (task or {}).get("kind") == "multiple_choice"


def _head_values(checkpoint: "Checkpoint") -> dict[str, Any]:
    """Return the contents of head.json; an empty dict if no such file is needed.

    They hold the pooling unless it is `pooler`, and the null threshold if there is one. They also
    hold the heads, and what is known of number, names and kind of the outputs, if the checkpoint
    has no task and does not look like a pretrained one: it lacks the masked LM head, or has a head
    besides those of pretraining. An exported graph without `heads` here is taken to have the masked
    LM head.
    """
    values: dict[str, Any] = {}
    if checkpoint.pooling != ORIGINAL_POOLING:
        values["pooling"] = checkpoint.pooling
    is_masked_lm = "masked_lm" in checkpoint.heads and checkpoint.heads <= PRETRAINING_HEADS
    if not checkpoint.task and not is_masked_lm:
        values["heads"] = sorted(checkpoint.heads)
        if checkpoint.num_labels:
            values["num_labels"] = checkpoint.num_labels
        if checkpoint.labels:
            values["labels"] = list(checkpoint.labels)
        if checkpoint.problem_type:
            values["problem_type"] = checkpoint.problem_type
        if checkpoint.is_multiple_choice:
            values["is_multiple_choice"] = True
    if checkpoint.null_threshold is not None:
        values["null_threshold"] = checkpoint.null_threshold
    return values


def _read_head(folder: Path) -> JsonObject:
    """Return the contents of head.json; an empty object without that file.

    Raises:
        InputError: The file cannot be read, or is no JSON object.
    """
    path = folder / HEAD_NAME
    return JsonObject(read_json_object(path) if path.is_file() else {}, str(path))


def _read_problem_type(head: JsonObject) -> ProblemType | None:
    """Return the problem type in head.json; None if it names none.

    Raises:
        InputError: It names something else than one of transformers' problem types, such as null.
    """
    if "problem_type" not in head:
        return None
    return as_problem_type(head.text("problem_type"), head.place)


def as_problem_type(value: Any, place: str) -> ProblemType:
    """Return a value that is a problem type.

    Raises:
        InputError: It is not a problem type; the message begins with `place`.
    """
    known: Collection[ProblemType] = get_args(ProblemType)
    for name in known:
        if name == value:
            return name
    raise InputError(f"{place}: got problem_type {value!r}, expected one of {', '.join(known)}")


def _read_null_threshold(folder: Path, head: JsonObject) -> float | None:
    """Return the null odds from which on the model's questions have no answer; None if not known.

    They are read from the row of the chosen trial in trials.json or, without that file, from
    head.json, which exports and conversions of such a model have.

    Raises:
        InputError: trials.json was not written by this program, or the value is not a number.
    """
    if (folder / TRIALS_NAME).is_file():
        trials = JsonObject(read_json_object(folder / TRIALS_NAME), str(folder / TRIALS_NAME))
        rows = {row.text("name"): row for row in trials.objects("trials")}
        head = JsonObject(rows, trials.place).value(trials.text("chosen"))
    value = head.values.get("null_threshold")
    return None if value is None else as_number(value, f"{head.place}: null_threshold")
