"""Pretraining as a command, for machines outside of the pipeline."""

import dataclasses
import json
from collections.abc import Sequence

from albert_core.presets import ModelConfig
from albert_core.pretraining.config import PretrainingConfig


def pretrain_command(
    *,
    records: Sequence[str],
    vocab: str,
    model: ModelConfig,
    config: PretrainingConfig,
    output: str,
    work_root: str,
) -> list[str]:
    """Return the command line that pretrains with these settings, for an image with `albert`.

    All settings of model and training are in it, defaults included, as JSON. It has
    `--yes`, so that a long training needs no confirmation.

    Args:
        records: Outputs of `albert records`; no address may have a comma (not checked).
        vocab: Output of `albert vocab`.
        model: The architecture.
        config: How to train.
        output: Folder to make.
        work_root: Folder of work in progress.
    """
    return [
        "albert",
        "pretrain",
        "--model",
        json.dumps(dataclasses.asdict(model)),
        "--pretraining",
        json.dumps(dataclasses.asdict(config)),
        "--vocab_dir",
        vocab,
        "--records_dir",
        ",".join(records),
        "--output",
        output,
        "--work_root",
        work_root,
        "--yes",  # nobody is there to be asked
    ]
