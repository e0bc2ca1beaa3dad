"""How many examples are run together where the user leaves it open."""

from typing import TYPE_CHECKING, Literal

from albert_core.config import AlbertConfig
from albert_core.finetuning.prediction import DEFAULT_BATCH_SIZE
from albert_core.inference.masks import MAX_MASKS
from albert_core.settings.checks import check_minimum

if TYPE_CHECKING:
    from albert_core.inference.loaded_model import LoadedModel

BatchSize = int | Literal["auto"]

_FRACTION = 0.5  # of the memory; the rest is for weights, and for what libraries keep
_MOST_EXAMPLES = 1024  # more keep no accelerator busier, and results would come late
_NUMBER_BYTES = 4
# A task does not say how many choices its rows have. RACE and SWAG have 4.
_MOST_CHOICES = 8


def resolve_batch_size(
    batch_size: BatchSize, model: "LoadedModel", *, num_sequences: int = 1
) -> int:
    """Return the number of examples to run together, `auto` resolved by this process's devices.

    `auto` is 64 on a CPU, for exports, which run in their own runtimes, and on TPUs under
    TensorFlow, which do not tell their memory. On GPUs, and on TPUs under JAX, it is for each copy
    of the weights as many examples of the greatest length as half of a device's memory holds: their
    sequences are a power of two from 1 to 1,024.

    Args:
        batch_size: As the user gave it; a number is returned as it is.
        model: What predicts; tells the architecture, the greatest length and how many copies of its
            weights there are.
        num_sequences: Sequences that the model reads for an example, which `sequences_per_example`
            tells; 1 for vectors of texts.

    Raises:
        InputError: It is below 1.
    """
    if batch_size != "auto":
        check_minimum("batch_size", batch_size, 1)
        return batch_size
    if model.compute is None:
        return DEFAULT_BATCH_SIZE
    from albert_core.backends import distribution

    memory_bytes = distribution.accelerator_memory_bytes()
    if memory_bytes is None:
        return DEFAULT_BATCH_SIZE
    device_batch_size = batch_size_for(model.config, model.settings.sequence_length, memory_bytes)
    return max(device_batch_size // num_sequences, 1) * model.num_data_parallel


def sequences_per_example(model: "LoadedModel") -> int:
    """Return how many sequences a model reads to predict for an example.

    They are 8 with choices, 2 if the two texts are encoded separately, else 1. More choices take
    memory that `resolve_batch_size` leaves free.
    """
    if model.signature.kind == "multiple_choice":
        return _MOST_CHOICES
    return 2 if model.encodes_apart else 1


def batch_size_for(config: AlbertConfig, sequence_length: int, memory_bytes: int) -> int:
    """Return how many sequences an accelerator runs together, a power of two from 1 to 1,024.

    Args:
        config: The architecture.
        sequence_length: Length of the longest sequences, in tokens.
        memory_bytes: Memory of the accelerator.
    """
    # What a layer has at a time: its inputs, queries, keys, values, their result and the sum; the
    # feed-forward layer before and after its activation; and the attention of all heads.
    numbers_per_token = (
        6 * config.hidden_size
        + 2 * config.intermediate_size
        + config.num_attention_heads * sequence_length
    )
    numbers = sequence_length * numbers_per_token + 2 * MAX_MASKS * config.vocab_size
    num_examples = int(_FRACTION * memory_bytes / (_NUMBER_BYTES * numbers))
    return min(_MOST_EXAMPLES, 1 << max(num_examples.bit_length() - 1, 0))
