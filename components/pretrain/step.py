"""Pretrain a model on records."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics
from albert_core.checkpoints import read_checkpoint
from albert_core.config import AlbertConfig, refuse_redrawn_dropout
from albert_core.errors import InputError
from albert_core.estimation.this_machine import refuse_unconfirmed
from albert_core.optimizers.settings import without_unchanged
from albert_core.presets import ModelConfig
from albert_core.pretraining.budget import BudgetConfig
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.objectives import ObjectiveConfig
from albert_core.pretraining.positions import PositionsConfig
from albert_core.progress import ReportProgress, quiet
from albert_core.records.config import recorded_masking
from albert_core.records.description import RecordsDescription, describe_records
from albert_core.settings.checks import check_one_place
from albert_core.tokenization import Tokenizer, load_tokenizer
from albert_core.tracking.config import NO_TRACKING, TrackingConfig
from components.tracked_step import TrackedStep

_DEFAULTS = PretrainingConfig()
# Settings that the first version did not have; of the schedule's it had two.
_ADDED_SETTINGS = {
    field.name
    for section in (BudgetConfig, PositionsConfig, ObjectiveConfig)
    for field in dataclasses.fields(section)
} - {"start_warmup_step", "poly_power"}
_ADDED_SETTINGS |= {"residual_init_scale", "ema_decay", "sentence_order_weight"}


def pretrain(
    *,
    records: str | Path | Sequence[str | Path],
    vocab: str | Path,
    model: ModelConfig,
    config: PretrainingConfig,
    output: str | Path,
    work_root: str | Path | None = None,
    tracking: TrackingConfig = NO_TRACKING,
    is_confirmed: bool = True,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Pretrain a model and publish it to `output`.

    Its weights are the best of the last phase that began, by held-out masked-LM accuracy; with
    replaced-token detection they are the last ones. Continues the same work of a killed process;
    does nothing if `output` holds its result. A process that another one leads, as its environment
    says, trains along, publishes nothing, and waits until the leader has.

    Args:
        records: A folder that `albert records` wrote, or TFRecord files of the original's
            create_pretraining_data.py; for phases of several sequence lengths, one of each.
        vocab: The vocabulary those records were made with.
        model: The architecture.
        config: How to train.
        output: Folder to write, local, gs:// or s3://.
        work_root: Folder of the work folders; beside `output` when not given.
        tracking: Where the training is tracked; as this process's environment says when off.
        is_confirmed: Whether it may take more than a day by the estimate of `this_machine`; work
            that has a checkpoint goes on in any case.
        progress: Called with the number of steps done, the number of all steps, and a text with the
            losses.

    Returns:
        The manifest of `output`, with the metrics of `run_pretraining`.

    Raises:
        InputError: An input or setting is missing or wrong, two of them do not fit together,
            `output` holds something else, or it takes too long without a confirmation.
        StepFailedError: Training was interrupted or diverged, and its checkpoints are kept; or
            another process has taken over this work, or a process that is led waited in vain for
            its leader.
        ServiceError: The storage failed.
    """
    folders = [records] if isinstance(records, str | Path) else records
    descriptions = [describe_records(input_folder(folder)) for folder in folders]
    tokenizer = load_tokenizer(input_folder(vocab))
    model_config = model.with_vocabulary(len(tokenizer))
    refuse_redrawn_dropout(model_config, rematerialize=config.rematerialize)
    config.check_depths(model_config)
    for description in descriptions:
        _refuse_mismatch(description, tokenizer, model_config)
    by_length = _by_sequence_length(folders, descriptions)
    _refuse_missing_lengths(by_length, config)
    config.check_positions(by_length, model_config.max_position_embeddings)
    inputs = {
        **{f"records {length}": by_length[length].content_hash for length in by_length},
        "vocab": tokenizer.content_hash(),
    }
    if config.init_checkpoint:
        inputs["init_checkpoint"] = read_checkpoint(
            input_folder(config.init_checkpoint), default_config=model_config
        ).content_hash()
    step = TrackedStep(
        name="pretrain",
        title="pretrain",
        settings={"model": dataclasses.asdict(model), "pretraining": recorded_settings(config)},
        inputs=inputs,
        places={"vocab": vocab, "records": folders},
        output=output,
        work_root=work_root,
        tracking=tracking,
        progress=progress,
    )

    def write_model(results: Path, checkpoints: Path) -> Metrics:
        """Train from the last checkpoint, write the model into `results`, return its metrics.

        Raises:
            InputError: The training was not confirmed, has no checkpoint and would take more than a
                day by the estimate.
        """
        if not is_confirmed and not any(checkpoints.iterdir()):
            refuse_unconfirmed(config, model_config, next(iter(by_length)))
        from albert_core.pretraining.program import run_pretraining

        with step.tracked(checkpoints) as tracker:
            metrics = run_pretraining(
                records=by_length,
                tokenizer=tokenizer,
                model_config=model_config,
                config=config,
                results=results,
                checkpoints=checkpoints,
                work=step.work,
                progress=progress,
                track=tracker.log_row,
            )
            tracker.log_scores(metrics)
        return metrics

    return step.run(write_model)


def recorded_settings(config: PretrainingConfig) -> dict[str, Any]:
    """Return the settings, by name, for the manifest and the fingerprint of the work.

    Settings that the first version did not have are left out where they are at their defaults: a
    setting added since then must not make other work of a pretraining that does not use it. Of the
    optimizer's settings, `without_unchanged` leaves some out.
    """
    settings = without_unchanged(dataclasses.asdict(config))
    settings["masking"] = recorded_masking(settings["masking"])
    for name in _ADDED_SETTINGS:
        if getattr(config, name) == getattr(_DEFAULTS, name):
            del settings[name]
    for phase in settings["phases"]:
        if phase["num_hidden_layers"] is None:
            del phase["num_hidden_layers"]
    return settings


def _by_sequence_length(
    folders: Sequence[str | Path], descriptions: Sequence[RecordsDescription]
) -> dict[int, RecordsDescription]:
    """Return the descriptions of some folders of records, in their order, by sequence length.

    Raises:
        InputError: Two have the same length: one of them would not be read.
    """
    lengths = [description.sequence_length for description in descriptions]
    check_one_place(
        "records",
        zip(lengths, folders, strict=True),
        shared="of sequence length",
        expected="expected one folder of each length; put the TFRecord files of one length into "
        "one folder, or make them by one `albert records`",
    )
    return dict(zip(lengths, descriptions, strict=True))


def _refuse_missing_lengths(
    records: Mapping[int, RecordsDescription], config: PretrainingConfig
) -> None:
    """Refuse records of other sequence lengths than the phases have, missing or too many.

    A run without phases needs the length of the first records only.

    Args:
        records: Descriptions by sequence length, at least one.
        config: The phases.

    Raises:
        InputError: The lengths differ.
    """
    needed = set(config.sequence_lengths(default=next(iter(records))))
    if needed != records.keys():
        raise InputError(
            f"records: got sequence lengths {', '.join(map(str, sorted(records)))}, expected "
            f"{', '.join(map(str, sorted(needed)))} for pretraining.phases; make records of each "
            "(records.sequence_length) and name all their folders"
        )


def _refuse_mismatch(
    records: RecordsDescription, tokenizer: Tokenizer, model_config: AlbertConfig
) -> None:
    """Refuse records of another vocabulary, or too long for the model.

    Records that do not name their vocabulary, as the original's, are not compared with it.

    Raises:
        InputError: The vocabulary is another one, or the sequences are too long.
    """
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
