"""Start pretraining from a model that exists: the original's, Hugging Face's or ours."""

from albert_core.checkpoints import read_checkpoint
from albert_core.errors import InputError
from albert_core.model import AlbertForPreTraining, weights_by_name
from albert_core.model.weights import assign_by_name
from albert_core.storage import local_folder
from albert_core.tokenization import Tokenizer

_SHAPING = (
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


def initialize(model: AlbertForPreTraining, path: str, tokenizer: Tokenizer) -> None:
    """Load the encoder of a checkpoint and those pretraining heads that it has.

    Heads it does not have keep their initial weights, and so do moments and step: training begins
    anew.

    Raises:
        InputError: There is no model at the path, or its architecture or vocabulary is another.
    """
    checkpoint = read_checkpoint(local_folder(path)).with_pooler()
    ours, theirs = model.config.to_dict(), checkpoint.config.to_dict()
    if different := [name for name in _SHAPING if ours[name] != theirs[name]]:
        pairs = (f"{name} {theirs[name]}, expected {ours[name]}" for name in different)
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
