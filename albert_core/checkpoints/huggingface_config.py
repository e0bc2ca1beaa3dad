"""Convert config.json of transformers' ALBERT to `AlbertConfig` and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from albert_core.checkpoints.checkpoint import Checkpoint, refuse_other_pooling
from albert_core.checkpoints.huggingface_labels import labels_to_huggingface
from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.settings.json_values import as_texts

# Class names by heads. A classifier may also be an AlbertForMultipleChoice.
ENCODER = "AlbertModel"
ARCHITECTURES: Mapping[frozenset[str], str] = {
    frozenset(): ENCODER,
    # As after replaced-token detection; the head is left out.
    frozenset({"sentence_order"}): ENCODER,
    frozenset({"masked_lm"}): "AlbertForMaskedLM",
    frozenset({"masked_lm", "sentence_order"}): "AlbertForPreTraining",
    frozenset({"classifier"}): "AlbertForSequenceClassification",
    frozenset({"span"}): "AlbertForQuestionAnswering",
    frozenset({"token_classifier"}): "AlbertForTokenClassification",
}
MULTIPLE_CHOICE = "AlbertForMultipleChoice"
QUESTION_ANSWERING = "AlbertForQuestionAnswering"
TOKEN_CLASSIFICATION = "AlbertForTokenClassification"

# The original's gelu is the tanh approximation; transformers has it under several names, and calls
# the exact function "gelu".
_ACTIVATIONS = {"gelu": "gelu_new", "relu": "relu", "tanh": "tanh", "linear": "linear"}
_TANH_GELUS = ("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate", "gelu_fast")
_EXACT_GELU = "gelu"

# Settings that have one value in the original.
_FIXED = {"layer_norm_eps": 1e-12, "position_embedding_type": "absolute"}
_VOCAB_SIZE = 30_000  # of transformers, where config.json does not say
_CLASSIFIER_DROPOUT = 0.1


def config_from_huggingface(
    values: Mapping[str, Any], *, source: str
) -> tuple[AlbertConfig, tuple[str, ...]]:
    """Return the architecture in a config.json, and notes for the user.

    Settings of transformers alone are ignored. Missing ones have the defaults of `AlbertConfig`,
    but the size of the vocabulary is 30,000.

    The exact gelu becomes the original's tanh form: config files of released models name it by
    mistake. A model that was trained with the exact one changes by up to 5e-4 a layer.

    Args:
        values: The contents of config.json.
        source: Where they come from, for messages.

    Raises:
        InputError: It is no ALBERT, one with settings or heads that the original does not have, or
            a setting has a value that `AlbertConfig` refuses; or transformers uses the groups of
            this number of layers in other layers than the original.
    """
    _refuse_other_models(values, source)
    names = {field.name for field in dataclasses.fields(AlbertConfig)}
    known = {name: value for name, value in values.items() if name in names}
    activation = values.get("hidden_act", _ACTIVATIONS["gelu"])
    notes: list[str] = []
    if activation == _EXACT_GELU:
        notes.append(
            f"{source}: hidden_act is the exact gelu; the original's tanh form takes its place"
        )
    if activation in (*_TANH_GELUS, _EXACT_GELU):
        activation = "gelu"
    try:
        config = AlbertConfig.from_dict(
            {"vocab_size": _VOCAB_SIZE, **known, "hidden_act": activation}
        )
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    _refuse_other_groups(config, source)
    return config, tuple(notes)


def config_to_huggingface(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the contents of a config.json: transformers' class, architecture and special ids.

    `classifier_dropout_prob` is always 0.1, `dtype` float32. The labels of a classifier, of texts
    or of tokens, are added, but not for multiple choice.

    Raises:
        InputError: transformers has no model with these heads, or uses the groups in other layers;
            the classifier reads something else than the pooler; or its labels are not as many as
            its outputs.
    """
    config = checkpoint.config
    refuse_other_pooling(checkpoint, "huggingface")
    _refuse_other_groups(config, f"weights {checkpoint.source}")
    values = {
        "architectures": [_architecture(checkpoint)],
        "model_type": "albert",
        **config.to_dict(),
        "hidden_act": _ACTIVATIONS[config.hidden_act],
        "layer_norm_eps": _FIXED["layer_norm_eps"],
        "classifier_dropout_prob": _CLASSIFIER_DROPOUT,
        "dtype": "float32",
        **_special_ids(checkpoint),
    }
    if checkpoint.num_labels and not checkpoint.is_multiple_choice:
        values |= labels_to_huggingface(checkpoint)
    return values


def scores_choices(values: Mapping[str, Any]) -> bool:
    """Return whether the contents of a config.json are those of a model for multiple choice.

    Raises:
        InputError: `architectures` is no list of texts.
    """
    return MULTIPLE_CHOICE in _architectures(values, "config.json")


def classifies_tokens(values: Mapping[str, Any]) -> bool:
    """Return whether the contents of a config.json are those of a classifier of tokens.

    Raises:
        InputError: `architectures` is no list of texts.
    """
    return TOKEN_CLASSIFICATION in _architectures(values, "config.json")


def _architectures(values: Mapping[str, Any], source: str) -> list[str]:
    """Return the names of the classes in the contents of a config.json; none where it names none.

    Raises:
        InputError: They are no list of texts.
    """
    names = values.get("architectures")
    return [] if names is None else as_texts(names, f"{source}: architectures")


def _refuse_other_models(values: Mapping[str, Any], source: str) -> None:
    """Refuse models of another type, and ALBERTs with settings or heads that the original lacks.

    What config.json does not say is taken to be right.

    Raises:
        InputError: The model is one of these.
    """
    expected: dict[str, Any] = {"model_type": "albert", **_FIXED}
    for name, value in expected.items():
        if values.get(name, value) != value:
            raise InputError(
                f"{source}: got {name}={values[name]!r}, expected {value!r}: the original's ALBERT "
                "has no other"
            )
    known = (*ARCHITECTURES.values(), MULTIPLE_CHOICE)
    for name in _architectures(values, source):
        if name not in known:
            raise InputError(
                f"{source}: got architecture {name}, expected one of {', '.join(known)}"
            )


def _refuse_other_groups(config: AlbertConfig, source: str) -> None:
    """Refuse numbers of layers and groups that transformers puts together in another way.

    It rounds another expression; the first such model has 6 layers and 118 groups.

    Raises:
        InputError: A layer has another group there.
    """
    num_layers, num_groups = config.num_hidden_layers, config.num_hidden_groups
    theirs = tuple(int(layer / (num_layers / num_groups)) for layer in range(num_layers))
    if theirs != config.layer_groups:
        pairs = zip(config.layer_groups, theirs, strict=True)
        layer, (ours, other) = next((n, p) for n, p in enumerate(pairs) if p[0] != p[1])
        raise InputError(
            f"{source}: with num_hidden_layers {num_layers} and num_hidden_groups {num_groups}, "
            f"layer {layer} is of group {ours} in the original, but of group {other} in "
            "transformers; expected numbers for which both agree: this model cannot be both"
        )


def _architecture(checkpoint: Checkpoint) -> str:
    """Return the name of transformers' class for the heads of a checkpoint.

    Multiple choice has its own, whatever the heads.

    Raises:
        InputError: There is no class with exactly these heads.
    """
    if checkpoint.is_multiple_choice:
        return MULTIPLE_CHOICE
    if checkpoint.heads not in ARCHITECTURES:
        raise InputError(
            f"weights {checkpoint.source}: transformers has no ALBERT with the heads "
            f"{', '.join(sorted(checkpoint.heads))}; expected one of "
            f"{', '.join('+'.join(sorted(heads)) or 'none' for heads in ARCHITECTURES)}; "
            "convert to keras or tf1 instead"
        )
    return ARCHITECTURES[checkpoint.heads]


def _special_ids(checkpoint: Checkpoint) -> dict[str, int]:
    """Return the ids of padding, [CLS] as begin and [SEP] as end, by the names in config.json.

    Without a vocabulary they are those of the releases: 0, 2 and 3.
    """
    ids = (0, 2, 3)
    if checkpoint.tokenizer:
        special = checkpoint.tokenizer.special_ids
        ids = (special.pad, special.cls, special.sep)
    return dict(zip(("pad_token_id", "bos_token_id", "eos_token_id"), ids, strict=True))
