"""The formats there are: how each is written, and what proves that it is the same model."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from components.export.config import ExportFormat

Writer = Callable[[Path, Path], float]
"""Called as (model, folder to make); returns the largest difference of the outputs.

Raises:
    StepFailedError: The difference is out of bounds.
"""


def _converted(model: Path, folder: Path, *, to: ExportFormat) -> float:
    from albert_core.checkpoints import convert

    return max(convert(model, folder, to=to).differences.values())


WRITERS: Mapping[ExportFormat, Writer] = {
    "huggingface": functools.partial(_converted, to="huggingface"),
    "tf1": functools.partial(_converted, to="tf1"),
    "keras": functools.partial(_converted, to="keras"),
}
