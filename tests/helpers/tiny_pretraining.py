"""Pretraining small enough for tests: the corpus of `tiny_run`, its records, a few seconds."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from albert_core.artifacts.manifest import Manifest
from albert_core.corpus import CorpusConfig
from albert_core.presets import ModelConfig
from albert_core.pretraining.config import PretrainingConfig
from albert_core.progress import ReportProgress, quiet
from albert_core.records.config import RecordsConfig
from albert_core.tokenization.config import VocabConfig
from albert_core.training.history import read_history
from components.pretrain.step import pretrain
from components.records.step import make_records
from components.vocab.step import train_vocab
from tests.helpers.tiny_run import TINY_CONFIG, write_corpus

OVERRIDES = TINY_CONFIG["model"]["overrides"]


@dataclasses.dataclass(frozen=True)
class Material:
    """A vocabulary and records of two sequence lengths.

    Attributes:
        vocab: Folder of the vocabulary.
        short: Folder of the records of 24 pieces.
        long: Folder of those of 48.
    """

    vocab: Path
    short: Path
    long: Path


def make_material(folder: Path, *, held_out_fraction: float = 0.05) -> Material:
    corpus = CorpusConfig(files=(str(write_corpus(folder / "corpus")),))
    material = Material(folder / "vocab", folder / "short", folder / "long")
    train_vocab(corpus=corpus, config=VocabConfig(size=60), output=material.vocab)
    for output, length in ((material.short, 24), (material.long, 48)):
        make_records(
            corpus=corpus,
            vocab=material.vocab,
            config=RecordsConfig(
                sequence_length=length, held_out_fraction=held_out_fraction, num_shards=2
            ),
            output=output,
        )
    return material


def tiny_config(**settings: Any) -> PretrainingConfig:
    defaults = {
        "optimizer": "adamw",
        "learning_rate": 0.003,
        "num_train_steps": 40,
        "num_warmup_steps": 4,
        "batch_size": 16,
        "evaluation_interval_steps": 20,
        "log_interval_steps": 1,
        "precision": "float32",
        "jit_compile": False,
    }
    return PretrainingConfig(**{**defaults, **settings})


def train(
    material: Material,
    output: Path,
    *,
    overrides: Any = None,
    records: Any = None,
    progress: ReportProgress = quiet,
    **settings: Any,
) -> Manifest:
    """Pretrain on the short records, or on others; further arguments are settings."""
    return pretrain(
        records=records or material.short,
        vocab=material.vocab,
        model=ModelConfig(preset="tiny", overrides={**OVERRIDES, **(overrides or {})}),
        config=tiny_config(**settings),
        output=output,
        progress=progress,
    )


def log_of(output: Path) -> list[dict[str, Any]]:
    text = (output / "training_log.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def history_of(output: Path) -> list[dict[str, Any]]:
    return read_history(output)


def losses_of(output: Path) -> list[float]:
    return [row["loss"] for row in log_of(output)]
