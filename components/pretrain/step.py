"""Pretrain a model on records."""

import dataclasses
from pathlib import Path

from albert_core.config import AlbertConfig, ModelConfig
from albert_core.errors import InputError
from albert_core.pretraining.config import PretrainingConfig
from albert_core.records.description import RecordsDescription, describe_records
from albert_core.runs.manifest import Figures, Manifest
from albert_core.runs.progress import ReportProgress, quiet
from albert_core.runs.step import run_step
from albert_core.tokenization import Tokenizer, load_tokenizer


def pretrain(
    *,
    records: str | Path,
    vocab: str | Path,
    model: ModelConfig,
    config: PretrainingConfig,
    output: str | Path,
    work_root: str | Path | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Pretrain and publish the best model by held-out accuracy to `output`.

    Args:
        records: A folder that `albert records` wrote, or TFRecord files of the original's
            create_pretraining_data.py.
        vocab: The vocabulary those records were made with.
        model: The architecture.
        config: How to train.
        output: Folder to make.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Told how far it is.

    Raises:
        InputError: An input is missing or does not fit another.
    """
    described = describe_records(records)
    tokenizer = load_tokenizer(vocab)
    model_config = model.with_vocabulary(len(tokenizer))
    _refuse_mismatch(described, tokenizer, model_config)

    def body(results: Path, checkpoints: Path) -> Figures:
        from albert_core.pretraining.program import run_pretraining

        return run_pretraining(
            records=described,
            tokenizer=tokenizer,
            model_config=model_config,
            config=config,
            results=results,
            checkpoints=checkpoints,
            progress=progress,
        )

    return run_step(
        "pretrain",
        config={"model": dataclasses.asdict(model), "pretraining": dataclasses.asdict(config)},
        inputs={"records": described.content_hash, "vocab": tokenizer.content_hash()},
        output=output,
        work_root=work_root,
        body=body,
    )


def _refuse_mismatch(
    records: RecordsDescription, tokenizer: Tokenizer, model_config: AlbertConfig
) -> None:
    if records.vocabulary not in (None, tokenizer.content_hash()):
        raise InputError(
            "records: made with another vocabulary than the one given; give the one they were "
            "made with, or make them anew"
        )
    if records.sequence_length > model_config.max_position_embeddings:
        raise InputError(
            f"records: of sequence_length {records.sequence_length}, expected at most "
            f"the model's max_position_embeddings={model_config.max_position_embeddings}"
        )
