"""A model in memory, whatever the format it was read from; and the Keras model made of it."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from albert_core.artifacts.manifest import find_manifest
from albert_core.checkpoints.names import HEADS, POOLER, find_heads, unused_variables
from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.files import hash_json, write_json
from albert_core.model_function import ModelFunction, eager_function
from albert_core.tokenization import Tokenizer

if TYPE_CHECKING:
    import keras

TASK_NAME = "task.json"
FINETUNING_NAME = "finetuning.json"

# These heads read single positions, so a model with no other head does not use its pooler, and
# transformers leaves it out.
_HEADS_WITHOUT_POOLER = frozenset({"masked_lm", "span", "span_beam"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A model: architecture, weights, vocabulary and task.

    Attributes:
        config: The architecture.
        weights: Arrays by the original's variable names, without the optimizer's.
        source: Path or name it was read from, for messages.
        tokenizer: The vocabulary, if it is known.
        task: The declaration of the task (task.json) the model was fine-tuned on, if there is one.
        finetuning: The settings it was fine-tuned with (`FinetuningConfig`), if they are known.
        is_multiple_choice: Whether the classifier's one output scores a choice, not a text.
        notes: Sentences for the user about what was changed or left out on reading.
    """

    config: AlbertConfig
    weights: Mapping[str, np.ndarray]
    source: str
    tokenizer: Tokenizer | None = None
    task: Mapping[str, Any] | None = None
    finetuning: Mapping[str, Any] | None = None
    is_multiple_choice: bool = False
    notes: tuple[str, ...] = ()

    @property
    def heads(self) -> frozenset[str]:
        """The heads of which a variable is there, by the names in `names.HEADS`."""
        return find_heads(self.weights)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of its model's inputs (`ModelInputs`), in the same order in every format.

        `input_ids`, `input_mask`, `segment_ids`; then `p_mask` with the head of SQuAD 2.0
        (`span_beam`), or `masked_lm_positions` where no task's head is there, not even any head.
        """
        head_inputs: tuple[str, ...] = ()
        if "span_beam" in self.heads:
            head_inputs = ("p_mask",)
        elif not self.heads & {"classifier", "span"}:
            head_inputs = ("masked_lm_positions",)
        return ("input_ids", "input_mask", "segment_ids", *head_inputs)

    @property
    def lacks_pooler(self) -> bool:
        """Whether there is no pooler, as in transformers' models that do without one.

        False without any head, or with a head that reads the pooler, even if its variables are
        missing: then `build_model` refuses the checkpoint.
        """
        has_pooler = any(name.startswith(POOLER) for name in self.weights)
        return bool(self.heads) and self.heads <= _HEADS_WITHOUT_POOLER and not has_pooler

    def content_hash(self) -> str:
        """Return a hash of architecture, weights and vocabulary; the same in every format.

        Task and settings of fine-tuning do not count. A pooler of zeros that a format needed, or
        a pooler that it left out, changes the hash.
        """
        weights = {
            name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            for name, array in self.weights.items()
        }
        vocabulary = self.tokenizer.content_hash() if self.tokenizer else None
        return hash_json(
            {"config": self.config.to_dict(), "weights": weights, "vocabulary": vocabulary}
        )

    def without_unused_groups(self) -> "Checkpoint":
        """Return this checkpoint, or a copy without the groups that no layer uses, with a note.

        transformers stores such groups; the original has no variables for them.
        """
        unused = unused_variables(self.config, self.weights)
        if not unused:
            return self
        config = self.config
        num_unused = config.num_hidden_groups - len(config.used_groups)
        note = (
            f"{self.source}: {num_unused} of num_hidden_groups {config.num_hidden_groups} are used "
            f"by none of num_hidden_layers {config.num_hidden_layers}; left out their "
            f"{len(unused)} variables"
        )
        weights = {name: array for name, array in self.weights.items() if name not in unused}
        return dataclasses.replace(self, weights=weights, notes=(*self.notes, note))

    def with_pooler(self) -> "Checkpoint":
        """Return this checkpoint; if it `lacks_pooler`, a copy with a pooler of zeros and a note.

        The original's scripts and the Keras models cannot do without one.
        """
        if not self.lacks_pooler:
            return self
        width = self.config.hidden_size
        pooler = {
            f"{POOLER}dense/kernel": np.zeros((width, width), np.float32),
            f"{POOLER}dense/bias": np.zeros(width, np.float32),
        }
        note = f"{self.source} has no pooler: a pooler of zeros stands in for it"
        return dataclasses.replace(
            self, weights={**self.weights, **pooler}, notes=(*self.notes, note)
        )


def build_model(checkpoint: Checkpoint) -> "keras.Model":
    """Return the Keras model of a checkpoint, with its weights, under Keras's current dtype policy.

    Its class follows from the heads: without one of a task it is `AlbertForPreTraining`, whose
    heads are zeros where the checkpoint has none. A missing pooler is zeros, too, if the
    checkpoint `lacks_pooler`.

    Raises:
        InputError: A variable is missing, unknown or of another shape; all are listed.
    """
    from albert_core.model import load_weights, weights_by_name

    model = _new_model(checkpoint)
    absent = tuple(
        scope
        for head in HEADS.keys() - checkpoint.heads
        for scope in HEADS[head]
        if scope[-1] == "/"
    )
    stand_ins = {
        name: np.zeros(variable.shape, np.float32)
        for name, variable in weights_by_name(model).items()
        if name.startswith(absent)
    }
    weights = {**stand_ins, **checkpoint.with_pooler().weights}
    load_weights(model, weights, source=checkpoint.source)
    return model


def reference_function(checkpoint: Checkpoint) -> ModelFunction:
    """Return a checkpoint's Keras model, not compiled, as what other formats are compared with."""
    return eager_function(build_model(checkpoint))


def _new_model(checkpoint: Checkpoint) -> "keras.Model":
    """Return a model with random weights of the class that has the checkpoint's heads.

    Of several heads the first of `classifier`, `span`, `span_beam` decides. A classifier has as
    many labels as its variables have rows.
    """
    from albert_core import model as models

    config, heads = checkpoint.config, checkpoint.heads
    if "classifier" in heads and checkpoint.is_multiple_choice:
        return models.AlbertForMultipleChoice(config)
    if "classifier" in heads:
        rows = [array for name, array in checkpoint.weights.items() if name in HEADS["classifier"]]
        return models.AlbertForSequenceClassification(config, num_labels=len(rows[0]))
    if "span" in heads:
        return models.AlbertForQuestionAnswering(config)
    if "span_beam" in heads:
        return models.AlbertForQuestionAnsweringWithBeam(config)
    return models.AlbertForPreTraining(config)


def read_task(folder: Path) -> dict[str, Any] | None:
    """Return the declaration of a task in a model's folder; None if there is none.

    Raises:
        InputError: There is one, but it is not a JSON object.
    """
    path = folder / TASK_NAME
    return read_json(path) if path.is_file() else None


def read_finetuning(folder: Path) -> dict[str, Any] | None:
    """Return the settings that a model was fine-tuned with; None if they are not known.

    They are in finetuning.json or, without that file, in the manifest of a folder that `albert
    finetune` wrote. They are not checked.

    Raises:
        InputError: There is such a file, but it cannot be read.
    """
    if (folder / FINETUNING_NAME).is_file():
        return read_json(folder / FINETUNING_NAME)
    manifest = find_manifest(folder)
    if manifest is None or manifest.step != "finetune":
        return None
    return dict(manifest.config["finetuning"])


def write_task_files(checkpoint: Checkpoint, folder: Path) -> None:
    """Write task.json and finetuning.json into an existing folder.

    Each is written only if the checkpoint knows it and it is not empty; a file there is replaced.
    """
    files = {TASK_NAME: checkpoint.task, FINETUNING_NAME: checkpoint.finetuning}
    for name, values in files.items():
        if values:
            write_json(folder / name, values)


def is_multiple_choice(task: Mapping[str, Any] | None) -> bool:
    """Return whether a task's declaration says that its model scores choices."""
    return (task or {}).get("kind") == "multiple_choice"


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        InputError: The file is missing or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: got a {type(values).__name__}, expected a JSON object")
    return values
