"""Model folders of this program: albert_config.json, model.safetensors and the vocabulary."""

from pathlib import Path

from albert_core.checkpoints.checkpoint import Checkpoint
from albert_core.checkpoints.side_files import read_side_files
from albert_core.checkpoints.vocabulary import FindTokenizer, find_tokenizer
from albert_core.config import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    AlbertConfig,
    describe_ignored_keys,
)


def read_folder(
    folder: str | Path, *, find_vocabulary: FindTokenizer = find_tokenizer
) -> Checkpoint:
    """Read a folder that `albert pretrain`, `albert finetune` or `save_folder` wrote.

    Configuration and weights must be there; the vocabulary, and the files that tell task, settings
    and head (`read_side_files`), may be missing. Weights, architecture and vocabulary are not
    compared with each other. Keys of the configuration that ALBERT has no use for are
    passed over, with a note.

    Args:
        folder: The folder.
        find_vocabulary: Returns the vocabulary for the folder, or None; by default the one there.

    Raises:
        InputError: Configuration or weights are missing; or they, the vocabulary or another of
            those files cannot be read, or holds what it must not.
    """
    from albert_core.model.weights import read_weights

    folder = Path(folder)
    return Checkpoint(
        config=AlbertConfig.from_json_file(folder / CONFIG_NAME),
        weights=read_weights(folder / WEIGHTS_NAME),
        source=str(folder),
        tokenizer=find_vocabulary(folder),
        **read_side_files(folder),
        notes=describe_ignored_keys(folder / CONFIG_NAME),
    )


def save_folder(checkpoint: Checkpoint, folder: str | Path) -> tuple[str, ...]:
    """Write configuration, weights and vocabulary, not the task, for `read_folder`.

    Makes the folder if it is missing; files there are replaced. Where the checkpoint
    `lacks_pooler`, a pooler of zeros is written.

    Returns:
        Notes for the user about what had to be added; those of the checkpoint are not repeated.
    """
    from albert_core.model.weights import write_weights

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    complete = checkpoint.with_pooler()
    write_weights(folder / WEIGHTS_NAME, complete.weights)
    checkpoint.config.to_json_file(folder / CONFIG_NAME)
    if checkpoint.tokenizer:
        checkpoint.tokenizer.save(folder)
    return complete.notes[len(checkpoint.notes) :]
