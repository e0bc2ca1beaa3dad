"""Folders of Hugging Face's transformers: config.json, model.safetensors and the vocabulary."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.checkpoints.checkpoint import Checkpoint
from albert_core.checkpoints.huggingface_config import (
    ENCODER,
    QUESTION_ANSWERING,
    TOKEN_CLASSIFICATION,
    classifies_tokens,
    config_from_huggingface,
    config_to_huggingface,
    scores_choices,
)
from albert_core.checkpoints.huggingface_labels import labels_from_huggingface
from albert_core.checkpoints.huggingface_weights import (
    weights_from_huggingface,
    weights_to_huggingface,
)
from albert_core.checkpoints.names import HEADS, POOLER
from albert_core.checkpoints.side_files import TASK_NAME, read_side_files
from albert_core.checkpoints.vocabulary import (
    FindTokenizer,
    find_tokenizer,
    write_huggingface_vocabulary,
)
from albert_core.config import WEIGHTS_NAME
from albert_core.errors import InputError
from albert_core.files.atomic import write_atomically, write_json
from albert_core.settings.json_values import read_json_object

HUGGINGFACE_CONFIG_NAME = "config.json"
# Other forms of weights, which are not read: pickled, and split into several files.
OTHER_WEIGHTS_NAMES = ("pytorch_model.bin", "model.safetensors.index.json")
# Scope of the variables that transformers' class of a name does without.
_LEFT_OUT = {
    QUESTION_ANSWERING: POOLER,
    TOKEN_CLASSIFICATION: POOLER,
    ENCODER: HEADS["sentence_order"][0],
}


def read_huggingface(
    folder: str | Path, *, find_vocabulary: FindTokenizer = find_tokenizer
) -> Checkpoint:
    """Read a folder that transformers, or `save_huggingface`, wrote.

    The vocabulary, and the files that tell task, settings and head (`read_side_files`), may be
    missing; a missing parameter is not noticed. Weights of another type become float32.
    `classifier_dropout_prob` is a setting of training, not of the architecture, and is ignored.
    Names and kind of a classifier's outputs are those of a task.json beside it, else those of
    `id2label` and `problem_type`, which are not read of a model for multiple choice.

    Args:
        folder: The folder.
        find_vocabulary: Returns the vocabulary for the folder, or None; by default the one there.

    Raises:
        InputError: There is no config.json or model.safetensors, or a file is damaged; the model is
            no ALBERT, or one that differs from the original's; a parameter is unknown (all are
            listed); or `id2label` does not name the classifier's outputs, or names those of the
            task otherwise.
    """
    from albert_core.model.weights import read_weights

    folder = Path(folder)
    config_path, path = folder / HUGGINGFACE_CONFIG_NAME, weights_path(folder)
    values = read_json_object(config_path)
    config, notes = config_from_huggingface(values, source=str(config_path))
    checkpoint = Checkpoint(
        config=config,
        weights=weights_from_huggingface(
            config,
            read_weights(path),
            source=str(path),
            is_token_classifier=classifies_tokens(values),
        ),
        source=str(folder),
        tokenizer=find_vocabulary(folder),
        **read_side_files(folder),
        notes=notes,
    )
    if scores_choices(values):
        return dataclasses.replace(checkpoint, is_multiple_choice=True)
    return _with_labels(checkpoint, values, str(config_path))


def _with_labels(checkpoint: Checkpoint, values: Mapping[str, Any], source: str) -> Checkpoint:
    """Return a checkpoint with the names and the kind of its classifier's outputs, if it has one.

    Args:
        checkpoint: The checkpoint, with its task.
        values: The contents of its config.json.
        source: Path of that file, for messages.

    Raises:
        InputError: The names do not fit the classifier, or are not those of its task.
    """
    if not checkpoint.num_labels:
        return checkpoint
    labels = labels_from_huggingface(values, num_labels=checkpoint.num_labels, source=source)
    declared = tuple((checkpoint.task or {}).get("labels") or ())
    if labels.names and declared and labels.names != declared:
        raise InputError(
            f"{source}: id2label names {', '.join(labels.names)}, and {TASK_NAME} beside it "
            f"{', '.join(declared)}, expected the same names in the same order; correct the one "
            f"that is wrong, or remove {TASK_NAME}"
        )
    return dataclasses.replace(
        checkpoint,
        labels=labels.names,
        problem_type=labels.problem_type,
        notes=(*checkpoint.notes, *labels.notes),
    )


def save_huggingface(checkpoint: Checkpoint, folder: str | Path) -> tuple[str, ...]:
    """Write a folder that transformers' `from_pretrained` reads; the task is not written.

    Makes the folder if it is missing; files there are replaced. The pooler is left out where
    transformers' model has none (`AlbertForQuestionAnswering`, `AlbertForTokenClassification`), and
    the head of sentence order where it is the only one, for which transformers has no model.

    Returns:
        Notes for the user about what had to be left out.

    Raises:
        InputError: transformers has no model with these heads; its groups are in other layers; the
            classifier reads something else than the pooler, or has another number of outputs than
            labels; or a variable is unknown. Nothing is written then.
    """
    # Not above: `albert --help` works where no model can be read.
    import safetensors.numpy

    folder = Path(folder)
    values = config_to_huggingface(checkpoint)
    (architecture,) = values["architectures"]
    scope = _LEFT_OUT.get(architecture, "")
    left_out = {name for name in checkpoint.weights if scope and name.startswith(scope)}
    weights = {name: a for name, a in checkpoint.weights.items() if name not in left_out}
    arrays = weights_to_huggingface(checkpoint.config, weights, source=checkpoint.source)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / WEIGHTS_NAME, safetensors.numpy.save(arrays, {"format": "pt"}))
    write_json(folder / HUGGINGFACE_CONFIG_NAME, values)
    if checkpoint.tokenizer:
        write_huggingface_vocabulary(checkpoint.tokenizer, checkpoint.config, folder)
    return (f"left out {scope}*, which {architecture} does without",) if left_out else ()


def weights_path(folder: Path) -> Path:
    """Return the path of a folder's model.safetensors, which may be missing.

    Raises:
        InputError: The folder has no model.safetensors, but a pytorch_model.bin or weights split
            into several files.
    """
    path = folder / WEIGHTS_NAME
    other = [name for name in OTHER_WEIGHTS_NAMES if (folder / name).is_file()]
    if not path.is_file() and other:
        raise InputError(
            f"weights {folder}: got {other[0]}, expected {WEIGHTS_NAME}; load the model in "
            "transformers and write it with model.save_pretrained(folder, max_shard_size='50GB')"
        )
    return path
