"""The longest sequences that a model was pretrained on, and a warning about longer ones."""

from collections.abc import Sequence
from pathlib import Path

from albert_core.artifacts.manifest import find_manifest

TRAINED_LENGTH = "trained_sequence_length"
"""Metric of a manifest: the longest sequences, in tokens, all of whose positions were trained."""


def find_trained_length(path: str | Path) -> int | None:
    """Return the longest sequences that a model's weights were pretrained on, in tokens.

    Read from the manifest beside the model. A pretraining by an earlier version, whose manifest
    does not tell the length, is judged by its records if it began from random weights and ran to
    its end.

    Args:
        path: A local model folder, or a file in one.

    Returns:
        The length; None where nothing tells it, as for checkpoints of other programs.

    Raises:
        InputError: The manifest cannot be read.
    """
    folder = Path(path)
    manifest = find_manifest(folder if folder.is_dir() else folder.parent)
    if manifest is None:
        return None
    if TRAINED_LENGTH in manifest.metrics:
        return int(manifest.metrics[TRAINED_LENGTH])
    is_whole = manifest.metrics.get("global_step") and "stopped_by" not in manifest.metrics
    if manifest.step != "pretrain" or not is_whole or "init_checkpoint" in manifest.inputs:
        return None
    lengths = [name.removeprefix("records ") for name in manifest.inputs if "records " in name]
    return max(map(int, lengths), default=None)


def warn_of_untrained_positions(
    tasks: Sequence[str], sequence_length: int, trained_length: int | None
) -> str:
    """Return a warning, with the remedy, about tasks on positions that pretraining never trained.

    Args:
        tasks: Names of the tasks.
        sequence_length: Their longest input in tokens.
        trained_length: Longest sequences of the pretraining in tokens; None if not known.

    Returns:
        One sentence; empty if no input is longer, or if the length is not known.
    """
    if trained_length is None or sequence_length <= trained_length:
        return ""
    return (
        f"finetuning.sequence_length for {', '.join(tasks)}: got {sequence_length}, but the model "
        f"was pretrained on at most {trained_length} positions, so positions {trained_length} to "
        f"{sequence_length - 1} were never trained; set --finetuning.sequence_length "
        f"{trained_length}, which cuts longer texts, or pretrain on {sequence_length} tokens "
        "(records.sequence_length, or a phase of that length in pretraining.phases), or on all "
        "positions (pretraining.position_offset_probability)"
    )
