"""Names of ALBERT's variables in the original and in transformers."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from albert_core.config import AlbertConfig
from albert_core.pooling import ORIGINAL_POOLING, POOLINGS, HeadPooling

POOLER = "bert/pooler/"

# Scope of the variables of each head for texts that the original has not, by its pooling.
_POOLING_SCOPES: Mapping[HeadPooling, str] = {
    pooling: f"{pooling}/" for pooling, spec in POOLINGS.items() if not spec.is_in_original
}

# Scope of the classifier of tokens, which the original has not.
_TOKEN_SCOPE = "token_classifier/"

# Names of a classifier's weights [C, ...] and bias [C], whatever its pooling, or of tokens.
CLASSIFIER_OUTPUTS = frozenset(
    f"{scope}{name}"
    for scope in ("", *_POOLING_SCOPES.values(), _TOKEN_SCOPE)
    for name in ("output_weights", "output_bias")
)

# Scopes or names of each head's variables; those of the original as in its checkpoints.
HEADS: Mapping[str, tuple[str, ...]] = {
    "masked_lm": ("cls/predictions/",),
    "sentence_order": ("cls/seq_relationship/",),
    "classifier": ("output_weights", "output_bias", *_POOLING_SCOPES.values()),
    "token_classifier": (_TOKEN_SCOPE,),
    "span": ("cls/squad/",),
    "span_beam": ("start_logits/", "end_logits/", "answer_class/"),
}

PRETRAINING_HEADS = frozenset({"masked_lm", "sentence_order"})

# Scopes that a training by replaced-token detection has beside the model (repeated from
# `albert_core.model`, which imports Keras): another model, and the head that detects.
GENERATOR_SCOPE, DETECTION_SCOPE = "generator/", "replaced_tokens/"

# Attribute of exported SavedModels that holds the variables by the original's names.
NAMED_VARIABLES = "weights"

# What checkpoints of a training hold beside the model. The original's have only the first two slots
# and the step; all slots are repeated from `albert_core.optimizers`, which imports Keras.
SLOTS = ("/adam_m", "/adam_v", "/muon_m", "/average")
GLOBAL_STEP = "global_step"
_TRAINING_PREFIXES = (
    *("random_state_", "metric_", "rate_factor"),
    *(GENERATOR_SCOPE, DETECTION_SCOPE),
)


@dataclasses.dataclass(frozen=True)
class NamePair:
    """The two names of a variable.

    Attributes:
        original: Name in the original's checkpoints, which this program uses, too.
        huggingface: Name of the parameter in transformers.
        is_transposed: Whether transformers stores the matrix transposed.
    """

    original: str
    huggingface: str
    is_transposed: bool


class _Variable(NamedTuple):
    """What the two names of a variable end with, and whether transformers has it transposed."""

    original: str
    huggingface: str
    is_transposed: bool = False


class _Layer(NamedTuple):
    """What the two names of a layer's variables begin with, and its variables."""

    original: str
    huggingface: str
    variables: tuple[_Variable, ...]


_TABLE = (_Variable("", ".weight"),)
_VECTOR = (_Variable("", ""),)
_DENSE = (_Variable("/kernel", ".weight", is_transposed=True), _Variable("/bias", ".bias"))
_NORM = (_Variable("/gamma", ".weight"), _Variable("/beta", ".bias"))
_HEAD = (_Variable("output_weights", ".weight"), _Variable("output_bias", ".bias"))

_GROUP = "bert/encoder/transformer/group_"
_BLOCK = _GROUP + "{group}/inner_group_{inner}/"
_HUGGINGFACE_BLOCK = "albert.encoder.albert_layer_groups.{group}.albert_layers.{inner}."

_PROJECTION = _Layer(
    "bert/encoder/embedding_hidden_mapping_in",
    "albert.encoder.embedding_hidden_mapping_in",
    _DENSE,
)
_LAYERS = (
    _Layer("bert/embeddings/word_embeddings", "albert.embeddings.word_embeddings", _TABLE),
    _Layer(
        "bert/embeddings/token_type_embeddings", "albert.embeddings.token_type_embeddings", _TABLE
    ),
    _Layer("bert/embeddings/position_embeddings", "albert.embeddings.position_embeddings", _TABLE),
    _Layer("bert/embeddings/LayerNorm", "albert.embeddings.LayerNorm", _NORM),
    _PROJECTION,
    _Layer(_BLOCK + "attention_1/self/query", _HUGGINGFACE_BLOCK + "attention.query", _DENSE),
    _Layer(_BLOCK + "attention_1/self/key", _HUGGINGFACE_BLOCK + "attention.key", _DENSE),
    _Layer(_BLOCK + "attention_1/self/value", _HUGGINGFACE_BLOCK + "attention.value", _DENSE),
    _Layer(_BLOCK + "attention_1/output/dense", _HUGGINGFACE_BLOCK + "attention.dense", _DENSE),
    _Layer(_BLOCK + "LayerNorm", _HUGGINGFACE_BLOCK + "attention.LayerNorm", _NORM),
    _Layer(_BLOCK + "ffn_1/intermediate/dense", _HUGGINGFACE_BLOCK + "ffn", _DENSE),
    _Layer(_BLOCK + "ffn_1/intermediate/output/dense", _HUGGINGFACE_BLOCK + "ffn_output", _DENSE),
    _Layer(_BLOCK + "LayerNorm_1", _HUGGINGFACE_BLOCK + "full_layer_layer_norm", _NORM),
    _Layer("bert/pooler/dense", "albert.pooler", _DENSE),
    _Layer("cls/predictions/transform/dense", "predictions.dense", _DENSE),
    _Layer("cls/predictions/transform/LayerNorm", "predictions.LayerNorm", _NORM),
    _Layer("cls/predictions/output_bias", "predictions.bias", _VECTOR),
    _Layer("cls/seq_relationship/", "sop_classifier.classifier", _HEAD),
    _Layer("cls/squad/", "qa_outputs", _HEAD),
)
_CLASSIFIER = _Layer("", "classifier", _HEAD)
_TOKEN_CLASSIFIER = _Layer(_TOKEN_SCOPE, "classifier", _HEAD)


def name_pairs(config: AlbertConfig, *, is_token_classifier: bool = False) -> tuple[NamePair, ...]:
    """Return both names of the variables that transformers has, too, sorted by the original's.

    They are those of the encoder, of the heads of pretraining and of spans, and of one classifier.
    Left out are the head `span_beam` and classifiers of other poolings than the pooler, which
    transformers has not, and the projection where the embeddings are as wide as the encoder, which
    the original has not.

    Args:
        config: The architecture.
        is_token_classifier: Whether the classifier, which transformers calls `classifier` either
            way, is the one of tokens; else it is the one of texts.
    """
    layers = [*_LAYERS, _TOKEN_CLASSIFIER if is_token_classifier else _CLASSIFIER]
    if config.embedding_size == config.hidden_size:
        layers.remove(_PROJECTION)
    positions = [
        {"group": group, "inner": inner}
        for group in range(config.num_hidden_groups)
        for inner in range(config.inner_group_num)
    ]
    # A set, since the names of layers outside of groups are the same at every position.
    pairs = set()
    for layer, position in itertools.product(layers, positions):
        for variable in layer.variables:
            pair = NamePair(
                original=(layer.original + variable.original).format(**position),
                huggingface=(layer.huggingface + variable.huggingface).format(**position),
                is_transposed=variable.is_transposed,
            )
            pairs.add(pair)
    return tuple(sorted(pairs, key=lambda pair: pair.original))


def unused_variables(config: AlbertConfig, names: Iterable[str]) -> frozenset[str]:
    """Return the variables of groups that no layer uses, among some by the original's names.

    Groups that the architecture does not have are not among them.
    """
    unused = set(range(config.num_hidden_groups)) - set(config.used_groups)
    scopes = tuple(f"{_GROUP}{group}/" for group in sorted(unused))
    return frozenset(name for name in names if name.startswith(scopes))


def find_heads(names: Iterable[str]) -> frozenset[str]:
    """Return the heads, by the names in `HEADS`, that have at least one of some variables."""
    names = tuple(names)
    return frozenset(
        head for head, scopes in HEADS.items() if any(name.startswith(scopes) for name in names)
    )


def find_pooling(names: Iterable[str]) -> HeadPooling:
    """Return the pooling of a classifier by the names of its variables.

    `pooler`, as in the original, where none of them is of a classifier of another pooling.
    """
    names = tuple(names)
    for pooling, scope in _POOLING_SCOPES.items():
        if any(name.startswith(scope) for name in names):
            return pooling
    return ORIGINAL_POOLING


def get_variable_name(key: str) -> str | None:
    """Return the name of a variable from its key in an exported SavedModel; None for other keys.

    Args:
        key: `weights/<name>/.ATTRIBUTES/VARIABLE_VALUE`. TensorFlow writes `/` in a name as `.S`,
            and `.` as `..`.
    """
    prefix, suffix = f"{NAMED_VARIABLES}/", "/.ATTRIBUTES/VARIABLE_VALUE"
    if not (key.startswith(prefix) and key.endswith(suffix)):
        return None
    escaped = key.removeprefix(prefix).removesuffix(suffix)
    return re.sub(r"\.[S.]", lambda match: "/" if match[0] == ".S" else ".", escaped)


def is_training_state(name: str) -> bool:
    """Return whether a variable is of the training, not of the model, by its name.

    These are global_step, slots and averages of the optimizer, random states, metrics, the factor
    of the rate, and the generator and the detecting head of replaced-token detection.
    """
    return name == GLOBAL_STEP or name.endswith(SLOTS) or name.startswith(_TRAINING_PREFIXES)
