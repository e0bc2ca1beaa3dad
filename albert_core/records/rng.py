"""Random draws that are the same on every machine: each generator is keyed by what it is for.

A generator is one uint64, its state (SplitMix64). Inside numba a state is an array of one element,
which the functions below move on.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from albert_core.processes.kernels import kernel

# The constants of SplitMix64 (Steele, Lea, Flood 2014).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def document_key(sentences: Sequence[str]) -> bytes:
    """Return the 16-byte hash of a document's text, which keys every random draw made for it.

    Documents of the same sentences have the same key; it also serves to find repetitions.
    """
    return hashlib.blake2b("\n".join(sentences).encode(), digest_size=16).digest()


def document_rng_state(key: bytes, *, seed: int, purpose: str) -> int:
    """Return the 64-bit state of a document's generator for one purpose.

    Args:
        key: The `document_key`.
        seed: The run's seed.
        purpose: What is drawn; different purposes get independent generators.
    """
    # A hash of the text, not a position in one long sequence of draws: workers that read the
    # corpus in another order, or in other parts, then draw the same for the same document.
    digest = hashlib.blake2b(key, key=f"{seed}:{purpose}".encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


# SplitMix64, not one of NumPy's generators: its state is one integer, so that a generator for each
# document and each record costs nothing to set up.
@kernel()
def next_bits(state: Any) -> Any:
    """Return the next 64 random bits of SplitMix64, and move `state`, uint64 [1], on in place."""
    state[0] += _GOLDEN
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


@kernel()
def uniform(state: Any) -> float:
    """Draw a float64 from [0, 1) and move `state`, uint64 [1], on."""
    # The upper 53 bits: as many as a float64 holds, so that no result is rounded up to 1.
    return (next_bits(state) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@kernel()
def integer_below(state: Any, limit: int) -> int:
    """Draw an integer from 0 to below `limit`, all equally likely.

    `state`, uint64 [1], is moved on by one draw.
    """
    return int(uniform(state) * limit)
