"""How far apart two runs of a model are: as values, or as the probabilities that they mean.

Shape suffixes: B batch, C classes or choices, K starts, L ends of each.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import numpy as np

from albert_core.errors import StepFailedError
from albert_core.model_function import ModelOutputs

Candidates = Mapping[Hashable, float]
"""Log probability by position."""

# Below it a probability is 0 in float32; what is masked is far below.
_LEAST_LOG_PROBABILITY = float(np.log(np.finfo(np.float32).tiny))


def largest_differences(
    reference: ModelOutputs, found: ModelOutputs, *, as_probabilities: bool = False
) -> dict[str, float]:
    """Return the largest difference of each output; NaN is one.

    What a search for answers found is compared position by position, because which of two equally
    likely ones comes first is no difference.

    Args:
        reference: Outputs of the Keras model.
        found: Those of another runtime.
        as_probabilities: Compare the probabilities of classes, choices, pieces and positions, and
            leave out what has none (`sequence_output`, `pooled_output`).

    Raises:
        StepFailedError: An output is missing, or of another shape.
    """
    _refuse_other_outputs(reference, found)
    differences: dict[str, float] = {}
    for name, expected in reference.items():
        if name.startswith(("start_top", "end_top")):
            continue
        values = (expected, found[name])
        if as_probabilities:
            measure = _probabilities_of(name)
            if measure is None:
                continue
            values = (measure(values[0]), measure(values[1]))
        differences[name] = float(np.max(np.abs(values[0] - values[1]), initial=0.0))
    if "start_top_index" in reference:
        differences |= _search_differences(reference, found, np.exp if as_probabilities else None)
    return differences


def _refuse_other_outputs(reference: ModelOutputs, found: ModelOutputs) -> None:
    for name, expected in reference.items():
        if name not in found:
            raise StepFailedError(f"no output {name}, only {', '.join(sorted(found))}")
        if np.shape(found[name]) != expected.shape:
            raise StepFailedError(
                f"output {name} is of shape {np.shape(found[name])}, expected {expected.shape}"
            )


def _probabilities_of(name: str) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return what turns an output into probabilities; None if it has none."""
    if name == "cls_logits":
        return _sigmoid
    return _softmax if name.endswith("logits") else None


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities over the last axis; a regression's one output as it is."""
    if logits.shape[-1] == 1:
        return logits
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(logits / 2))


def _search_differences(
    reference: ModelOutputs, found: ModelOutputs, measure: Callable[[Any], Any] | None
) -> dict[str, float]:
    """Return the largest difference among the starts that were found, and among their ends."""
    found_of: dict[str, list[float]] = {"start_top_log_probs": [], "end_top_log_probs": []}
    for own, other in zip(_searches(reference), _searches(found), strict=True):
        compared = [("start_top_log_probs", own[0], other[0])]
        compared += [
            ("end_top_log_probs", ends, other[1][start])
            for start, ends in own[1].items()
            if start in other[1]
        ]
        for name, first, second in compared:
            found_of[name].append(_candidates_difference(first, second, measure))
    return {name: float(np.max(values, initial=0.0)) for name, values in found_of.items()}


def _searches(outputs: ModelOutputs) -> Iterator[tuple[Candidates, Mapping[int, Candidates]]]:
    """Yield of each example the starts, and the ends of each start."""
    starts_BK, ends_BKL = outputs["start_top_index"], outputs["end_top_index"]
    shape_BKL = (*starts_BK.shape, ends_BKL.shape[1] // starts_BK.shape[1])
    for starts_K, start_log_probs_K, ends_KL, end_log_probs_KL in zip(
        starts_BK.astype(int),
        outputs["start_top_log_probs"],
        ends_BKL.astype(int).reshape(shape_BKL),
        outputs["end_top_log_probs"].reshape(shape_BKL),
        strict=True,
    ):
        ends = {
            int(start): _candidates(ends_L, log_probs_L)
            for start, ends_L, log_probs_L in zip(starts_K, ends_KL, end_log_probs_KL, strict=True)
        }
        yield _candidates(starts_K, start_log_probs_K), ends


def _candidates(positions: np.ndarray, log_probs: np.ndarray) -> Candidates:
    floored = np.maximum(log_probs, _LEAST_LOG_PROBABILITY)
    return dict(zip(positions.tolist(), floored.tolist(), strict=True))


def _candidates_difference(
    first: Candidates, second: Candidates, measure: Callable[[Any], Any] | None
) -> float:
    """Return the largest difference; what only one has is at most the other's least likely."""
    sides = (first, second)
    least = [min(side.values()) for side in sides]
    log_probs = np.array(
        [
            [side.get(key, lowest) for side, lowest in zip(sides, least, strict=True)]
            for key in {**first, **second}
        ]
    )
    values = measure(log_probs) if measure else log_probs
    return float(np.max(np.abs(values[:, 0] - values[:, 1])))
