"""Batches of a generator as `fit` reads them under JAX."""

from collections.abc import Callable, Iterator
from typing import Any


def feed_batches(generate: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """Return the generator that `generate` makes: `fit` reads it as it is."""
    return generate()
