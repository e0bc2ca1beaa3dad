"""What the head of a model for texts reads of the encoder's outputs. Does not import Keras."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

HeadPooling = Literal["pooler", "mean", "layer_mix", "siamese"]
"""How a head turns the encoder's outputs into the one vector that its output layer reads."""

ORIGINAL_POOLING: HeadPooling = "pooler"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoolingSpec:
    """A way to pool, and how the head that has it begins its training.

    Attributes:
        title: What it is, in a few words.
        encodes_apart: Whether the two texts of an example are two sequences.
        head_rate_multiplier: What the learning rate of the head is multiplied by, unless a setting
            says otherwise.
        starts_at_mean_label: Whether the bias of a regression is the mean label of the training
            set before the first step.
        is_in_original: Whether the original's scripts and transformers have such a head.
    """

    title: str
    encodes_apart: bool = False
    head_rate_multiplier: float = 1.0
    starts_at_mean_label: bool = True
    is_in_original: bool = False


POOLINGS: Mapping[HeadPooling, PoolingSpec] = {
    "pooler": PoolingSpec(
        title="the pooler over [CLS]", starts_at_mean_label=False, is_in_original=True
    ),
    "mean": PoolingSpec(title="the mean of the last layer's tokens"),
    "layer_mix": PoolingSpec(title="a learned mix of the means of all layers"),
    "siamese": PoolingSpec(
        title="both texts encoded apart, and compared", encodes_apart=True, head_rate_multiplier=10
    ),
}
