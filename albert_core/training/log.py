"""The log of a training: a row every few steps, as JSON lines and for TensorBoard."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.summary import Writer

from albert_core.files import write_atomically
from albert_core.old_names import rename_metrics

LOG_NAME = "training_log.jsonl"
TENSORBOARD_NAME = "tensorboard"


class TrainingLog:
    """Writes rows of metrics to a folder. Opening it drops the rows after `step`.

    Args:
        folder: Receives `training_log.jsonl` and `tensorboard/`.
        step: Step to continue from; a killed run may have logged later steps than it saved.
    """

    def __init__(self, folder: Path, step: int) -> None:
        """Drop the rows after `step` from the log, writing it anew, and open TensorBoard's writer.

        TensorBoard's events of later steps stay.
        """
        self._path = folder / LOG_NAME
        rows = [row for row in read_log(folder) if row["global_step"] <= step]
        # A kill while the rows are written again must not lose them.
        write_atomically(self._path, "".join(json.dumps(row) + "\n" for row in rows).encode())
        self._writer = Writer(str(folder / TENSORBOARD_NAME))

    def append(self, row: Mapping[str, Any]) -> None:
        """Append a row to both logs, and flush them, so that it can be read at once.

        Args:
            row: Numbers by name; `global_step` among them is the row's step in TensorBoard.
        """
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in row.items():
            self._writer.add_scalar(name, value, row["global_step"])
        # People watch it while training runs, and a killed process flushes nothing.
        self._writer.flush()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of `training_log.jsonl` in the order written, none if there is no file.

    A last line without its end, of a process that writes or was killed, is left out. Rows of
    earlier versions get today's names of their metrics.

    Raises:
        ValueError: A whole line is not JSON.
    """
    path = folder / LOG_NAME
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [rename_metrics(json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()]
