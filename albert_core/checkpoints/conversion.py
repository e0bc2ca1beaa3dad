"""Convert checkpoints from one format to another, and prove that the model stays the same."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from albert_core.artifacts.filled_folder import (
    end_filling,
    fill_folder,
    filling_path,
    find_foreign_file,
    is_private,
    replace_or_fill,
)
from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import describe_files
from albert_core.artifacts.output_folder import (
    folder_errors,
    is_replaceable,
    refuse_unwritable,
    resolve_link,
)
from albert_core.checkpoints.checkpoint import Checkpoint
from albert_core.checkpoints.folder import read_folder, save_folder
from albert_core.checkpoints.huggingface import (
    HUGGINGFACE_CONFIG_NAME,
    read_huggingface,
    save_huggingface,
)
from albert_core.checkpoints.kinds import HUB_ASSETS, CheckpointFormat, PathKind, detect
from albert_core.checkpoints.proof import compare_outputs, compute_outputs
from albert_core.checkpoints.release import read_hub_module, read_release, save_release
from albert_core.checkpoints.side_files import write_side_files
from albert_core.checkpoints.vocabulary import check_size, find_tokenizer
from albert_core.config import CONFIG_NAME, AlbertConfig
from albert_core.errors import InputError, StepFailedError
from albert_core.files.folders import flush_to_disk
from albert_core.files.partial_files import partial_path, staging_folder
from albert_core.storage import local_file, local_path

LARGEST_DIFFERENCE = 1e-6

_READERS: Mapping[str, Callable[..., Checkpoint]] = {
    "hub": read_hub_module,
    "huggingface": read_huggingface,
    "keras": read_folder,
}
_WRITERS: Mapping[CheckpointFormat, Callable[[Checkpoint, Path], tuple[str, ...]]] = {
    "tf1": save_release,
    "huggingface": save_huggingface,
    "keras": save_folder,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conversion:
    """The result of `convert`.

    Attributes:
        source: The path that was read.
        kind: What `detect` found there.
        destination: The folder that was made.
        format: The format of what was written.
        heads: The heads of the model.
        differences: Largest absolute difference of each output between source and destination.
        notes: Sentences for the user about what was changed or left out.
    """

    source: str
    kind: PathKind
    destination: str
    format: CheckpointFormat
    heads: tuple[str, ...]
    differences: Mapping[str, float]
    notes: tuple[str, ...]


def read_checkpoint(
    path: str | Path,
    *,
    config: str | Path | None = None,
    vocab: str | Path | None = None,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
    default_config: AlbertConfig | None = None,
) -> Checkpoint:
    """Read a checkpoint of any format, with the vocabulary and the task beside it.

    Vocabulary and task may be missing. The tensors are not compared with the architecture;
    `build_model` does that. Groups that no layer uses are left out.

    Args:
        path: Anything local that `detect` knows and that holds a finished model: not `training` or
            `artifact`.
        config: An albert_config.json, local, gs:// or s3://, for a TensorFlow 1 checkpoint, where
            it takes the place of the one beside it, or for a TF-Hub module that has none.
        vocab: File or folder of the vocabulary, local, gs:// or s3://, if it is not the one in the
            checkpoint's folder.
        lower_case: Whether the vocabulary is for lower-cased text, if not as its settings say.
        strip_accents: Whether it is for text without accents, if not as its settings say.
        default_config: Architecture of a TensorFlow 1 checkpoint or TF-Hub module without such a
            file; not read for other formats.

    Raises:
        InputError: There is no finished model at the path, or a file cannot be used; the vocabulary
            has another size than the model's; `config` is given for another format, or for a module
            with an architecture of its own; or `lower_case` or `strip_accents` is given and there
            is no vocabulary.
        ServiceError: The storage of a `config` or `vocab` in the cloud failed.
    """
    config = local_file(config) if config is not None else None
    find_vocabulary = functools.partial(
        find_tokenizer, vocab=vocab, lower_case=lower_case, strip_accents=strip_accents
    )
    kind = detect(path)
    if kind in ("tf1", "hub") and not (kind == "hub" and _has_config(path)):
        read = read_release if kind == "tf1" else read_hub_module
        checkpoint = read(
            path, config=config, find_vocabulary=find_vocabulary, default_config=default_config
        )
    elif config is not None:
        raise InputError(f"albert_config: got {config}, expected none, since {path} has its own")
    elif kind in _READERS:
        checkpoint = _READERS[kind](path, find_vocabulary=find_vocabulary)
    else:
        raise InputError(
            f"{path}: holds no finished model; expected one, such as the output of `albert "
            "pretrain` or `albert finetune`"
        )
    if checkpoint.tokenizer:
        check_size(checkpoint.tokenizer, checkpoint.config, source=str(vocab or path))
    return checkpoint.without_unused_groups()


def _has_config(module: str | Path) -> bool:
    """Return whether a TF-Hub module has an architecture among its assets, as ours have."""
    return (Path(module) / HUB_ASSETS / CONFIG_NAME).is_file()


def convert(
    source: str | Path,
    destination: str | Path,
    *,
    to: CheckpointFormat,
    vocab: str | Path | None = None,
    config: str | Path | None = None,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
) -> Conversion:
    """Convert a checkpoint, vocabulary and task included, and prove that it is the same model.

    As in `write_proven`, the outputs on a random batch may differ by at most 1e-6. Labels and
    settings of fine-tuning go along.

    Args:
        source: A checkpoint of any format, local, gs:// or s3://.
        destination: Local folder to make, or an empty one; it is filled only when everything is
            done. One that holds this very conversion, file by file, is left as it is.
        to: `tf1` for the original's scripts, `huggingface` for transformers, `keras` for this
            program.
        vocab: File or folder of the vocabulary, if it is not the one in the source's folder.
        config: A local albert_config.json, for a TensorFlow 1 checkpoint or a TF-Hub module that
            has none; refused for other formats.
        lower_case: Whether the vocabulary is for lower-cased text, if not as its settings say.
        strip_accents: Whether it is for text without accents, if not as its settings say.

    Raises:
        InputError: The source cannot be read or expressed so, or the destination holds something
            else.
        StepFailedError: What was written is not the same model; nothing is left of it.
        ServiceError: The storage of a source or `vocab` in the cloud failed.
    """
    if to not in _WRITERS:
        raise InputError(f"to: got {to!r}, expected one of {', '.join(_WRITERS)}")
    destination = local_path(destination, "destination")
    config = local_path(config, "config") if config is not None else None
    refuse_occupied(destination, to=to)
    folder = input_folder(source)
    checkpoint = read_checkpoint(
        folder, config=config, vocab=vocab, lower_case=lower_case, strip_accents=strip_accents
    )
    differences, notes = write_proven(checkpoint, destination, to=to)
    return Conversion(
        source=str(source),
        kind=detect(folder),
        destination=str(destination),
        format=to,
        heads=tuple(sorted(checkpoint.heads)),
        differences=differences,
        notes=(*checkpoint.notes, *notes),
    )


def write_proven(
    checkpoint: Checkpoint, destination: Path, *, to: CheckpointFormat
) -> tuple[Mapping[str, float], tuple[str, ...]]:
    """Write a checkpoint, vocabulary and task included, read it back and compare the outputs.

    The outputs are those of both Keras models on one random batch. Files are written to a hidden
    folder beside `destination`, or in it where it cannot be renamed, which is removed on failure
    and published at the end.

    Args:
        checkpoint: The model.
        destination: Folder to make, an empty one, or one with this very conversion.
        to: The format.

    Returns:
        The largest absolute difference of each output, and notes for the user.

    Raises:
        InputError: The model cannot be expressed so, its weights do not fit its architecture, or
            `destination` holds something else.
        StepFailedError: An output changed by more than 1e-6; `destination` is as it was.
    """
    before = compute_outputs(checkpoint)
    folder = resolve_link(destination, "destination")
    is_replaced = is_replaceable(folder)
    staging = partial_path(folder) if is_replaced else filling_path(folder)
    with staging_folder(staging) as partial:
        notes = _write(checkpoint, partial, to)
        differences = compare_outputs(before, compute_outputs(read_checkpoint(partial)))
        _refuse_change(differences, destination)
        _publish(partial, folder, to=to, is_replaced=is_replaced)
    end_filling(folder)
    return differences, notes


def _publish(partial: Path, folder: Path, *, to: CheckpointFormat, is_replaced: bool) -> None:
    """Move a finished conversion to its folder, unless that holds the same files already.

    Args:
        partial: The finished conversion.
        folder: Its folder, existing or not.
        to: The format.
        is_replaced: Whether a rename may put `partial` in the place of `folder`.

    Raises:
        InputError: It holds other files.
    """
    # Without it nobody takes the folder for a checkpoint.
    last = HUGGINGFACE_CONFIG_NAME if to == "huggingface" else CONFIG_NAME
    if folder.is_dir() and find_foreign_file(folder, is_replaced=is_replaced):
        # That of the same command, killed after it had published.
        files = describe_files(folder).items()
        public = {n: file for n, file in files if not is_private(n, is_replaced=is_replaced)}
        if public != describe_files(partial):
            raise _occupied_error(folder)
    elif is_replaced:
        flush_to_disk(partial)
        replace_or_fill(partial, folder, last=last)
    else:
        fill_folder(partial, folder, last=last)


def _write(checkpoint: Checkpoint, folder: Path, to: CheckpointFormat) -> tuple[str, ...]:
    """Write weights, vocabulary and side files into a new folder.

    Returns:
        Notes for the user: what was added or left out, that there is no vocabulary.

    Raises:
        InputError: The format cannot express the model.
    """
    notes = _WRITERS[to](checkpoint, folder)
    write_side_files(checkpoint, folder, with_head=to != "huggingface")  # config.json says it there
    if not checkpoint.tokenizer:
        notes = (*notes, f"no vocabulary beside {checkpoint.source}, so none was written")
    return notes


def refuse_occupied(destination: Path, *, to: CheckpointFormat) -> None:
    """Refuse a destination that is a file, cannot be written, or is a folder with anything in it.

    A folder with a checkpoint of the format passes: it may be this conversion, of a process that
    was killed as it ended. `write_proven` compares the files. So does a folder with nothing but
    what an interrupted conversion left there.

    Raises:
        InputError: The destination is one of these.
    """
    with folder_errors(destination, "destination"):
        folder = resolve_link(destination, "destination")
        if folder.exists() and not folder.is_dir():
            raise _occupied_error(destination)
        is_foreign = folder.is_dir() and find_foreign_file(
            folder, is_replaced=is_replaceable(folder)
        )
        if is_foreign and not _is_checkpoint(folder, to):
            raise _occupied_error(destination)
        refuse_unwritable(folder, "destination")


def _occupied_error(destination: Path) -> InputError:
    return InputError(f"destination {destination}: exists; choose a new or empty folder")


def _is_checkpoint(folder: Path, kind: CheckpointFormat) -> bool:
    try:
        return detect(folder) == kind
    except InputError:
        return False


def _refuse_change(differences: Mapping[str, float], destination: Path) -> None:
    """Refuse outputs that changed by more than 1e-6, or became NaN.

    Raises:
        StepFailedError: There are such outputs; all are named.
    """
    # Negated, so that NaN counts as a change.
    changed = {name: v for name, v in differences.items() if not v <= LARGEST_DIFFERENCE}
    if changed:
        text = ", ".join(f"{name} by {value:.3g}" for name, value in changed.items())
        raise StepFailedError(f"convert to {destination}: outputs changed ({text}); not written")
