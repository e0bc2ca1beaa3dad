"""The result of a frozen probe, its file and its line."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROBE_NAME = "frozen_probe.json"
DEFAULT_NUM_EXAMPLES = 12_000
DEFAULT_SEED = 12345
LEAST_NUM_EXAMPLES = 10  # with fewer, the fifth that chooses the penalty says nothing


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerScore:
    """The score of a ridge regression that predicts a task from the outputs of one layer.

    Attributes:
        layer: Number of the layer; the first one is 1.
        score: The task's first metric on the dev set.
        low: Lower bound of the score's 95 % bootstrap interval.
        high: Upper bound of that interval.
        held_out_score: The metric on the held-out training examples that chose the penalty.
        penalty: The penalty, as in `RidgePredictions`.
    """

    layer: int
    score: float
    low: float
    high: float
    held_out_score: float
    penalty: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderScores:
    """The scores of all layers of an encoder.

    Attributes:
        layers: Scores of the layers, from the first to the last.
        best_layer: Number of the layer that was best on held-out training examples, the first of
            equally good ones.
        best_score: Score of that layer on the dev set.
        last_layer_score: Score of the last layer on the dev set.
    """

    layers: Sequence[LayerScore]
    best_layer: int
    best_score: float
    last_layer_score: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gain:
    """A score's gain over that of random weights, with its paired 95 % bootstrap interval.

    Attributes:
        gain: The score less that of random weights.
        low: Lower bound of the interval.
        high: Upper bound of the interval.
    """

    gain: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrozenProbe:
    """The frozen probe of a model on a task.

    Attributes:
        task: Name of the task.
        metric: Its first metric, which all scores are of.
        num_train: Training examples used.
        num_dev: Dev examples scored.
        sequence_length: Longest text in tokens, special ones included.
        seed: Seed of the random weights and of the choice of held-out examples.
        seconds: Time that it took.
        pretrained: Scores of the model.
        random_weights: Scores of random weights of the same architecture.
        best_layer_gain: Gain of the model's best layer over the best one of random weights.
        last_layer_gain: Gain of the model's last layer over the last layer of random weights.
    """

    task: str
    metric: str
    num_train: int
    num_dev: int
    sequence_length: int
    seed: int
    seconds: float
    pretrained: EncoderScores
    random_weights: EncoderScores
    best_layer_gain: Gain
    last_layer_gain: Gain


def describe_probe(probe: FrozenProbe) -> str:
    """Return the probe in one line, scores in percent.

    It names the metric, the best layer and its score, the last layer's score, the same of random
    weights, and the seconds.
    """
    model, control = probe.pretrained, probe.random_weights
    return (
        f"frozen probe, {probe.metric.replace('_', ' ')}: layer {model.best_layer} "
        f"{100 * model.best_score:.1f}, last layer {100 * model.last_layer_score:.1f}; random "
        f"weights: layer {control.best_layer} {100 * control.best_score:.1f}, last layer "
        f"{100 * control.last_layer_score:.1f} ({probe.seconds:.1f} s)"
    )


def probe_metrics(probe: FrozenProbe) -> dict[str, float]:
    """Return the scores of a probe for a manifest, rounded to 4 decimals.

    `probe_score` is the best layer's, `probe_last_layer_score` the last one's, and
    `probe_random_weights_score` that of the best layer of random weights.
    """
    scores = {
        "probe_score": probe.pretrained.best_score,
        "probe_last_layer_score": probe.pretrained.last_layer_score,
        "probe_random_weights_score": probe.random_weights.best_score,
    }
    return {name: round(score, 4) for name, score in scores.items()}


def read_probe(folder: Path) -> dict[str, Any]:
    """Return the probe in a fine-tuned model's folder as plain values; empty without one."""
    path = folder / PROBE_NAME
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
