"""Slices of Cloud TPUs: their chips, how those are laid out, what they can do at most.

Source of the numbers: Google's "TPU v5e", "TPU v5p" and "TPU v6e" pages.
"""

import dataclasses
from collections.abc import Mapping

from albert_core.errors import InputError
from albert_core.training.flops import PEAK_FLOPS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generation:
    """A kind of chip.

    Attributes:
        peak_flops: Dense bfloat16 FLOP/s of a chip.
        memory_gib: HBM of a chip that its compiler lets a program use.
        link_bytes_per_second: Most bytes a second that a chip exchanges with its neighbours.
        cores_per_chip: TensorCores of a chip; the number in a slice's name counts them.
        topologies: How the chips of a slice are laid out, by their number.
    """

    peak_flops: float
    memory_gib: float
    link_bytes_per_second: float
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slice:
    """Chips that are rented together.

    Attributes:
        name: Its name, such as `v5e-256`.
        generation: Name of the kind of chip.
        num_chips: How many there are: one of the numbers in its `topologies` (not checked).
    """

    name: str
    generation: str
    num_chips: int

    @property
    def chip(self) -> Generation:
        """The kind of chip."""
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
    """Return the slice of a name such as `v5e-256` (chips) or `v5p-8` (cores, 4 chips).

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


def slice_names(generation: str) -> str:
    """Return the names of a generation's slices, separated by commas."""
    chip = GENERATIONS[generation]
    return ", ".join(f"{generation}-{count * chip.cores_per_chip}" for count in chip.topologies)
