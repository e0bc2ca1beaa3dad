"""The named sizes of the models, and the model that a run trains: one of them, or a variant."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from albert_core.config import AlbertConfig
from albert_core.errors import InputError
from albert_core.settings.suggestions import did_you_mean


def _preset_keys(hidden: int, layers: int, heads: int, **overrides: Any) -> dict[str, Any]:
    """Return the keys of albert_config.json that a preset sets: four sizes, and `overrides`.

    `intermediate_size` is 4 times `hidden`, unless overridden. All other keys keep the defaults of
    `AlbertConfig`.

    Args:
        hidden: `hidden_size`.
        layers: `num_hidden_layers`.
        heads: `num_attention_heads`.
        **overrides: Other keys, or other values for these four.
    """
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * hidden,
        **overrides,
    }


_DROPOUT = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}


PRESETS: Mapping[str, Mapping[str, Any]] = {
    # The tiers for one small machine; not released sizes. The released models' initializer_range
    # of 0.02 never leaves the plateau of the most frequent tokens there.
    "tiny": _preset_keys(
        128, 2, 4, embedding_size=64, intermediate_size=256, initializer_range=0.06
    ),
    "small": _preset_keys(192, 4, 3, initializer_range=0.06),
    # The released sizes. v1 was trained with dropout (xxlarge without), v2 with none.
    "base_v1": _preset_keys(768, 12, 12, **_DROPOUT),
    "large_v1": _preset_keys(1024, 24, 16, **_DROPOUT),
    "xlarge_v1": _preset_keys(2048, 24, 16, **_DROPOUT),
    "xxlarge_v1": _preset_keys(4096, 12, 64),
    "base_v2": _preset_keys(768, 12, 12),
    "large_v2": _preset_keys(1024, 24, 16),
    "xlarge_v2": _preset_keys(2048, 24, 16),
    "xxlarge_v2": _preset_keys(4096, 12, 64),
    # The Chinese releases: relu and no dropout; their WordPiece vocabulary has 21,128 tokens.
    "base_zh": _preset_keys(768, 12, 12, hidden_act="relu"),
    "large_zh": _preset_keys(1024, 24, 16, hidden_act="relu"),
    "xlarge_zh": _preset_keys(2048, 24, 16, hidden_act="relu"),
    "xxlarge_zh": _preset_keys(4096, 12, 64, hidden_act="relu"),
}


def preset(name: str, *, vocab_size: int, **overrides: Any) -> AlbertConfig:
    """Return the architecture of a named size; a key in `overrides` wins over the preset's.

    Raises:
        InputError: The preset or an overridden key is unknown, or a value is impossible.
    """
    return _with_overrides(name, {**overrides, "vocab_size": vocab_size})


def _with_overrides(name: str, overrides: Mapping[str, Any]) -> AlbertConfig:
    """Return the architecture of a preset with other values for some keys.

    Raises:
        InputError: The preset or a key is unknown, `vocab_size` is missing, or a value is
            impossible.
    """
    if name not in PRESETS:
        raise InputError(
            f"model preset: got {name!r}, expected one of {', '.join(PRESETS)}"
            f"{did_you_mean(name, PRESETS)}"
        )
    return AlbertConfig.from_dict({**PRESETS[name], **overrides})


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which model a run trains; the vocabulary gives its `vocab_size`.

    `vocab_size` among the overrides is refused with an InputError; all else is checked by
    `with_vocabulary` only.

    Attributes:
        preset: A named size.
        overrides: Keys of albert_config.json that differ from the preset; not `vocab_size`.
    """

    preset: str = "base_v2"
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse `vocab_size` among the overrides.

        Raises:
            InputError: `vocab_size` is among the overrides.
        """
        if "vocab_size" in self.overrides:
            raise InputError(
                f"model.overrides: got vocab_size {self.overrides['vocab_size']!r}, expected none: "
                "the vocabulary gives it (vocab.size)"
            )

    def with_vocabulary(self, vocab_size: int) -> AlbertConfig:
        """Return the architecture for a vocabulary of `vocab_size` tokens.

        Raises:
            InputError: The preset or an overridden key is unknown, or a value is impossible.
        """
        return _with_overrides(self.preset, {**self.overrides, "vocab_size": vocab_size})
