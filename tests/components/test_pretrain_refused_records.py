"""`albert pretrain` names records that are damaged, or that do not go with the settings."""

import collections
import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from albert_core.artifacts import inputs
from albert_core.corpus import CorpusConfig
from albert_core.errors import InputError, StepFailedError
from albert_core.pretraining import program
from albert_core.pretraining.phases import PhaseConfig
from albert_core.tokenization.config import VocabConfig
from components.vocab.step import train_vocab
from tests.helpers.tiny_pretraining import (
    train,
)

pytestmark = pytest.mark.slow


def copy_of(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def test_a_folder_without_records(material, tmp_path):
    with pytest.raises(InputError, match="no records there"):
        train(material, tmp_path / "model", records=tmp_path)


def test_a_truncated_shard_is_named_before_training(material, tmp_path):
    records = copy_of(material.short, tmp_path / "records")
    shard = next(records.glob("train-*"))
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(InputError, match=rf"{shard.name} has [\d,]+ bytes, expected [\d,]+"):
        train(material, tmp_path / "model", records=records)


def test_a_missing_shard_is_named_before_training(material, tmp_path):
    records = copy_of(material.short, tmp_path / "records")
    shard = next(records.glob("train-*"))
    shard.unlink()
    with pytest.raises(InputError, match=f"{records}: {shard.name} is missing"):
        train(material, tmp_path / "model", records=records)


def with_a_corrupt_record(records: Path) -> Path:
    """Change a byte near the end of a shard; return its path."""
    shard = next(records.glob("train-*"))
    content = bytearray(shard.read_bytes())
    content[-10] ^= 1
    shard.write_bytes(content)
    return shard


def test_a_corrupt_shard_is_named_before_training(material, tmp_path):
    records = copy_of(material.short, tmp_path / "records")
    shard = with_a_corrupt_record(records)
    with pytest.raises(InputError, match=rf"{shard.name} holds something else .* delete this"):
        train(material, tmp_path / "model", records=records)


def test_in_records_too_large_to_hash_a_corrupt_one_is_named_and_the_run_kept(
    material, tmp_path, monkeypatch
):
    monkeypatch.setattr(inputs, "_MAX_HASHED_BYTES", 0)
    records = copy_of(material.short, tmp_path / "records")
    shard = with_a_corrupt_record(records)
    with pytest.raises(StepFailedError, match=rf"{shard}: truncated or corrupt record at byte \d"):
        train(material, tmp_path / "model", records=records, num_train_steps=200)
    assert list(tmp_path.glob("*/pretrain-*/progress"))


def test_a_corrupt_record_that_timed_steps_meet_is_named(material, tmp_path, monkeypatch):
    def read_all(*arguments: Any, **_: Any) -> None:
        collections.deque(arguments[3][0].train_batches(4), maxlen=0)

    monkeypatch.setattr(inputs, "_MAX_HASHED_BYTES", 0)
    monkeypatch.setattr(program, "choose_pretraining_compute", read_all)
    records = copy_of(material.short, tmp_path / "records")
    shard = with_a_corrupt_record(records)
    with pytest.raises(StepFailedError, match=rf"{shard}: truncated or corrupt record at byte \d"):
        train(material, tmp_path / "model", records=records)


def test_records_of_another_vocabulary(material, tmp_path):
    corpus = CorpusConfig(files=(str(material.vocab.parent / "corpus"),))
    train_vocab(corpus=corpus, config=VocabConfig(size=50), output=tmp_path / "vocab")
    other = dataclasses.replace(material, vocab=tmp_path / "vocab")
    with pytest.raises(InputError, match="made with another vocabulary"):
        train(other, tmp_path / "model")


def test_two_folders_of_one_sequence_length_are_refused_by_name(material, tmp_path):
    copy_of(material.short, tmp_path / "more")
    with pytest.raises(InputError, match=r"got .*short and .*more, both of sequence length 24"):
        train(material, tmp_path / "model", records=[material.short, tmp_path / "more"])


def test_records_of_another_sequence_length(material, tmp_path):
    phases = (PhaseConfig(sequence_length=48),)
    with pytest.raises(InputError, match="got sequence lengths 24, expected 48"):
        train(material, tmp_path / "model", phases=phases)
    with pytest.raises(InputError, match="expected at most the model's max_position_embeddings=16"):
        train(material, tmp_path / "model", overrides={"max_position_embeddings": 16})
