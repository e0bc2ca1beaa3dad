"""How many examples are run together where it is left open."""

import pytest

from albert_core.config import preset
from albert_core.inference.batch_size import batch_size_for

GIB = 2**30


@pytest.mark.parametrize(
    ("name", "length", "gib", "expected"),
    [
        ("base_v2", 512, 80, 1024),
        ("base_v2", 512, 16, 128),
        ("base_v2", 128, 16, 512),
        ("xxlarge_v2", 512, 80, 128),
        ("xxlarge_v2", 512, 16, 32),
        ("xxlarge_v2", 512, 0, 1),
        ("tiny", 32, 16, 1024),
    ],
)
def test_batches_follow_the_memory(name: str, length: int, gib: int, expected: int) -> None:
    model = preset(name, vocab_size=30_000)
    assert batch_size_for(model, length, gib * GIB) == expected
