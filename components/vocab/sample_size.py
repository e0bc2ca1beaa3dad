"""How much text a vocabulary is trained on: by the setting, or by the memory there is."""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from albert_core.errors import InputError
from albert_core.files.checksums import DamageError, read_sealed, report_damage, write_sealed
from albert_core.processes.free_memory import FreeMemory, free_memory
from albert_core.tokenization.config import VocabConfig
from albert_core.tokenization.kinds import TOKENIZER_KINDS
from components.number_formats import format_bytes

_STATE_NAME = "sample.json"
_MOST_GB, _LEAST_GB = 8.0, 0.25  # of `auto`
# Bytes of the setting for a byte of text: what training needs, and a reserve.
_SETTING_PER_BYTE = 30
_HELD_PER_BYTE = 3  # bytes of memory for a byte of text where no vocabulary is trained


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleSize:
    """How much text is used.

    Attributes:
        memory_gb: The value of `vocab.memory_gb` that gives this size.
        reason: Why `auto` is this value; empty where the setting is a number.
        needed_per_byte: Bytes of memory for a byte of text.
        free: Memory that may be taken; None where the system does not tell.
    """

    memory_gb: float
    reason: str
    needed_per_byte: int
    free: FreeMemory | None

    @property
    def max_bytes(self) -> int:
        """Largest size of the sample, in bytes of UTF-8."""
        return int(self.memory_gb * 1e9 / _SETTING_PER_BYTE)

    @property
    def _value(self) -> str:
        """The setting in words, with the reason of `auto`."""
        return f"{self.memory_gb:g}" + (f" ({self.reason})" if self.reason else "")

    def describe(self, num_used: int, num_sentences: int) -> str:
        """Say in a line how much of the text is used, why, and what would take more of it."""
        return (
            f"a sample of {format_bytes(self.max_bytes)} is used, {num_used:,} of the text's "
            f"{num_sentences:,} sentences: vocab.memory_gb is {self._value}; a larger value takes "
            "more"
        )

    def refusing(self, sentences: Iterable[str]) -> Iterator[str]:
        """Yield sentences in order, until those yielded would need more memory than is free.

        Free is what was when this size was chosen. All are yielded if that is not known, or is
        enough for a sample of `max_bytes`.

        Raises:
            InputError: The next sentence is one too many; it is not yielded.
        """
        if self.free is None or self.max_bytes * self.needed_per_byte <= self.free.num_bytes:
            yield from sentences
            return
        num_bytes = 0
        for sentence in sentences:
            num_bytes += len(sentence.encode())
            if num_bytes * self.needed_per_byte > self.free.num_bytes:
                raise self._refusal(self.free)
            yield sentence

    def out_of_memory(self, num_bytes: int) -> InputError:
        """Return the error for a training that ran out of memory.

        Args:
            num_bytes: Size of the sample, in bytes of UTF-8.
        """
        most_gb = math.floor(num_bytes * _SETTING_PER_BYTE / 1e9 * 100) / 100
        return InputError(
            f"vocab.memory_gb: got {self._value}, but the memory ran out in training on "
            f"{format_bytes(num_bytes)} of text, expected less than {most_gb:g}, or more memory"
        )

    def _refusal(self, free: FreeMemory) -> InputError:
        """Return the error for more text than the free memory is enough for."""
        fitting_gb = free.num_bytes / self.needed_per_byte * _SETTING_PER_BYTE / 1e9
        most_gb = math.floor(fitting_gb * 100) / 100
        expected = f"at most {most_gb:g}" if most_gb else "more memory"
        remedy = "set it lower, or free some memory" if most_gb else "free some memory"
        return InputError(
            f"vocab.memory_gb: got {self._value}, a sample of up to "
            f"{format_bytes(self.max_bytes)} of text, expected {expected}: "
            f"{format_bytes(free.num_bytes)} are free {free.limit}, and {self.needed_per_byte} "
            f"bytes are needed for each byte of the sample; {remedy}"
        )


def choose_sample_size(config: VocabConfig, progress: Path, *, work: str) -> SampleSize:
    """Return the size of the sample; what `auto` takes is kept for whoever continues the work.

    That is 8 GB or, where less is free, the largest of 4, 2, 1 and 0.5 that is, else 0.25. In
    steps, so that the same command takes the same sample though a program more or less is at work.
    How much memory is free is asked of the system.

    Args:
        config: `memory_gb`, and what is trained.
        progress: Existing folder of the work's progress, which keeps the choice of `auto`.
        work: The fingerprint of the work; the choice for other work is not taken.
    """
    memory_gb, reason = config.memory_gb, ""
    if memory_gb == "auto":
        memory_gb, reason = _kept_choice(progress / _STATE_NAME, work)
    training_memory = TOKENIZER_KINDS[config.kind].training_memory
    return SampleSize(
        memory_gb=memory_gb,
        reason=reason,
        needed_per_byte=_HELD_PER_BYTE if config.source else training_memory,
        free=free_memory(with_swap=not reason),
    )


def _kept_choice(path: Path, work: str) -> tuple[float, str]:
    """Return what `auto` took when this work was begun, and why; without such, choose and keep.

    A file that is damaged or of other work is reported on standard error and replaced.

    Args:
        path: The file that keeps the choice, in an existing folder.
        work: The fingerprint of the work.
    """
    if path.exists():
        try:
            kept = read_sealed(path, work=work)
            return kept["memory_gb"], kept["reason"]
        except DamageError as error:
            report_damage(path, error, "the size of the sample is chosen again")
    memory_gb, reason = _MOST_GB, "auto"
    free = free_memory()
    while free and memory_gb > _LEAST_GB and memory_gb * 1e9 > free.num_bytes:
        memory_gb, reason = (
            memory_gb / 2,
            f"auto, as {format_bytes(free.num_bytes)} were free {free.limit}",
        )
    write_sealed(path, {"memory_gb": memory_gb, "reason": reason}, work=work)
    return memory_gb, reason
