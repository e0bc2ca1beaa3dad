"""Random draws that are the same on every machine: each from a stream keyed by what it is for."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def document_key(sentences: Sequence[str]) -> bytes:
    """Return the 16-byte hash that keys every random draw made for a document."""
    return hashlib.blake2b("\n".join(sentences).encode(), digest_size=16).digest()


def document_stream(key: bytes, *, seed: int, purpose: str) -> int:
    """Return the 64-bit state of a document's draws for one purpose; the same on every runner."""
    digest = hashlib.blake2b(key, key=f"{seed}:{purpose}".encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


@numba.njit(cache=True)
def next_bits(state: Any) -> Any:
    """Draw 64 bits with SplitMix64; `state`, uint64 [1], moves on."""
    state[0] += _GOLDEN
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True)
def uniform(state: Any) -> float:
    """Draw from [0, 1)."""
    return (next_bits(state) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@numba.njit(cache=True)
def below(state: Any, limit: int) -> int:
    """Draw an integer from 0 to below `limit`."""
    return int(uniform(state) * limit)
