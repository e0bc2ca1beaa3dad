"""How many examples are run together where it is left open."""

import types

import pytest

from albert_core.backends import distribution
from albert_core.inference.batch_size import (
    batch_size_for,
    resolve_batch_size,
    sequences_per_example,
)
from albert_core.presets import preset

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


@pytest.mark.parametrize(
    ("kind", "encodes_apart", "expected"),
    [("classification", False, 512), ("regression", True, 256), ("multiple_choice", False, 64)],
)
def test_every_sequence_of_an_example_takes_memory(
    kind: str, encodes_apart: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = types.SimpleNamespace(
        compute=object(),
        config=preset("base_v2", vocab_size=30_000),
        settings=types.SimpleNamespace(sequence_length=128),
        signature=types.SimpleNamespace(kind=kind),
        encodes_apart=encodes_apart,
        num_data_parallel=2,
    )
    num_sequences = sequences_per_example(model)
    monkeypatch.setattr(distribution, "accelerator_memory_bytes", lambda: 16 * GIB)
    assert resolve_batch_size("auto", model, num_sequences=num_sequences) == 2 * expected
    assert resolve_batch_size(7, model, num_sequences=num_sequences) == 7
    monkeypatch.setattr(distribution, "accelerator_memory_bytes", lambda: 1 << 20)
    assert resolve_batch_size("auto", model, num_sequences=num_sequences) == 2
    monkeypatch.setattr(distribution, "accelerator_memory_bytes", lambda: None)
    assert resolve_batch_size("auto", model, num_sequences=num_sequences) == 64
