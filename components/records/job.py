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
    """Return a job for each sequence length, in order; they differ only in name and length.

    Args:
        config: The settings; their own `sequence_length` is replaced.
        sequence_lengths: The lengths; that each is there once is not checked.
    """
    names = records_step_names(sequence_lengths)
    return [
        RecordsJob(step=name, records=dataclasses.replace(config, sequence_length=length))
        for name, length in zip(names, sequence_lengths, strict=True)
    ]


def records_step_names(sequence_lengths: Sequence[int]) -> list[str]:
    """Return the name of each length's step, in order: `records 128`, or `records` of only one."""
    if len(sequence_lengths) == 1:
        return ["records"]
    return [f"records {length}" for length in sequence_lengths]
