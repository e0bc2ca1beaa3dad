"""Initial weights of pretraining: from a checkpoint of any kind that can be read, or scaled."""

import re
import sys

from albert_core.checkpoints import read_checkpoint
from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.model.pretraining import PretrainingModel
from albert_core.model.weights import assign_by_name, weights_by_name
from albert_core.storage import local_folder
from albert_core.tokenization import Tokenizer

# Settings that determine the shapes of the weights and the function they compute. The number of
# layers is looked at apart. Dropout and the like may differ: continued pretraining changes them on
# purpose.
_ARCHITECTURE = (
    "vocab_size",
    "embedding_size",
    "hidden_size",
    "num_hidden_groups",
    "inner_group_num",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "max_position_embeddings",
    "type_vocab_size",
)

_DEPTH = "num_hidden_layers"

# Those of a block's two products whose results are added to the residual stream.
_RESIDUAL_KERNEL = re.compile(r"/(attention_1|ffn_1/intermediate)/output/dense/kernel$")


def initialize(
    model: PretrainingModel, path: str, tokenizer: Tokenizer, *, may_differ_in_depth: bool
) -> None:
    """Load the encoder of a checkpoint, and its pretraining heads if any, into a model.

    Heads that it lacks keep their initial weights; no checkpoint has the generator and the head of
    replaced-token detection. The optimizer is not restored: training begins at step 0. If anything
    is refused, no weight is changed. Another number of layers than the model's is reported on
    standard error.

    Args:
        model: Built; its weights are overwritten.
        path: Folder or address of a checkpoint of any kind that can be read. One of TensorFlow 1
            without a configuration beside it is taken to have the model's architecture, as by the
            original.
        tokenizer: The vocabulary of the records; not compared if the checkpoint has none.
        may_differ_in_depth: Whether it may have another number of layers: the weights of shared
            layers do not depend on it, but what they compute does.

    Raises:
        InputError: There is no model at the path, or its architecture or vocabulary is another.
        ServiceError: The storage of an address in the cloud failed.
    """
    # With a pooler of zeros where it has none: every variable of the encoder must be there.
    checkpoint = read_checkpoint(local_folder(path), default_config=model.config).with_pooler()
    expected, actual = model.config.to_dict(), checkpoint.config.to_dict()
    fixed = _ARCHITECTURE if may_differ_in_depth else (*_ARCHITECTURE, _DEPTH)
    if different := [name for name in fixed if expected[name] != actual[name]]:
        pairs = (f"{name} {actual[name]}, expected {expected[name]}" for name in different)
        raise InputError(
            f"pretraining.init_checkpoint {path}: has {'; '.join(pairs)}; choose model.preset and "
            "model.overrides as there"
        )
    known = checkpoint.tokenizer
    if known and known.content_hash() != tokenizer.content_hash():
        raise InputError(
            f"pretraining.init_checkpoint {path}: trained with another vocabulary than the one of "
            "these records; make the records with its own (--vocab_dir; vocab.source of a run)"
        )
    if expected[_DEPTH] != actual[_DEPTH]:
        _tell_other_depth(path, checkpoint.config, model.config)
    variables = weights_by_name(model)
    known_heads = {
        name: variable
        for name, variable in variables.items()
        if name.startswith("bert/") or name in checkpoint.weights
    }
    arrays = {name: a for name, a in checkpoint.weights.items() if name in known_heads}
    assign_by_name(known_heads, arrays, source=path)


def _tell_other_depth(path: str, checkpoint: AlbertConfig, model: AlbertConfig) -> None:
    """Print on standard error that a checkpoint has another number of layers than the model.

    Raises:
        InputError: Its layers have other weights than the model's.
    """
    try:
        checkpoint.with_depth(model.num_hidden_layers)
    except InputError as error:
        raise InputError(f"pretraining.init_checkpoint {path}: {error}") from error
    print(
        f"albert: pretraining.init_checkpoint {path}: trained with {checkpoint.num_hidden_layers} "
        f"layers; this model applies the same weights as {model.num_hidden_layers}",
        file=sys.stderr,
        flush=True,
    )


def scale_residual_kernels(model: PretrainingModel, scale: float) -> None:
    """Multiply the kernels of attention output and feed-forward output by a factor, in place.

    With a small factor every block begins close to the identity, whatever the number of layers. The
    kernels of a generator of replaced tokens are multiplied, too.

    Args:
        model: Built, with new weights.
        scale: The factor; with 1 nothing is touched.
    """
    if scale == 1.0:
        return
    for name, variable in weights_by_name(model).items():
        if _RESIDUAL_KERNEL.search(name):
            variable.assign(variable * scale)
