"""TensorFlow SavedModels in the layout of the original's TF-Hub modules, with further signatures.

Signatures, all with dynamic batch and length, int32 in and float32 out:

- `tokens`: `input_ids`, `input_mask`, `segment_ids` [B, S] to `sequence_output` and
  `pooled_output`; `sop` and `mlm`, of models with these heads, also to `sop_log_probs` [B, 2], and
  with `mlm_positions` [B, P] to `mlm_logits` [B * P, V]; `tokenization_info`: `vocab_file` and
  `do_lower_case`. So has the original (export_to_tfhub.py).
- `ids`: `ModelInputs` to `ModelOutputs`, of every model.
- `serving_default`, of models fine-tuned on texts or questions with their vocabulary: takes strings
  (`RawSignatures`) and tokenizes them inside the graph. `tensorflow_text`, which imports Keras,
  must be imported before such a model is loaded; the other signatures need neither Keras nor this
  program.

Each variable is stored once, under the original's name, so that `albert_core.checkpoints` reads the
folder as a checkpoint without executing anything in it.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from albert_core.checkpoints.checkpoint import Checkpoint, build_model
from albert_core.checkpoints.kinds import HUB_ASSETS
from albert_core.checkpoints.names import NAMED_VARIABLES, PRETRAINING_HEADS
from albert_core.checkpoints.side_files import write_side_files
from albert_core.checkpoints.vocabulary import (
    write_original_vocabulary,
)
from albert_core.config import CONFIG_NAME
from albert_core.errors import InputError
from albert_core.exports.raw_signatures import RawSignatures, concrete_function
from albert_core.model.heads import ENCODER_INPUTS
from albert_core.model_function import ModelFunction, ModelInputs, ModelOutputs, outputs_by_name

IDS_SIGNATURE, _TOKENS_SIGNATURE = "ids", "tokens"
_IDS_BS = tf.TensorSpec([None, None], tf.int32)
_IDS_BCS = tf.TensorSpec([None, None, None], tf.int32)


def write_saved_model(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a SavedModel into an existing, empty folder.

    Its assets are the configuration, and as far as known the vocabulary, the task and the settings
    of fine-tuning. It computes under Keras's current dtype policy.

    Raises:
        InputError: Keras does not run on TensorFlow, the weights or settings do not fit the model,
            or a fine-tuned model's vocabulary has no operation in a graph.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"saved_model: got Keras on {keras.backend.backend()}, expected it on TensorFlow; set "
            "KERAS_BACKEND=tensorflow"
        )
    with tempfile.TemporaryDirectory() as assets:
        _write_assets(checkpoint, Path(assets))
        module, functions = _make_module(checkpoint, Path(assets))
        tf.saved_model.save(module, str(folder), signatures=functions)
        # TensorFlow copies only files that the graph names, here the vocabulary.
        for path in Path(assets).iterdir():
            (folder / HUB_ASSETS / path.name).write_bytes(path.read_bytes())


def open_saved_model(folder: Path) -> ModelFunction:
    """Return the model of a folder that `write_saved_model` wrote, run by TensorFlow alone.

    Its inputs are exactly `Checkpoint.input_names`. TensorFlow's errors in running it pass.

    Raises:
        InputError: A file is missing or cut off, or weights are altered.
    """
    return _open_signature(folder, IDS_SIGNATURE)


def open_saved_model_encoder(folder: Path) -> ModelFunction:
    """Return the encoder of the model of a folder that `write_saved_model` wrote.

    It is run by TensorFlow alone. Its inputs are exactly `input_ids`, `input_mask` and
    `segment_ids` [B, S], its outputs `sequence_output` and `pooled_output`. TensorFlow's errors in
    running it pass.

    Raises:
        InputError: A file is missing or cut off, or weights are altered.
    """
    return _open_signature(folder, _TOKENS_SIGNATURE)


def _open_signature(folder: Path, signature: str) -> ModelFunction:
    """Load a SavedModel and return a signature of it as a function of arrays.

    It takes exactly the signature's inputs, which become int32, and returns arrays by name.

    Raises:
        InputError: TensorFlow cannot load it.
    """
    import tensorflow_text  # type: ignore[import-untyped]  # noqa: F401  (operations that the graph may hold)

    try:
        loaded = tf.saved_model.load(str(folder))
    except (tf.errors.OpError, OSError, LookupError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{folder}: TensorFlow cannot load it ({reason}); copy or export it again"
        ) from error

    def run(inputs: ModelInputs) -> ModelOutputs:
        tensors = {name: tf.constant(array, tf.int32) for name, array in inputs.items()}
        # By way of `loaded`, which keeps the variables alive: a signature alone does not.
        outputs = loaded.signatures[signature](**tensors)
        return {name: np.asarray(value) for name, value in outputs.items()}

    return run


def _make_module(checkpoint: Checkpoint, assets: Path) -> tuple[Any, dict[str, Any]]:
    """Return the module to save, with variables and assets, and its signatures by name.

    Args:
        checkpoint: The model.
        assets: Folder in which `_write_assets` has written the checkpoint's files.
    """
    from albert_core.model import weights_by_name

    model = build_model(checkpoint)
    variables = {name: weight.value for name, weight in weights_by_name(model).items()}
    module = tf.Module()
    setattr(module, NAMED_VARIABLES, {name: variables.pop(name) for name in checkpoint.weights})
    # Zeros for heads that the checkpoint lacks. TensorFlow saves a graph only if the module reaches
    # all its variables; under another attribute these are not read back as weights.
    module.stand_ins = variables
    if checkpoint.tokenizer:
        file = assets / checkpoint.tokenizer.original_file_name
        module.vocabulary = tf.saved_model.Asset(str(file))
    signatures = _Signatures(checkpoint, model, getattr(module, "vocabulary", None))
    if signatures.raw:
        module.resources = signatures.raw.tokenizer.resources
    return module, signatures.functions()


class _Signatures:
    """Makes the signatures of a model.

    Args:
        checkpoint: The model.
        model: Its Keras model.
        vocabulary: The `tf.saved_model.Asset` of its vocabulary; None without one.

    Attributes:
        raw: The signature on strings; None without a vocabulary or without the head of a task, and
            of a classifier of tokens.
    """

    def __init__(self, checkpoint: Checkpoint, model: keras.Model, vocabulary: Any) -> None:
        """Trace the functions `ids` and `tokens`, and make the signature on strings if any."""
        self._checkpoint, self._model, self._vocabulary = checkpoint, model, vocabulary
        spec = _IDS_BCS if checkpoint.has_sequence_groups else _IDS_BS
        # The other signatures call these two, so that the file holds the graph of the model twice
        # and not once for each signature.
        self._ids = concrete_function(self._run, **dict.fromkeys(checkpoint.input_names, spec))
        self._tokens = _on_ids(self._encode)
        self.raw: RawSignatures | None = None
        # A classifier of tokens reads words, and how a text is split into these is not in a graph.
        without_text = PRETRAINING_HEADS | {"token_classifier"}
        if checkpoint.tokenizer and not checkpoint.heads <= without_text:
            self.raw = RawSignatures(checkpoint, checkpoint.tokenizer, self._ids)

    def functions(self) -> dict[str, Any]:
        """Return the concrete functions by name, as far as heads and vocabulary allow.

        `tokens` and `ids` always; `sop` and `mlm` with these heads; `tokenization_info` with a
        vocabulary; `serving_default` if there is a signature on strings.
        """
        heads = self._checkpoint.heads
        functions = {_TOKENS_SIGNATURE: self._tokens, IDS_SIGNATURE: self._ids}
        if "sentence_order" in heads:
            functions["sop"] = _on_ids(self._order)
        if "masked_lm" in heads:
            functions["mlm"] = _on_ids(self._predict, mlm_positions=_IDS_BS)
        if self._vocabulary:
            functions["tokenization_info"] = concrete_function(self._tokenization)
        if self.raw:
            functions["serving_default"] = self.raw.function()
        return functions

    def _run(self, **inputs: Any) -> dict[str, Any]:
        """Return all outputs of the model by name (`ids`)."""
        return outputs_by_name(self._model, inputs)

    def _encode(self, **inputs: Any) -> dict[str, Any]:
        """Return the signature `tokens`: the encoder's `sequence_output` and `pooled_output`."""
        return dict(self._model.bert(**inputs, training=False))

    def _order(self, **inputs: Any) -> dict[str, Any]:
        """Return the signature `sop`: the encoder's outputs, and `sop_log_probs` [B, 2].

        The latter are the log probabilities of sentence order.
        """
        outputs = self._tokens(**inputs)
        logits_B2 = self._model.sentence_order(outputs["pooled_output"])
        return {**outputs, "sop_log_probs": tf.nn.log_softmax(logits_B2)}

    def _predict(self, mlm_positions: Any, **inputs: Any) -> dict[str, Any]:
        """Return the signature `mlm`: the encoder's outputs, and `mlm_logits` [B * P, V].

        The latter are the logits at the masked positions, those of one text after those of another.

        Args:
            mlm_positions: Masked positions [B, P].
            **inputs: The encoder's inputs [B, S].
        """
        outputs = self._ids(**inputs, masked_lm_positions=mlm_positions)
        logits_BPV = outputs["masked_lm_logits"]
        return {
            "sequence_output": outputs["sequence_output"],
            "pooled_output": outputs["pooled_output"],
            "mlm_logits": tf.reshape(logits_BPV, [-1, logits_BPV.shape[-1]]),
        }

    def _tokenization(self) -> dict[str, Any]:
        """Return the signature `tokenization_info`.

        It has `vocab_file`, the vocabulary's path, and `do_lower_case`, whether it is for
        lower-cased text.
        """
        tokenizer = self._checkpoint.tokenizer
        return {
            "vocab_file": self._vocabulary.asset_path,
            "do_lower_case": tf.constant(bool(tokenizer and tokenizer.lower_case)),
        }


def _on_ids(method: Callable[..., dict[str, Any]], **specs: Any) -> Any:
    """Return a method as a concrete function of the encoder's inputs [B, S] and of others."""
    return concrete_function(method, **dict.fromkeys(ENCODER_INPUTS, _IDS_BS), **specs)


def _write_assets(checkpoint: Checkpoint, folder: Path) -> None:
    """Write configuration, vocabulary (if there is one), task and settings into an existing folder.

    The vocabulary is written under the name that the original's scripts look for; no weights are
    written.
    """
    checkpoint.config.to_json_file(folder / CONFIG_NAME)
    if checkpoint.tokenizer:
        write_original_vocabulary(checkpoint.tokenizer, folder)
    write_side_files(checkpoint, folder)
