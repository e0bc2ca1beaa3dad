"""The log of a training: a row every few steps, as JSON lines and for TensorBoard."""

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.errors import StepFailedError
from albert_core.files.atomic import write_atomically
from albert_core.files.checksums import (
    DamageError,
    FileFacts,
    describe_file,
    parse_object,
    report_damage,
)
from albert_core.settings.old_names import rename_metrics
from albert_core.training.state import TrainingState, checkpoint_folder

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

        TensorBoard's files are removed, and written anew from the rows that stay. `folder` must
        exist; a log is made there if there is none.

        Raises:
            StepFailedError: A row of the log is not JSON.
            ModuleNotFoundError: TensorBoard is not installed.
        """
        self._path = folder / LOG_NAME
        # Here, since the report reads logs where TensorBoard is not installed.
        from tensorboard.summary import Writer

        # A kill while the rows are written again must not lose them.
        write_atomically(self._path, log_until(folder, step))
        # From the rows, which are checked; files of TensorBoard are not.
        shutil.rmtree(folder / TENSORBOARD_NAME, ignore_errors=True)
        self._writer = Writer(str(folder / TENSORBOARD_NAME))
        rows = read_log(folder)
        # The rows hold seconds of training, not dates: shown as if there had been no pause.
        begin_s = time.time() - (rows[-1].get("seconds", 0.0) if rows else 0.0)
        for row in rows:
            self._show(row, begin_s + row.get("seconds", 0.0))
        self._writer.flush()

    def append(self, row: Mapping[str, Any]) -> None:
        """Append a row to both logs, and flush them, so that it can be read at once.

        Args:
            row: Numbers by name; `global_step` among them is the row's step in TensorBoard.
        """
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self._show(row, time.time())
        # People watch it while training runs, and a killed process flushes nothing.
        self._writer.flush()

    def _show(self, row: Mapping[str, Any], time_s: float) -> None:
        """Add a row to TensorBoard, as of a time in seconds since 1970."""
        for name, value in row.items():
            self._writer.add_scalar(name, value, row["global_step"], wall_time=time_s)


def log_until(folder: Path, step: int) -> bytes:
    """Return the rows of the log up to a step, and with it, as JSON lines; empty without a log.

    Raises:
        StepFailedError: A row of the log is not JSON.
    """
    rows = [row for row in read_log(folder) if row["global_step"] <= step]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def matches_log(folder: Path, facts: FileFacts) -> bool:
    """Return whether the log begins with a part of this size and checksum; False without a log."""
    path = folder / LOG_NAME
    return path.is_file() and describe_file(path, max_bytes=facts["bytes"]) == facts


def recover_log(folder: Path, state: TrainingState) -> None:
    """Cut the log off where it was when a state was saved.

    A damaged log is replaced by the copy in the state's checkpoint, and named on standard error. If
    the state has no log, as in earlier versions, the file is not cut: only rows that are not whole
    are dropped, and reported there. For a new training the log is emptied, or made.

    Args:
        folder: Folder of the log and the checkpoints; it must exist.
        state: A new one, or as `restore_latest` returned it, which has made sure that the log or
            its copy is whole.
    """
    path = folder / LOG_NAME
    # A log may be there all the same, where every checkpoint was lost; its steps are made again.
    if not state.step:
        write_atomically(path, b"")
    # By bytes and not by steps: this part is what the checksum vouches for.
    elif state.log and matches_log(folder, state.log):
        write_atomically(path, path.read_bytes()[: state.log["bytes"]])
    elif state.log:
        copy = checkpoint_folder(folder, state.step) / LOG_NAME
        report_damage(path, "its rows are not those that were saved", f"copied from {copy}")
        write_atomically(path, copy.read_bytes())
    else:
        _drop_damaged_rows(path)


def _drop_damaged_rows(path: Path) -> None:
    """Drop rows that are no whole JSON objects with a step from a log that nothing vouches for.

    As of a checkpoint of an earlier version. If there are such, their number is reported on
    standard error and the log is written anew. Does nothing where there is no log.
    """
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    whole = [line for line in lines if _is_row(line)]
    if len(whole) < len(lines):
        report_damage(path, f"{len(lines) - len(whole)} rows are not JSON", "they are left out")
        write_atomically(path, b"".join(whole))


def _is_row(line: bytes) -> bool:
    """Return whether a line of the log is a JSON object with a step, and has its line end."""
    try:
        return line.endswith(b"\n") and "global_step" in parse_object(line)
    except DamageError:
        return False


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of `training_log.jsonl` in the order written, none if there is no file.

    A last line without its end, of a process that writes or was killed, is left out. Rows of
    earlier versions get today's names of their metrics.

    Raises:
        StepFailedError: A whole line is not JSON.
    """
    path = folder / LOG_NAME
    data = path.read_bytes() if path.is_file() else b""
    try:
        lines = data[: data.rfind(b"\n") + 1].splitlines()
        return [rename_metrics(parse_object(line)) for line in lines]
    except DamageError as error:
        raise StepFailedError(
            f"{path}: damaged ({error}); run again to take its rows from the last checkpoint"
        ) from error
