"""Slices of TPUs as Google Cloud rents them: machines, and how their chips are laid out."""

import dataclasses
import math
from collections.abc import Mapping

from albert_core.errors import InputError
from albert_core.estimation.accelerators import GENERATIONS


@dataclasses.dataclass(frozen=True)
class _Family:
    """Machines of one generation of chips.

    Attributes:
        generation: Name of the generation.
        chips: Chips of each machine, by its name.
        node_label: Value of the label cloud.google.com/gke-tpu-accelerator of its nodes.
    """

    generation: str
    chips: Mapping[str, int]
    node_label: str


# Source: "TPUs in GKE" and "Machine types" of Google's documentation.
_FAMILIES = (
    _Family(
        "v5e",
        {"ct5lp-hightpu-1t": 1, "ct5lp-hightpu-4t": 4, "ct5lp-hightpu-8t": 8},
        "tpu-v5-lite-podslice",
    ),
    _Family("v5p", {"ct5p-hightpu-4t": 4}, "tpu-v5p-slice"),
    _Family(
        "v6e",
        {"ct6e-standard-1t": 1, "ct6e-standard-4t": 4, "ct6e-standard-8t": 8},
        "tpu-v6e-slice",
    ),
)
_CHIPS_OF_JOINABLE = 4  # Google joins machines of four chips only to larger slices
_MACHINES = {machine: family for family in _FAMILIES for machine in family.chips}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TpuSlice:
    """Chips that work together, in one machine or several.

    Nothing is checked before `check`; properties need values that it accepts.

    Attributes:
        machine: Type of the machines: `ct5lp-hightpu-4t` has four v5e chips.
        topology: How all chips are laid out, such as `2x2` or `4x4`.
    """

    machine: str = "ct5lp-hightpu-4t"
    topology: str = "2x2"

    def check(self, name: str) -> None:
        """Refuse a machine that does not exist, or a layout that it cannot have.

        Args:
            name: Name of the setting, for the message.

        Raises:
            InputError: The machine is unknown, or whole machines of this type have no such layout.
        """
        if self.machine not in _MACHINES:
            raise InputError(
                f"{name}.machine: got {self.machine!r}, expected one of {', '.join(_MACHINES)}"
            )
        family = _MACHINES[self.machine]
        layouts = GENERATIONS[family.generation].topologies.values()
        possible = [layout for layout in layouts if self._fills_machines(_num_chips(layout))]
        if self.topology not in possible:
            raise InputError(
                f"{name}.topology: got {self.topology!r} with {self.machine} "
                f"({self.chips_per_machine} {family.generation} chips a machine), expected one of "
                f"{', '.join(possible)}"
            )

    def _fills_machines(self, num_chips: int) -> bool:
        """Return whether so many chips are whole machines of this kind.

        That is one machine; or any number of machines if they have four chips each, the only ones
        that are joined. Whether a slice of that size exists is not checked.
        """
        per_machine = self.chips_per_machine
        is_joinable = per_machine == _CHIPS_OF_JOINABLE
        return num_chips == per_machine or (is_joinable and num_chips % per_machine == 0)

    @classmethod
    def from_nodes(cls, node_label: str, topology: str, chips_per_node: int) -> "TpuSlice | None":
        """Return the slice of GKE nodes with these labels; None where there is no such machine.

        Args:
            node_label: Value of their label cloud.google.com/gke-tpu-accelerator.
            topology: Value of their label cloud.google.com/gke-tpu-topology; not checked.
            chips_per_node: How many chips each of them has.
        """
        for family in _FAMILIES:
            for machine, chips in family.chips.items():
                if (family.node_label, chips) == (node_label, chips_per_node):
                    return cls(machine=machine, topology=topology)
        return None

    @property
    def generation(self) -> str:
        """Name of the generation of its chips, such as `v5e`."""
        return _MACHINES[self.machine].generation

    @property
    def num_chips(self) -> int:
        """How many chips it has, in all machines."""
        return _num_chips(self.topology)

    @property
    def chips_per_machine(self) -> int:
        """Chips of one machine."""
        return _MACHINES[self.machine].chips[self.machine]

    @property
    def name(self) -> str:
        """Name of the slice as `albert estimate` takes it, such as `v5e-4` (chips; v5p: cores)."""
        num_cores = self.num_chips * GENERATIONS[self.generation].cores_per_chip
        return f"{self.generation}-{num_cores}"

    @property
    def num_hosts(self) -> int:
        """How many machines the slice is."""
        return self.num_chips // self.chips_per_machine

    @property
    def node_label(self) -> str:
        """Value of the label cloud.google.com/gke-tpu-accelerator of its nodes."""
        return _MACHINES[self.machine].node_label


def _num_chips(topology: str) -> int:
    """Return the number of chips of a layout such as `2x4`."""
    return math.prod(int(side) for side in topology.split("x"))
