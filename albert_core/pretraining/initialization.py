"""Initial weights of pretraining from a checkpoint: of any kind that can be read."""

from albert_core.checkpoints import read_checkpoint
from albert_core.errors import InputError
from albert_core.model.pretraining import PretrainingModel
from albert_core.model.weights import assign_by_name, weights_by_name
from albert_core.storage import local_folder
from albert_core.tokenization import Tokenizer

# Settings that determine the shapes of the weights and the function they compute. Dropout and the
# like may differ: continued pretraining changes them on purpose.
_ARCHITECTURE = (
    "vocab_size",
    "embedding_size",
    "hidden_size",
    "num_hidden_layers",
    "num_hidden_groups",
    "inner_group_num",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "max_position_embeddings",
    "type_vocab_size",
)


def initialize(model: PretrainingModel, path: str, tokenizer: Tokenizer) -> None:
    """Load the encoder of a checkpoint, and those pretraining heads that it has, into a model.

    Heads that it lacks keep their initial weights; no checkpoint has the generator and the head of
    replaced-token detection. The optimizer is not restored: training begins at step 0. If anything
    is refused, no weight is changed.

    Args:
        model: Built; its weights are overwritten.
        path: Folder or address of a checkpoint of any kind that can be read. One of TensorFlow 1
            without a configuration beside it is taken to have the model's architecture, as by the
            original.
        tokenizer: The vocabulary of the records; not compared if the checkpoint has none.

    Raises:
        InputError: There is no model at the path, or its architecture or vocabulary is another.
    """
    checkpoint = read_checkpoint(local_folder(path), default_config=model.config).with_pooler()
    expected, actual = model.config.to_dict(), checkpoint.config.to_dict()
    if different := [name for name in _ARCHITECTURE if expected[name] != actual[name]]:
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
    variables = weights_by_name(model)
    known_heads = {
        name: variable
        for name, variable in variables.items()
        if name.startswith("bert/") or name in checkpoint.weights
    }
    arrays = {name: a for name, a in checkpoint.weights.items() if name in known_heads}
    assign_by_name(known_heads, arrays, source=path)
