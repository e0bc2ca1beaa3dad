"""Convert the parameters of transformers' ALBERT to the original's variables and back.

Shape suffixes: E embedding, H hidden.
"""

import re
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from albert_core.checkpoints.names import find_heads, name_pairs, unused_variables
from albert_core.config import AlbertConfig
from albert_core.errors import InputError

_BASE = "albert."  # prefix of the encoder's parameters, except in a model without a head
_WORDS = "embeddings.word_embeddings.weight"
# Older versions of transformers also wrote constants, and second copies of shared parameters.
_CONSTANTS = (".position_ids", ".token_type_ids")
_COPIES = {
    "predictions.decoder.weight": _BASE + _WORDS,
    "predictions.decoder.bias": "predictions.bias",
}
# transformers always projects from E to H, the original only where E and H differ.
_PROJECTION = "albert.encoder.embedding_hidden_mapping_in"


def weights_to_huggingface(
    config: AlbertConfig, weights: Mapping[str, np.ndarray], *, source: str
) -> dict[str, np.ndarray]:
    """Return weights under transformers' names, as transformers writes them: shared ones once.

    transformers has two kinds of parameters that the original lacks: a projection where E = H,
    which is added as the identity, and groups that no layer uses, which are added as zeros. Types
    stay as they are; matrices of dense layers are transposed. The names of a model without a head
    do not begin with `albert.`.

    Args:
        config: The architecture.
        weights: Arrays by the original's names.
        source: Where they come from, for messages.

    Raises:
        InputError: A variable has no counterpart; all are listed.
    """
    is_token_classifier = "token_classifier" in find_heads(weights)
    pairs = {
        pair.original: pair for pair in name_pairs(config, is_token_classifier=is_token_classifier)
    }
    _refuse_unknown(weights.keys() - pairs.keys(), source)
    weights = {**_unused_zeros(config, weights), **weights}
    arrays = {
        pairs[name].huggingface: array.T if pairs[name].is_transposed else array
        for name, array in weights.items()
    }
    if config.embedding_size == config.hidden_size:
        arrays |= _identity(config)
    if all(name.startswith(_BASE) for name in arrays):
        arrays = {name.removeprefix(_BASE): array for name, array in arrays.items()}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def weights_from_huggingface(
    config: AlbertConfig,
    arrays: Mapping[str, np.ndarray],
    *,
    source: str,
    is_token_classifier: bool = False,
) -> dict[str, np.ndarray]:
    """Return weights under the original's names, in float32.

    Matrices that transformers stores transposed are transposed. Left out are buffers of constants,
    second copies of shared parameters and, where the embeddings are as wide as the encoder, a
    projection that is the identity, since the original has none there. Missing parameters are not
    noticed.

    Args:
        config: The architecture.
        arrays: Parameters by transformers' names, with or without `albert.` in front.
        source: Where they come from, for messages.
        is_token_classifier: Whether the model is a token classifier, whose output layer is named
            differently in the original.

    Raises:
        InputError: A parameter is unknown (all are listed); the second copy of the word embeddings,
            or of the bias, in the output layer of masked LM differs from the first; or the
            embeddings are as wide as the encoder and the projection is not the identity.
    """
    if _WORDS in arrays:
        arrays = {_BASE + name: array for name, array in arrays.items()}
    arrays = {name: array for name, array in arrays.items() if not name.endswith(_CONSTANTS)}
    arrays = {_name_of_shared(name, arrays): array for name, array in arrays.items()}
    for copy, original in _COPIES.items():
        if copy in arrays and not np.array_equal(arrays.pop(copy), arrays[original]):
            raise InputError(
                f"weights {source}: {copy} differs from {original}; expected the same values, "
                "which ALBERT shares"
            )
    if config.embedding_size == config.hidden_size:
        for name, expected in _identity(config).items():
            if name in arrays and not np.array_equal(arrays.pop(name), expected):
                raise InputError(
                    f"weights {source}: {name} is not the identity; with embedding_size = "
                    f"hidden_size = {config.hidden_size} the original has no projection, so this "
                    "model has no counterpart"
                )
    pairs = {
        pair.huggingface: pair
        for pair in name_pairs(config, is_token_classifier=is_token_classifier)
    }
    _refuse_unknown(arrays.keys() - pairs.keys(), source)
    return {
        pairs[name].original: np.ascontiguousarray(
            array.T if pairs[name].is_transposed else array, np.float32
        )
        for name, array in arrays.items()
    }


def original_names(
    config: AlbertConfig, names: Iterable[str], *, is_token_classifier: bool = False
) -> dict[str, str]:
    """Return the original's name for each of transformers' names that has one.

    Args:
        config: The architecture.
        names: Names of all parameters of a model, with or without `albert.` in front.
        is_token_classifier: Whether the model is a token classifier, whose output layer has other
            names.
    """
    names = tuple(names)
    base = _BASE if _WORDS in names else ""
    pairs = {
        pair.huggingface: pair.original
        for pair in name_pairs(config, is_token_classifier=is_token_classifier)
    }
    known = {name: base + _name_of_shared(name, names) for name in names}
    return {name: pairs[other] for name, other in known.items() if other in pairs}


def _name_of_shared(name: str, names: Collection[str]) -> str:
    """Return the first name of a shared parameter that a file has only under its second name.

    safetensors files hold each array once, under either name. Other names are returned as they are.
    """
    original = _COPIES.get(name, name)
    return name if original in names else original


def _unused_zeros(config: AlbertConfig, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return zeros for the variables of groups that no layer uses, by the original's names.

    Shapes and types are those of group 0; a variable that is missing there is left out.
    """
    names = unused_variables(config, (pair.original for pair in name_pairs(config)))
    # The first layer's group is always 0, and all groups have the same shapes.
    alike = {name: re.sub("/group_[0-9]+/", "/group_0/", name) for name in names}
    return {
        name: np.zeros_like(weights[other]) for name, other in alike.items() if other in weights
    }


def _identity(config: AlbertConfig) -> dict[str, np.ndarray]:
    """Return the projection [H, H] and its bias [H] that change nothing."""
    return {
        f"{_PROJECTION}.weight": np.eye(config.hidden_size, dtype=np.float32),
        f"{_PROJECTION}.bias": np.zeros(config.hidden_size, np.float32),
    }


def _refuse_unknown(names: set[str], source: str) -> None:
    """Refuse names of variables that have no counterpart in the other format.

    Raises:
        InputError: There are such names; all are listed.
    """
    if names:
        raise InputError(
            f"weights {source}: no counterpart for {', '.join(sorted(names))}; expected the "
            "variables of an ALBERT of the configured layers, groups and blocks"
        )
