"""The task of a model's folder and the settings it was fine-tuned with. Does not import Keras."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.checkpoints.side_files import TASK_NAME
from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.pooling import HeadPooling
from albert_core.settings import parse_settings
from albert_core.settings.json_values import read_json_object
from albert_core.tasks import Task
from albert_core.training.safeguards import without_unused_safeguards

_DEFAULT_LENGTH = 512


def read_declared_task(folder: str | Path) -> Task:
    """Return the task that a fine-tuned model's folder declares, as `albert finetune` writes it.

    Args:
        folder: The folder, or the prefix of a TensorFlow 1 checkpoint in it.

    Raises:
        InputError: There is no task.json, or it declares no task.
    """
    folder = Path(folder)
    path = (folder if folder.is_dir() else folder.parent) / TASK_NAME
    if not path.is_file():
        raise InputError(
            f"model {folder}: no {TASK_NAME} beside it, so it declares no task; name its task with "
            "--task"
        )
    return parse_settings(Task, read_json_object(path), source=str(path))


def parse_task(declaration: Mapping[str, Any] | None, *, source: Path) -> Task | None:
    """Return the task of a declaration (task.json), or None if that is None or empty.

    Raises:
        InputError: It declares no task.
    """
    return parse_settings(Task, declaration, source=f"{source}: task") if declaration else None


def parse_finetuning(
    values: Mapping[str, Any] | None, *, max_length: int, pooling: HeadPooling, source: Path
) -> FinetuningConfig:
    """Return settings of fine-tuning, with sequences no longer than the model can read.

    Args:
        values: The settings as their file has them, old names included; those that are None, and
            all if there is no file (None), are the defaults. Without a file sequences may have up
            to 512 tokens.
        max_length: Longest sequence the model can read, in tokens; lowers `sequence_length`.
        pooling: What the model's head reads, whatever the settings say.
        source: Where the settings come from, for messages.

    Raises:
        InputError: They are no settings of fine-tuning.
    """
    if values is None:
        return FinetuningConfig(sequence_length=min(max_length, _DEFAULT_LENGTH), pooling=pooling)
    known = {name: value for name, value in values.items() if value is not None}
    config = parse_settings(
        FinetuningConfig, without_unused_safeguards(known), source=f"{source}: finetuning"
    )
    # Models of versions that had one pooling do not name it; the default of today is another.
    return dataclasses.replace(
        config, sequence_length=min(config.sequence_length, max_length), pooling=pooling
    )
