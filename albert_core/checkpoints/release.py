"""Read and write folders like the original's releases: TensorFlow 1 checkpoint and vocabulary."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from albert_core.checkpoints.checkpoint import (
    Checkpoint,
    refuse_other_pooling,
    refuse_token_classifier,
)
from albert_core.checkpoints.kinds import HUB_ASSETS, HUB_VARIABLES
from albert_core.checkpoints.names import GLOBAL_STEP, SLOTS, is_training_state
from albert_core.checkpoints.side_files import read_side_files
from albert_core.checkpoints.tf1 import (
    CHECKPOINT_ENDS,
    find_tf1_checkpoint,
    read_tf1_checkpoint,
    write_tf1_checkpoint,
)
from albert_core.checkpoints.vocabulary import (
    FindTokenizer,
    find_tokenizer,
    write_original_vocabulary,
)
from albert_core.config import CONFIG_NAME, AlbertConfig, describe_ignored_keys
from albert_core.errors import InputError
from albert_core.files.atomic import link_or_copy

CHECKPOINT_NAME = "model.ckpt-best"
# The same under the name of a step, here 0: the evaluation of the original's fine-tuning scripts
# looks for checkpoints of steps, their prediction for the best.
STEP_CHECKPOINT_NAME = "model.ckpt-0"
_TASK_HEADS = frozenset({"classifier", "span", "span_beam"})


def read_release(
    path: str | Path,
    *,
    config: str | Path | None = None,
    find_vocabulary: FindTokenizer = find_tokenizer,
    default_config: AlbertConfig | None = None,
) -> Checkpoint:
    """Read a TensorFlow 1 checkpoint with the configuration and the vocabulary beside it.

    The vocabulary, and the files that tell task, settings and head (`read_side_files`), may be
    missing. Variables of a training (`is_training_state`) are left out; a note tells the
    global_step and the number of the optimizer's slots, if there are any.

    Args:
        path: A checkpoint's prefix, or a folder with one (see `find_tf1_checkpoint`).
        config: An albert_config.json, if not the one beside it.
        find_vocabulary: Returns the vocabulary for its folder, or None; by default the one there.
        default_config: The architecture where there is no such file.

    Raises:
        InputError: There is no checkpoint, no file with the architecture and no `default_config`;
            a file cannot be used; or TensorFlow, which reads the checkpoint, is not installed.
    """
    prefix = find_tf1_checkpoint(path)
    config_path = Path(config) if config is not None else prefix.with_name(CONFIG_NAME)
    return _read(prefix, prefix.parent, config_path, find_vocabulary, default_config)


def read_hub_module(
    folder: str | Path,
    *,
    config: str | Path | None = None,
    find_vocabulary: FindTokenizer = find_tokenizer,
    default_config: AlbertConfig | None = None,
) -> Checkpoint:
    """Read the weights of a TF-Hub module, or of a SavedModel that `albert export` wrote.

    Nothing in it is executed. Configuration, vocabulary and the files that tell task, settings and
    head are those among its assets; all but the configuration may be missing.

    Args:
        folder: The module's folder.
        config: An albert_config.json, for a module that has none among its assets; one that it has
            is not read then (not checked).
        find_vocabulary: Returns the vocabulary for the folder of its assets, or None; by default
            the one there.
        default_config: The architecture where there is no such file.

    Raises:
        InputError: The module has no variables, or they have no names, as in other TensorFlow 2
            SavedModels; there is no file with the architecture and no `default_config`; a file
            cannot be used; or TensorFlow, which reads the variables, is not installed.
    """
    assets = Path(folder) / HUB_ASSETS
    prefix = find_tf1_checkpoint(Path(folder) / HUB_VARIABLES)
    config_path = Path(config) if config is not None else assets / CONFIG_NAME
    return _read(prefix, assets, config_path, find_vocabulary, default_config)


def _read(
    prefix: Path,
    folder: Path,
    config_path: Path,
    find_vocabulary: FindTokenizer,
    default_config: AlbertConfig | None = None,
) -> Checkpoint:
    """Read a checkpoint without the variables of its training, and the side files of a folder.

    Args:
        prefix: The checkpoint.
        folder: Folder of the vocabulary and the side files, each of which may be missing.
        config_path: The albert_config.json.
        find_vocabulary: Returns the vocabulary for `folder`, or None.
        default_config: The architecture where there is no albert_config.json.

    Raises:
        InputError: The configuration is missing, or a file cannot be used.
    """
    config = default_config
    notes: tuple[str, ...] = ()
    if config_path.is_file():
        config = AlbertConfig.from_json_file(config_path)
        notes = describe_ignored_keys(config_path)
    if config is None:
        raise InputError(
            f"checkpoint {prefix}: no file {config_path}; give the model's {CONFIG_NAME} with "
            "--albert_config, or put it there"
        )
    arrays = read_tf1_checkpoint(prefix)
    weights = {name: array for name, array in arrays.items() if not is_training_state(name)}
    return Checkpoint(
        config=config,
        weights=weights,
        source=str(prefix),
        tokenizer=find_vocabulary(folder),
        **read_side_files(folder),
        notes=(*notes, *_describe_left_out(arrays)),
    )


def _describe_left_out(arrays: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Return one note about global_step and the optimizer's slots, or none if there are neither.

    A global_step of 0 does not count: checkpoints without a training have it, too.
    """
    step = int(arrays.get(GLOBAL_STEP, 0))
    num_slots = sum(name.endswith(SLOTS) for name in arrays)
    parts = [f"global_step {step:,}"] if step else []
    parts += [f"{num_slots} slots of the optimizer"] if num_slots else []
    return (f"left out {' and '.join(parts)}",) if parts else ()


def save_release(checkpoint: Checkpoint, folder: str | Path) -> tuple[str, ...]:
    """Write a folder that the original's scripts can start from, export or run; without the task.

    The checkpoint is `model.ckpt-best`, with global_step 0 and no slots; with the head of a task it
    is there a second time as `model.ckpt-0` (as hard links where possible). Makes the folder if it
    is missing; files there are replaced. Where the checkpoint `lacks_pooler`, a pooler of zeros is
    written.

    Returns:
        Notes for the user about what had to be added; those of the checkpoint are not repeated.

    Raises:
        InputError: The classifier reads something else than the pooler, or classifies tokens.
    """
    refuse_other_pooling(checkpoint, "tf1")
    refuse_token_classifier(checkpoint, "tf1")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    complete = checkpoint.with_pooler()
    write_tf1_checkpoint(folder / CHECKPOINT_NAME, complete.weights)
    if checkpoint.heads & _TASK_HEADS:
        for end in CHECKPOINT_ENDS:
            (folder / f"{STEP_CHECKPOINT_NAME}{end}").unlink(missing_ok=True)
            link_or_copy(
                folder / f"{CHECKPOINT_NAME}{end}", folder / f"{STEP_CHECKPOINT_NAME}{end}"
            )
    checkpoint.config.to_json_file(folder / CONFIG_NAME)
    if checkpoint.tokenizer:
        write_original_vocabulary(checkpoint.tokenizer, folder)
    return complete.notes[len(checkpoint.notes) :]
