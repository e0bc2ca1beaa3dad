"""A model in memory, whatever the format it was read from; and the Keras model made of it."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from albert_core.checkpoints.names import (
    CLASSIFIER_OUTPUTS,
    HEADS,
    POOLER,
    find_heads,
    find_pooling,
    unused_variables,
)
from albert_core.checkpoints.side_files import ProblemType
from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.files.atomic import hash_json
from albert_core.model_function import ModelFunction, eager_function
from albert_core.pooling import POOLINGS, HeadPooling
from albert_core.tokenization import Tokenizer

if TYPE_CHECKING:
    import keras

# These heads read single positions, so a model with no other head does not use its pooler, and
# transformers leaves it out.
_HEADS_WITHOUT_POOLER = frozenset({"masked_lm", "span", "span_beam", "token_classifier"})


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
        labels: Names of the classifier's outputs, in order; empty if they have no names. If there
            is a task, its labels are used instead.
        problem_type: What the classifier's outputs are; None where no file says.
        is_multiple_choice: Whether the classifier's one output scores a choice, not a text.
        null_threshold: Null odds from which on a question has no answer, if a dev set gave them.
        notes: Sentences for the user about what was changed or left out on reading.
    """

    config: AlbertConfig
    weights: Mapping[str, np.ndarray]
    source: str
    tokenizer: Tokenizer | None = None
    task: Mapping[str, Any] | None = None
    finetuning: Mapping[str, Any] | None = None
    labels: tuple[str, ...] = ()
    problem_type: ProblemType | None = None
    is_multiple_choice: bool = False
    null_threshold: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def heads(self) -> frozenset[str]:
        """The heads that have a variable here, by their names in `names.HEADS`."""
        return find_heads(self.weights)

    @property
    def num_labels(self) -> int:
        """Number of the outputs of a classifier, of texts or tokens; 0 without one."""
        rows = [array for name, array in self.weights.items() if name in CLASSIFIER_OUTPUTS]
        return len(rows[0]) if rows else 0

    @property
    def pooling(self) -> HeadPooling:
        """What a classifier of texts reads of the encoder's outputs; `pooler` without one."""
        return find_pooling(self.weights)

    @property
    def has_sequence_groups(self) -> bool:
        """Whether an example is several sequences, choices or two texts: its inputs are [B, C, S].

        If not, its inputs are [B, S].
        """
        return self.is_multiple_choice or POOLINGS[self.pooling].encodes_apart

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the classifier's outputs: the task's labels, else `labels`; may be empty."""
        return tuple((self.task or {}).get("labels") or ()) or self.labels

    @property
    def is_multi_label(self) -> bool:
        """Whether each output of the classifier is a label that applies or not, by itself.

        The kind of the task decides; without a task, `problem_type`.
        """
        if self.task:
            return self.task.get("kind") == "multi_label"
        return self.problem_type == "multi_label_classification"

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of its model's inputs (`ModelInputs`), in the same order in every format.

        `input_ids`, `input_mask`, `segment_ids`; then `p_mask` with the head of SQuAD 2.0
        (`span_beam`), or `masked_lm_positions` where there is no head of a task, or no head at all.
        """
        head_inputs: tuple[str, ...] = ()
        if "span_beam" in self.heads:
            head_inputs = ("p_mask",)
        elif not self.heads & {"classifier", "span", "token_classifier"}:
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
        """Return a sha256, in hex, of architecture, weights and vocabulary; the same in any format.

        Nothing else counts, such as task, labels and settings of fine-tuning. A pooler of zeros
        that a format needed, or a pooler that it left out, changes the hash.
        """
        weights = {
            name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            for name, array in self.weights.items()
        }
        vocabulary = self.tokenizer.content_hash() if self.tokenizer else None
        return hash_json(
            {"config": self.config.to_dict(), "weights": weights, "vocabulary": vocabulary}
        )

    def declarations(self) -> dict[str, Any]:
        """Return what its files say that it is for, which `content_hash` leaves out: JSON values.

        They are the task, the settings of its fine-tuning, and what is known of its outputs. What
        no file says is not among them.
        """
        values = {
            "task": self.task,
            "finetuning": self.finetuning,
            "labels": list(self.labels),
            "problem_type": self.problem_type,
            "is_multiple_choice": self.is_multiple_choice,
        }
        said: dict[str, Any] = {name: value for name, value in values.items() if value}
        if self.null_threshold is not None:
            said["null_threshold"] = self.null_threshold
        return said

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


def refuse_other_pooling(checkpoint: Checkpoint, target: str) -> None:
    """Refuse a checkpoint with a classifier that the original lacks, for a format of the original.

    Args:
        checkpoint: The model.
        target: Name of the format, for the message.

    Raises:
        InputError: Its classifier reads something else than the pooler.
    """
    spec = POOLINGS[checkpoint.pooling]
    if not spec.is_in_original:
        raise InputError(
            f"weights {checkpoint.source}: got a head that reads {spec.title} (pooling "
            f"{checkpoint.pooling}), expected pooler, since {target} has no other; fine-tune with "
            "--finetuning.pooling pooler, or write keras, saved_model, keras_archive, onnx or "
            "litert instead"
        )


def refuse_token_classifier(checkpoint: Checkpoint, target: str) -> None:
    """Refuse a checkpoint with a token classifier, for a format that has only the original's heads.

    Args:
        checkpoint: The model.
        target: Name of the format, for the message.

    Raises:
        InputError: The checkpoint has a token classifier.
    """
    if "token_classifier" in checkpoint.heads:
        raise InputError(
            f"weights {checkpoint.source}: got a head that tags words, which the original has not, "
            f"so that {target} cannot hold it; write huggingface, keras, saved_model, "
            "keras_archive, onnx or litert instead"
        )


def reference_function(checkpoint: Checkpoint) -> ModelFunction:
    """Return a checkpoint's Keras model, not compiled, as the reference for other formats.

    Raises:
        InputError: The weights do not fit the architecture.
    """
    return eager_function(build_model(checkpoint))


def _new_model(checkpoint: Checkpoint) -> "keras.Model":
    """Return a Keras model with random weights, of the class for the checkpoint's head.

    The first head of `classifier`, `token_classifier`, `span` and `span_beam` that the checkpoint
    has decides the class; without any of these it is `AlbertForPreTraining`. A classifier has the
    checkpoint's pooling and is one of multiple choice if the checkpoint is; else it has the
    checkpoint's number of labels, of which any number may apply if it `is_multi_label`.
    """
    from albert_core import model as models

    config, heads = checkpoint.config, checkpoint.heads
    if "classifier" in heads and checkpoint.is_multiple_choice:
        return models.AlbertForMultipleChoice(config, pooling=checkpoint.pooling)
    if "classifier" in heads:
        return models.AlbertForSequenceClassification(
            config,
            num_labels=checkpoint.num_labels,
            is_multi_label=checkpoint.is_multi_label,
            pooling=checkpoint.pooling,
        )
    if "token_classifier" in heads:
        return models.AlbertForTokenClassification(config, num_labels=checkpoint.num_labels)
    if "span" in heads:
        return models.AlbertForQuestionAnswering(config)
    if "span_beam" in heads:
        return models.AlbertForQuestionAnsweringWithBeam(config)
    return models.AlbertForPreTraining(config)
