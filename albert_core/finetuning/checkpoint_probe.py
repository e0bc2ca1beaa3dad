"""The frozen probe of a checkpoint on a task's files. Importing this does not import Keras."""

from pathlib import Path

from albert_core.checkpoints import Checkpoint
from albert_core.checkpoints.vocabulary import require_tokenizer
from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.finetuning.frozen_probe import can_probe, probe_frozen_encoder
from albert_core.finetuning.probe_results import (
    DEFAULT_NUM_EXAMPLES,
    DEFAULT_SEED,
    LEAST_NUM_EXAMPLES,
    FrozenProbe,
)
from albert_core.progress import ReportProgress, quiet
from albert_core.tasks import Example, InvalidRows, Task, read_examples
from albert_core.tasks.source import Split


def probe_checkpoint(
    checkpoint: Checkpoint,
    *,
    task: Task,
    data: Path,
    num_examples: int = DEFAULT_NUM_EXAMPLES,
    sequence_length: int | None = None,
    trained_length: int | None = None,
    seed: int = DEFAULT_SEED,
    progress: ReportProgress = quiet,
) -> FrozenProbe:
    """Score ridge regressions on the frozen outputs of a checkpoint's layers, and random weights'.

    See `probe_frozen_encoder`.

    Args:
        checkpoint: The model, with its vocabulary; heads are not read.
        task: The task.
        data: Folder of its files; the training and the dev files are read. Training rows that
            cannot be used are left out if the task says so, else refused.
        num_examples: As for `probe_frozen_encoder`.
        sequence_length: Longest text in tokens; None: that of fine-tuning by default (128), or what
            the model reads or was trained on, where that is less.
        trained_length: Longest sequences that the model was pretrained on; None if not known.
        seed: As for `probe_frozen_encoder`.
        progress: Called with messages about the work.

    Raises:
        InputError: The checkpoint has no vocabulary, the task's files cannot be used or have too
            few examples, it asks for answers in texts or for tags, `sequence_length` is below 8 or
            more than the model reads, or the model's outputs are not finite numbers.
    """
    longest = checkpoint.config.max_position_embeddings
    length = sequence_length or min(
        FinetuningConfig.sequence_length, longest, trained_length or longest
    )
    if not 8 <= length <= longest:
        raise InputError(
            f"sequence_length: got {length}, expected 8 to the model's max_position_embeddings="
            f"{longest}"
        )
    if task.kind in ("question_answering", "token_classification"):
        asks = "answers in texts" if task.kind == "question_answering" else "tags of words"
        raise InputError(
            f"probe: got {task.name}, which asks for {asks}, expected a task of classes, "
            "labels, scores or choices"
        )
    tokenizer = require_tokenizer(checkpoint)
    train, dev = _read(task, data, "train"), _read(task, data, "dev")
    if not can_probe(task, len(train)) or not dev:
        raise InputError(
            f"task {task.name}: got {len(train)} training and {len(dev)} dev examples, expected at "
            f"least {LEAST_NUM_EXAMPLES} and 1"
        )
    return probe_frozen_encoder(
        task=task,
        config=checkpoint.config,
        weights=checkpoint.with_pooler().weights,
        tokenizer=tokenizer,
        train=train,
        dev=dev,
        sequence_length=length,
        num_examples=num_examples,
        seed=seed,
        source=checkpoint.source,
        progress=progress,
    )


def _read(task: Task, data: Path, split: Split) -> list[Example]:
    """Return the examples of a split; the task decides about unusable rows of training files.

    Raises:
        InputError: A file is missing or cannot be used.
    """
    invalid_rows = InvalidRows.for_split(task, split, leaves_out=task.bad_rows == "leave_out")
    return read_examples(task, data, split, invalid_rows=invalid_rows)
