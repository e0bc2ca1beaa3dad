"""The running log of a training: a line every few updates, as JSON lines and for TensorBoard."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.summary import Writer

from albert_core.files import write_atomically

LOG_NAME = "training_log.jsonl"
TENSORBOARD_NAME = "tensorboard"


class TrainingLog:
    """Rows of figures by step, in a folder; those after `step` are dropped when it is opened.

    Args:
        folder: Receives `training_log.jsonl` and `tensorboard/`.
        step: Updates made so far; a killed run may have logged more.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / LOG_NAME
        kept = [row for row in read_log(folder) if row["global_step"] <= step]
        write_atomically(self._path, "".join(json.dumps(row) + "\n" for row in kept).encode())
        self._writer = Writer(str(folder / TENSORBOARD_NAME))

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; `global_step` is its place."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in row.items():
            self._writer.add_scalar(name, value, row["global_step"])
        self._writer.flush()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the rows; a line still being written is left out."""
    path = folder / LOG_NAME
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
