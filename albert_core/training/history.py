"""The evaluations of a training, one row each, and which of them is published.

Does not import Keras.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from albert_core.settings.old_names import rename_metrics

HISTORY_NAME = "metrics.jsonl"

_Row = TypeVar("_Row", bound=Mapping[str, Any])


def best_row(history: Sequence[_Row], monitor: str) -> _Row:
    """Return the evaluation of the published weights: the best one of the last phase.

    Phases train on sequences of different lengths, so an earlier phase's metrics are those of
    another data set and do not count, even if they are larger.

    Args:
        history: Rows in the order of the steps, at least one.
        monitor: Name of the metric; larger is better, and the earlier row wins a tie.
    """
    # The earlier row wins a tie because its weights are those on the disk: the checkpoint callback
    # asks this function, too, and writes only what is better.
    last_phase = _phase(history[-1])
    return max((row for row in history if _phase(row) == last_phase), key=lambda row: row[monitor])


def _phase(row: Mapping[str, Any]) -> int:
    # A history without phases is of a single one.
    return row.get("phase", 0)


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of `metrics.jsonl` in a model folder, in the order of the steps.

    Rows of earlier versions get today's names of their metrics.

    Raises:
        OSError: There is no such file.
        ValueError: A line is not JSON.
    """
    lines = (folder / HISTORY_NAME).read_text(encoding="utf-8").splitlines()
    return [rename_metrics(json.loads(line)) for line in lines]


def write_history(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write `metrics.jsonl` into a model folder, a JSON object a line, over one that is there.

    The file is written in place: a kill may leave a part of it.
    """
    lines = "".join(json.dumps(row) + "\n" for row in history)
    (folder / HISTORY_NAME).write_text(lines, encoding="utf-8")
