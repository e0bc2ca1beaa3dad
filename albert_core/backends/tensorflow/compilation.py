"""What is compiled by XLA under TensorFlow, and what runs as a graph of operations."""

from albert_core.training.devices import Devices

# A batch's length is rounded up to a multiple of this. Nothing is compiled for a length, so that
# little padding costs nothing else.
LENGTH_MULTIPLE = 8

# Whether to compile a model whose batches differ in length: XLA would compile every length.
JITS_VARYING_LENGTHS = False

# On CPUs XLA fuses element-wise operations, but its matrix products are slower than oneDNN's: below
# this size the first outweighs the second.
_SMALL_HIDDEN_SIZE = 512


def should_jit(devices: Devices, hidden_size: int) -> bool:
    """Tell whether XLA makes the train step of a model faster.

    True for a single device that is not a CPU, or on a CPU for a `hidden_size` below 512.
    """
    if devices.strategy != "single":
        return False  # XLA fails in MirroredStrategy: it cannot resolve the replicas' variables
    return devices.name != "CPU" or hidden_size < _SMALL_HIDDEN_SIZE
