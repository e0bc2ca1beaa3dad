"""The jobs of the pipeline's loop over sequence lengths."""

import dataclasses
from collections.abc import Sequence

from albert_core.records.config import RecordsConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordsJob:
    """A records step for one sequence length.

    Attributes:
        step: Display name of the step.
        records: Settings of its records.
    """

    step: str
    records: RecordsConfig


def records_jobs(config: RecordsConfig, sequence_lengths: Sequence[int]) -> list[RecordsJob]:
    """Return a job for each sequence length."""
    names = records_step_names(sequence_lengths)
    return [
        RecordsJob(step=name, records=dataclasses.replace(config, sequence_length=length))
        for name, length in zip(names, sequence_lengths, strict=True)
    ]


def records_step_names(sequence_lengths: Sequence[int]) -> list[str]:
    """Return the names of the steps: `records`, or `records 128` where there are several."""
    if len(sequence_lengths) == 1:
        return ["records"]
    return [f"records {length}" for length in sequence_lengths]
