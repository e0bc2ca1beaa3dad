"""Slices of Cloud TPUs, and GPUs: what their chips can do at most, and how they are laid out.

Source of the numbers: Google's "TPU v5e", "TPU v5p" and "TPU v6e" pages; NVIDIA's data sheets.
"""

import abc
import dataclasses
import re
from collections.abc import Mapping

from albert_core.errors import InputError
from albert_core.training.devices import StrategyName
from albert_core.training.flops import PEAK_FLOPS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
    """A kind of chip.

    Attributes:
        peak_flops: Dense bfloat16 FLOP/s of a chip.
        memory_gib: Memory of a chip that a program may use.
        link_bytes_per_second: Largest number of bytes a second that a chip exchanges with its
            neighbours.
    """

    peak_flops: float
    memory_gib: float
    link_bytes_per_second: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generation(Chip):
    """A kind of TPU.

    Attributes:
        cores_per_chip: TensorCores of a chip; the number in a slice's name counts them.
        topologies: Layout of the chips of a slice, such as `4x4`, by the number of chips.
    """

    cores_per_chip: int
    topologies: Mapping[int, str]


_FLAT = {
    1: "1x1",
    4: "2x2",
    8: "2x4",
    16: "4x4",
    32: "4x8",
    64: "8x8",
    128: "8x16",
    256: "16x16",
}
_DEEP = {
    4: "2x2x1",
    8: "2x2x2",
    16: "2x2x4",
    32: "2x4x4",
    64: "4x4x4",
    128: "4x4x8",
    256: "4x8x8",
    512: "8x8x8",
    1024: "8x8x16",
    2048: "8x16x16",
}

GENERATIONS: Mapping[str, Generation] = {
    "v5e": Generation(
        peak_flops=PEAK_FLOPS["TPU v5 lite"],
        memory_gib=15.75,
        link_bytes_per_second=400e9,
        cores_per_chip=1,
        topologies=_FLAT,
    ),
    "v5p": Generation(
        peak_flops=PEAK_FLOPS["TPU v5p"],
        memory_gib=95.74,
        link_bytes_per_second=1200e9,
        cores_per_chip=2,
        topologies=_DEEP,
    ),
    "v6e": Generation(
        peak_flops=PEAK_FLOPS["TPU v6 lite"],
        memory_gib=31.25,
        link_bytes_per_second=800e9,
        cores_per_chip=1,
        topologies=_FLAT,
    ),
}


_NVLINK = {"a100": 600e9, "h100": 900e9}
_PCIE = 64e9

GPUS: Mapping[str, Chip] = {
    "l4": Chip(peak_flops=PEAK_FLOPS["NVIDIA L4"], memory_gib=22.0, link_bytes_per_second=_PCIE),
    "a100-40": Chip(
        peak_flops=PEAK_FLOPS["NVIDIA A100"],
        memory_gib=39.0,
        link_bytes_per_second=_NVLINK["a100"],
    ),
    "a100-80": Chip(
        peak_flops=PEAK_FLOPS["NVIDIA A100"],
        memory_gib=78.0,
        link_bytes_per_second=_NVLINK["a100"],
    ),
    "h100": Chip(
        peak_flops=PEAK_FLOPS["NVIDIA H100"],
        memory_gib=78.0,
        link_bytes_per_second=_NVLINK["h100"],
    ),
    "h200": Chip(
        peak_flops=PEAK_FLOPS["NVIDIA H200"],
        memory_gib=139.0,
        link_bytes_per_second=_NVLINK["h100"],
    ),
}
"""Kinds of GPUs; their memory is what driver and CUDA leave of it."""
_GPUS = re.compile(r"(?:([1-9]\d*)x)?([\w-]+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accelerator(abc.ABC):
    """Chips that work together.

    Attributes:
        name: Its name, such as `v5e-256` or `8xh100`.
        generation: Name of the kind of chip.
        num_chips: How many there are.
    """

    name: str
    generation: str
    num_chips: int

    @property
    @abc.abstractmethod
    def chip(self) -> Chip:
        """Peak rate and memory of a chip of this kind."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gpus(Accelerator):
    """GPUs of one machine."""

    @property
    def chip(self) -> Chip:
        """Peak rate and memory of a chip of this kind."""
        return GPUS[self.generation]

    def __str__(self) -> str:
        """Return name and number in words."""
        plural = "s" if self.num_chips > 1 else ""
        return f"{self.name}: {self.num_chips:,} GPU{plural} of {self.chip.memory_gib:g} GiB"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slice(Accelerator):
    """A slice of TPUs; its number of chips is one of its `topologies` (not checked)."""

    @property
    def chip(self) -> Generation:
        """Peak rate and memory of a chip of this kind."""
        return GENERATIONS[self.generation]

    @property
    def num_cores(self) -> int:
        """TensorCores of all chips."""
        return self.num_chips * self.chip.cores_per_chip

    @property
    def topology(self) -> str:
        """Name of the layout, as the compiler has it: `v5e:16x16`."""
        return f"{self.generation}:{self.chip.topologies[self.num_chips]}"

    def __str__(self) -> str:
        """Return name, chips, their layout and cores in words."""
        plural = "s" if self.num_chips > 1 else ""
        cores = f"{self.num_cores:,} TensorCore{'s' if self.num_cores > 1 else ''}"
        layout = self.chip.topologies[self.num_chips]
        return f"{self.name}: {self.num_chips:,} chip{plural} ({layout}), {cores}"


def find_slice(name: str) -> Slice:
    """Return the slice with a name such as `v5e-256` (256 chips) or `v5p-8` (8 cores, 4 chips).

    Raises:
        InputError: There is no such slice; the message lists all names.
    """
    generation, _, size = name.partition("-")
    if generation in GENERATIONS and size.isdecimal():
        chip = GENERATIONS[generation]
        num_chips, rest = divmod(int(size), chip.cores_per_chip)
        if num_chips in chip.topologies and not rest:
            return Slice(name=name, generation=generation, num_chips=num_chips)
    names = [slice_names(generation) for generation in GENERATIONS]
    raise InputError(f"--accelerator: got {name!r}, expected one of {'; '.join(names)}")


def find_accelerator(name: str) -> Accelerator:
    """Return the slice of TPUs with a name such as `v5e-8`, or GPUs with one such as `8xh100`.

    Raises:
        InputError: There are no such chips; the message lists all names.
    """
    match = _GPUS.fullmatch(name)
    if match and match[2] in GPUS:
        return Gpus(name=name, generation=match[2], num_chips=int(match[1] or 1))
    try:
        return find_slice(name)
    except InputError as error:
        raise InputError(
            f"{error}; or GPUs, one of {', '.join(GPUS)}, or several as 8xh100"
        ) from error


def slice_names(generation: str) -> str:
    """Return the names of a known generation's slices, smallest first, separated by commas."""
    chip = GENERATIONS[generation]
    return ", ".join(f"{generation}-{count * chip.cores_per_chip}" for count in chip.topologies)


def check_strategy(strategy: StrategyName, accelerator: Accelerator, section: str) -> None:
    """Refuse a strategy that would use only one of several chips: for that there is no estimate.

    Args:
        strategy: How devices share the work.
        accelerator: The chips.
        section: Name of the settings in the configuration, for the message.

    Raises:
        InputError: The strategy is `single`, and there are several chips.
    """
    if strategy == "single" and accelerator.num_chips > 1:
        raise InputError(
            f"{section}.strategy: got single with the {accelerator.num_chips} chips of "
            f"{accelerator.name}, expected auto: all but one would be paid for and do nothing; or "
            "estimate one chip, such as v5e-1 or h100"
        )


def check_utilisation(utilisation: float) -> None:
    """Refuse a utilisation that is not a fraction of a chip's peak rate.

    Raises:
        InputError: The utilisation is not above 0 and at most 1.
    """
    if not 0.0 < utilisation <= 1.0:
        raise InputError(f"--utilisation: got {utilisation}, expected above 0, at most 1")
