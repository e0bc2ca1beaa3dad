"""The architecture of an ALBERT model, and the named sizes."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.errors import InputError
from albert_core.settings.json_values import describe_value, read_json_object
from albert_core.settings.suggestions import did_you_mean

# Files in the folder of every model; transformers calls its weights the same.
CONFIG_NAME, WEIGHTS_NAME = "albert_config.json", "model.safetensors"

# Keys of bert_config.json, also in files that were made from one: they say nothing about ALBERT.
_BERT_KEYS = (
    "directionality",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
)
# In Chinese releases: `postln` is ALBERT, `preln` another model.
_LN_TYPE, _ALBERT_LN_TYPE = "ln_type", "postln"

HIDDEN_ACTIVATIONS = ("gelu", "relu", "tanh", "linear")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlbertConfig:
    """Architecture of an ALBERT model: every key of the original's albert_config.json.

    Attributes:
        vocab_size: Number of tokens in the vocabulary.
        embedding_size: Width E of the factorised embeddings.
        hidden_size: Width H of the encoder.
        num_hidden_layers: Number of times that the (shared) layers are applied.
        num_hidden_groups: Number of distinct layers, over which the applications are spread; 1
            shares everything, as in the paper. With more groups than layers some are not used.
        num_attention_heads: Attention heads N; H is a multiple of N.
        intermediate_size: Width of the feed-forward layer.
        inner_group_num: Attention + feed-forward blocks inside a group.
        down_scale_factor: Kept for old files; the original reads it and uses it nowhere.
        hidden_act: Activation of the feed-forward layer: `gelu` (the tanh form), `relu`, `tanh` or
            `linear`.
        hidden_dropout_prob: Dropout on embeddings and block outputs while training.
        attention_probs_dropout_prob: Dropout on attention probabilities while training.
        max_position_embeddings: Longest sequence the model can read.
        type_vocab_size: Number of segment ids.
        initializer_range: Standard deviation of the truncated normal initialiser.
        net_structure_type: Kept for old files; used nowhere in the released code.
        gap_size: Kept for old files; used nowhere in the released code.
        num_memory_blocks: Kept for old files; used nowhere in the released code.
        layers_to_keep: Kept for old files; used nowhere in the released code.

    Raises:
        InputError: A size is not a whole number of 1 or more, a dropout is not from 0 to below 1,
            `initializer_range` is not above 0, `hidden_act` is unknown, or H is no multiple of N;
            or a key kept for old files is no whole number.
    """

    vocab_size: int
    embedding_size: int = 128
    hidden_size: int = 4096
    num_hidden_layers: int = 12
    num_hidden_groups: int = 1
    num_attention_heads: int = 64
    intermediate_size: int = 16384
    inner_group_num: int = 1
    down_scale_factor: int = 1
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    net_structure_type: int = 0
    gap_size: int = 0
    num_memory_blocks: int = 0
    layers_to_keep: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values that make no model.

        Raises:
            InputError: A size is no whole number of 1 or more, a dropout is not from 0 to below 1,
                the initial range is not above 0, the hidden size is no multiple of the heads, the
                activation is unknown, or a key that is kept for old files is no whole number.
        """
        for name in _POSITIVE:
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise InputError(
                    f"{name} of the model: got {describe_value(value)}, expected a whole number of "
                    "1 or more"
                )
        for name in _UNUSED:
            value = getattr(self, name)
            if type(value) is not int:
                raise InputError(
                    f"{name} of the model: got {describe_value(value)}, expected a whole number; "
                    "leave it out, it is used nowhere"
                )
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            value = getattr(self, name)
            if not _is_number(value) or not 0.0 <= value < 1.0:
                raise InputError(
                    f"{name} of the model: got {describe_value(value)}, expected 0 <= p < 1"
                )
        if not _is_number(self.initializer_range) or self.initializer_range <= 0:
            raise InputError(
                f"initializer_range of the model: got {describe_value(self.initializer_range)}, "
                "expected above 0"
            )
        if self.hidden_size % self.num_attention_heads:
            raise InputError(
                f"hidden_size of the model: got {self.hidden_size}, expected a multiple of "
                f"num_attention_heads={self.num_attention_heads}"
            )
        if self.hidden_act not in HIDDEN_ACTIVATIONS:
            raise InputError(
                f"hidden_act of the model: got {_quoted(self.hidden_act)}, expected one of "
                f"{', '.join(HIDDEN_ACTIVATIONS)}"
            )

    @property
    def head_size(self) -> int:
        """Width D of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def layer_groups(self) -> tuple[int, ...]:
        """The group of each layer, in the order of application, as the original computes it."""
        # In floating point, as there: for layer 15 of 22 in 22 groups it rounds to 14, which
        # `layer * groups // layers` does not.
        layers, groups = self.num_hidden_layers, self.num_hidden_groups
        return tuple(int(layer / layers * groups) for layer in range(layers))

    @property
    def used_groups(self) -> tuple[int, ...]:
        """The groups that a layer uses, ascending; the others have no effect."""
        return tuple(sorted(set(self.layer_groups)))

    def with_depth(self, num_hidden_layers: int) -> "AlbertConfig":
        """Return the same architecture with another number of layers, which share the same weights.

        Raises:
            InputError: The number is not 1 or more, or other groups would be used than now, so that
                the weights would not be the same.
        """
        other = dataclasses.replace(self, num_hidden_layers=num_hidden_layers)
        if other.used_groups != self.used_groups:
            raise InputError(
                f"num_hidden_layers: got {num_hidden_layers}, which use "
                f"{len(other.used_groups)} of the {self.num_hidden_groups} groups of layers, "
                f"expected a number that uses the {len(self.used_groups)} that "
                f"{self.num_hidden_layers} layers use"
            )
        return other

    @property
    def has_dropout(self) -> bool:
        """Whether anything in the encoder is dropped while training."""
        return self.hidden_dropout_prob > 0 or self.attention_probs_dropout_prob > 0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "AlbertConfig":
        """Build a configuration from the keys of an albert_config.json.

        Keys that are missing take the defaults of this class.

        Raises:
            InputError: `values` is no mapping, a key is unknown (those of BERT, too), `vocab_size`
                is missing, or a value is out of its range or of another type.
        """
        if not isinstance(values, Mapping):
            raise InputError(
                f"model configuration: got {describe_value(values)}, expected the keys of "
                "albert_config.json"
            )
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(map(str, values.keys() - known))
        if unknown:
            raise InputError(
                f"model configuration: unknown keys {', '.join(unknown)}; expected the keys of "
                "albert_config.json; correct or remove them"
                f"{did_you_mean(unknown[0], sorted(known))}"
            )
        if "vocab_size" not in values:
            raise InputError("model configuration: vocab_size is missing")
        layers_to_keep = values.get("layers_to_keep", ())
        if not isinstance(layers_to_keep, list | tuple) or not all(
            type(layer) is int for layer in layers_to_keep
        ):
            raise InputError(
                f"layers_to_keep of the model: got {describe_value(layers_to_keep)}, expected a "
                "list of whole numbers; leave it out, it is used nowhere"
            )
        return cls(**{**values, "layers_to_keep": tuple(layers_to_keep)})  # JSON has lists only

    @classmethod
    def from_json_file(cls, path: str | Path) -> "AlbertConfig":
        """Read an albert_config.json.

        Keys of BERT are passed over, which `describe_ignored_keys` tells.

        Raises:
            InputError: The file cannot be read or holds no JSON object, its `ln_type` is that of
                another model, a key is unknown, `vocab_size` is missing, or a value is impossible;
                names the file.
        """
        try:
            values = read_json_object(Path(path))
            ignored = find_ignored_keys(values)
            return cls.from_dict({k: v for k, v in values.items() if k not in ignored})
        except InputError as error:
            reason = str(error).removeprefix("model configuration: ").removeprefix(f"{path}: ")
            raise InputError(f"model configuration {path}: {reason}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return every key, as albert_config.json holds them and `from_dict` reads them."""
        return {**dataclasses.asdict(self), "layers_to_keep": list(self.layers_to_keep)}

    def to_json_file(self, path: str | Path) -> None:
        """Write an albert_config.json with every key; a file at the path is written over.

        Raises:
            OSError: Its folder does not exist, or the file cannot be written.
        """
        Path(path).write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")


def find_ignored_keys(values: Mapping[str, Any]) -> list[str]:
    """Return the keys of an albert_config.json that are passed over: those of BERT, and `ln_type`.

    Raises:
        InputError: `ln_type` is there and not `postln`, as ALBERT has it: another model.
    """
    if values.get(_LN_TYPE, _ALBERT_LN_TYPE) != _ALBERT_LN_TYPE:
        raise InputError(
            f"{_LN_TYPE} of the model: got {describe_value(values[_LN_TYPE])}, expected "
            f"{_ALBERT_LN_TYPE}, as ALBERT has it: this is another model"
        )
    return [key for key in values if key in (*_BERT_KEYS, _LN_TYPE)]


def describe_ignored_keys(path: Path) -> tuple[str, ...]:
    """Return one note about the keys of an albert_config.json that are passed over.

    They are those of `find_ignored_keys`; empty where there are none.

    Raises:
        InputError: The file cannot be read, or its `ln_type` is another model's.
    """
    keys = find_ignored_keys(read_json_object(path))
    return (f"{path}: passed over {', '.join(keys)}, which ALBERT has no use for",) if keys else ()


def refuse_redrawn_dropout(config: AlbertConfig, *, rematerialize: bool) -> None:
    """Refuse rematerialisation of a model with dropout.

    The gradient would draw other masks under TensorFlow, without a word; JAX fails late.

    Raises:
        InputError: Both are asked for.
    """
    if rematerialize and config.has_dropout:
        raise InputError(
            "rematerialize: got true with dropout, which would be drawn anew for the gradient; "
            "expected a model without (the v2 presets, or hidden_dropout_prob and "
            "attention_probs_dropout_prob 0; in fine-tuning hidden_dropout and attention_dropout 0)"
        )


_POSITIVE = (
    "vocab_size",
    "embedding_size",
    "hidden_size",
    "num_hidden_layers",
    "num_hidden_groups",
    "num_attention_heads",
    "intermediate_size",
    "inner_group_num",
    "max_position_embeddings",
    "type_vocab_size",
)

_UNUSED = ("down_scale_factor", "net_structure_type", "gap_size", "num_memory_blocks")


def _is_number(value: Any) -> bool:
    """Return whether a value is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def _quoted(value: Any) -> str:
    return repr(value) if isinstance(value, str) else describe_value(value)
