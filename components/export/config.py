"""Settings of the export."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from albert_core.errors import InputError

ExportFormat = Literal["huggingface", "tf1", "keras"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """In which formats the fine-tuned models of a run are published, and which of them.

    Attributes:
        formats: `huggingface` for transformers, `tf1` for the original's scripts, `keras` for this
            program. None: no export.
        thresholds: Least score by task, of its first metric on the dev set (0.8 is 80 points); a
            model that misses it is not exported. Tasks without one are exported.
    """

    formats: tuple[ExportFormat, ...] = ()
    thresholds: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.thresholds and not self.formats:
            raise InputError(
                "export.thresholds: got some without export.formats, so nothing is exported; "
                "expected formats, for example --export.formats huggingface"
            )
        if len(set(self.formats)) < len(self.formats):
            raise InputError(
                f"export.formats: got {', '.join(self.formats)}, expected each of them once"
            )
        for task, least in self.thresholds.items():
            if not -1 <= least <= 1:
                raise InputError(
                    f"export.thresholds.{task}: got {least}, expected -1 to 1 (0.8 is 80 points)"
                )
