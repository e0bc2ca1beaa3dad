"""Read a checkpoint of any kind, and publish it as a model folder of this program."""

import dataclasses
from pathlib import Path

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest, Metrics
from albert_core.artifacts.step import run_step
from albert_core.checkpoints import Checkpoint, detect, read_checkpoint, save_folder
from albert_core.checkpoints.description import size_name
from albert_core.checkpoints.trained_length import TRAINED_LENGTH, find_trained_length
from albert_core.errors import InputError
from albert_core.files.atomic import write_json
from albert_core.progress import ReportProgress, quiet, report_message
from albert_core.storage import exists, is_remote
from components.checkpoint.config import CheckpointConfig

CHECKPOINT_NAME = "checkpoint.json"


def import_checkpoint(
    *,
    config: CheckpointConfig,
    output: str | Path,
    work_root: str | Path | None = None,
    progress: ReportProgress = quiet,
) -> Manifest:
    """Publish a checkpoint as a model folder of this program, with checkpoint.json about it.

    Weights and vocabulary stay as they are, except that a pooler of zeros is added to a model that
    has none; a head of a task is kept, its task.json is not. If `output` already holds this work,
    nothing is run.

    Args:
        config: The checkpoint, and files of it that lie elsewhere.
        output: Folder to make, local, gs:// or s3://.
        work_root: Folder of the work folders; beside `output` when not given.
        progress: Called with messages about the work.

    Returns:
        The manifest; its metrics are `kind`, `size` (as in `size_name`, empty for none of the
        released sizes), `num_parameters`, `vocab_size`, `lower_case`, `strip_accents`, `heads`
        (names in one text, with commas) and, where it is known, the longest length trained on.

    Raises:
        InputError: There is no finished model, a file of it is missing or unusable, it has no
            vocabulary, or `output` holds something else.
        StepFailedError: Another process has taken over this work.
        ServiceError: The storage failed.
    """
    report_message(progress, "reading")
    path = fetch_checkpoint(config.path)
    checkpoint = read_configured(config, path)

    def write_model(results: Path, _: Path) -> Metrics:
        """Write the model folder and checkpoint.json; return the latter's facts as metrics."""
        notes = (*checkpoint.notes, *save_folder(checkpoint, results))
        facts = _describe(checkpoint, config.path, path)
        write_json(results / CHECKPOINT_NAME, {**facts, "notes": list(notes)})
        return {name: value for name, value in facts.items() if name != "source"}

    return run_step(
        "checkpoint",
        config=dataclasses.asdict(config),
        inputs={"checkpoint": checkpoint.content_hash()},
        output=output,
        work_root=work_root,
        body=write_model,
    )


def read_configured(config: CheckpointConfig, path: Path) -> Checkpoint:
    """Read the checkpoint that settings name.

    Args:
        config: The settings.
        path: Its local path, as `fetch_checkpoint` returns it.

    Raises:
        InputError: There is no finished model, a file of it is missing or unusable, or it has no
            vocabulary.
        ServiceError: The storage failed.
    """
    checkpoint = read_checkpoint(
        path,
        config=config.albert_config or None,
        vocab=config.vocab or None,
        lower_case=config.lower_case,
        strip_accents=config.strip_accents,
    )
    if checkpoint.tokenizer is None:
        raise InputError(
            f"checkpoint {config.path}: has no vocabulary beside it; name the one it was trained "
            "with as --vocab (checkpoint.vocab)"
        )
    return checkpoint


def fetch_checkpoint(address: str) -> Path:
    """Return the local path of a checkpoint, fetched if it is in the cloud, and check its files.

    The output of a step is read whole for that, if it has less than 4 GiB: call it once. A local
    path need not exist, and one without a manifest is returned unchecked. For the prefix of a
    TensorFlow 1 checkpoint in the cloud, its whole folder is downloaded. The prefix may be given
    with `.index` at its end, which the path returned does not have.

    Raises:
        InputError: There is nothing in the cloud, or the output of a step is damaged or its
            manifest cannot be read.
        ServiceError: The storage failed.
    """
    address = address.removesuffix(".index")
    if is_remote(address) and exists(f"{address}.index"):
        folder, _, name = address.rpartition("/")
        return input_folder(folder) / name
    return input_folder(address)


def _describe(checkpoint: Checkpoint, source: str, path: Path) -> Metrics:
    """Return source, kind, size, numbers of parameters and tokens, casing and heads, by name.

    Also the longest length trained on, where it is known.

    Args:
        checkpoint: The checkpoint; it must have a vocabulary.
        source: Its address, as it was given.
        path: Its local path.
    """
    tokenizer = checkpoint.tokenizer
    assert tokenizer is not None
    trained_length = find_trained_length(path)
    return {
        "source": source,
        "kind": detect(path),
        "size": size_name(checkpoint.config),
        "num_parameters": sum(array.size for array in checkpoint.weights.values()),
        "vocab_size": len(tokenizer),
        "lower_case": tokenizer.lower_case,
        "strip_accents": tokenizer.strip_accents,
        "heads": ", ".join(sorted(checkpoint.heads)),
        **({TRAINED_LENGTH: trained_length} if trained_length else {}),
    }
